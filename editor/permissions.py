"""Who may do what: one table of role x action, asked by every transport."""

from __future__ import annotations

from typing import Literal

Role = Literal["host", "editor", "viewer"]
Action = Literal["read", "write", "instruct", "stop", "history", "share_edit", "share_view", "manage"]

# From most to least.
ROLES: tuple[Role, ...] = ("host", "editor", "viewer")
ACTIONS: tuple[Action, ...] = ("read", "write", "instruct", "stop", "history", "share_edit", "share_view", "manage")

ALLOWED: dict[str, frozenset[Action]] = {
    "host": frozenset(ACTIONS),
    "editor": frozenset(("read", "write", "instruct", "stop", "history", "share_edit", "share_view")),
    # Not the history: what somebody has deleted was not meant for an audience.
    "viewer": frozenset(("read", "share_view")),
}

# The links of a session, and the role that each gives.
LINK_ROLES: dict[str, Role] = {"host": "host", "edit": "editor", "view": "viewer"}


def may(role: str, action: Action, *, viewers_may_stop: bool = False) -> bool:
    """``viewers_may_stop`` is the host's choice for the session."""
    if action == "stop" and role == "viewer":
        return viewers_may_stop
    return action in ALLOWED.get(role, frozenset())
