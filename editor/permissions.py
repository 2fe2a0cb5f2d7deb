"""Who may do what: one table of role x action, asked by every transport."""

from __future__ import annotations

from typing import Literal

Role = Literal["host", "editor", "viewer"]
Action = Literal["read", "write", "instruct", "stop", "share_edit", "share_view", "manage"]

ROLES: tuple[Role, ...] = ("host", "editor", "viewer")

ALLOWED: dict[Role, frozenset[Action]] = {
    "host": frozenset(("read", "write", "instruct", "stop", "share_edit", "share_view", "manage")),
    "editor": frozenset(("read", "write", "instruct", "stop", "share_edit", "share_view")),
    "viewer": frozenset(("read", "share_view")),
}

# The links of a session, and the role that each gives.
LINK_ROLES: dict[str, Role] = {"host": "host", "edit": "editor", "view": "viewer"}


def may(role: str, action: Action) -> bool:
    return any(role == known and action in ALLOWED[known] for known in ROLES)
