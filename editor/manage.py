"""What a host does with a session over HTTP: links, people, settings, its end."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse

from editor import access, rooms
from editor.http import Refused, body, endpoint, requester, string
from editor.models import Participant, Session
from editor.permissions import LINK_ROLES, ROLES
from editor.views import TITLE_LENGTH, link_url

LISTED = 500

_requester = sync_to_async(requester)


@endpoint("PATCH", "DELETE")
async def session(request: HttpRequest, session: str) -> HttpResponse:
    """PATCH changes ``title``, ``viewers_may_stop`` and ``drafts``; DELETE ends the session and deletes its data."""
    found, _ = await _requester(request, session, "manage")
    if request.method == "DELETE":
        await rooms.current().end(session)
        return HttpResponse(status=204)
    given = body(request)
    changes: dict[str, Any] = {}
    if "title" in given:
        changes["title"] = string(given, "title", TITLE_LENGTH).strip()
    if "viewers_may_stop" in given:
        if not isinstance(given["viewers_may_stop"], bool):
            raise Refused(400, "bad_message", "`viewers_may_stop` must be true or false.")
        changes["viewers_may_stop"] = given["viewers_may_stop"]
    if "drafts" in given:
        if given["drafts"] is not None and not isinstance(given["drafts"], bool):
            raise Refused(400, "bad_message", "`drafts` must be true, false, or null for what suits the model.")
        changes["drafts"] = given["drafts"]
    if not changes:
        raise Refused(400, "bad_message", "Give `title`, `viewers_may_stop` or `drafts`.")
    changed = await rooms.current().change(found.pk, changes)
    return JsonResponse(
        {
            "title": changed.title,
            "viewers_may_stop": changed.viewers_may_stop,
            "drafts": changed.drafts,
            "expires_at": changed.expires_at.isoformat(),
        }
    )


@endpoint("POST")
async def rotate(request: HttpRequest, session: str, link: str) -> HttpResponse:
    """Replaces a link: whoever came by the old one is out, but for the host who asks."""
    found, participant = await _requester(request, session, "manage")
    if link not in LINK_ROLES:
        raise Refused(404, "not_found", f"There is no link {link!r}; there are {', '.join(LINK_ROLES)}.")
    changed = await rooms.current().rotate(found.pk, link, participant.pk if participant else None)
    return JsonResponse({"link": link_url(request, changed, link), "token": access.token(changed, link)})


@endpoint("GET")
async def participants(request: HttpRequest, session: str) -> HttpResponse:
    """Everybody who has joined and may come back, the newest first, here or not."""
    found, _ = await _requester(request, session, "manage")
    here = rooms.current().present(session)
    rows = await sync_to_async(_rows)(found)
    return JsonResponse(
        {
            "participants": [
                {
                    "participant": row.pk,
                    "name": row.name,
                    "color": row.color,
                    "role": row.role,
                    "here": row.pk in here,
                    "joined_at": row.created_at.isoformat(),
                }
                for row in rows
            ]
        }
    )


def _rows(session: Session) -> list[Participant]:
    return [
        row
        for row in Participant.objects.filter(session=session, removed=False).order_by("-created_at")[:LISTED]
        if row.generation == getattr(session, row.link + "_generation")
    ]


@endpoint("PATCH", "DELETE")
async def participant(request: HttpRequest, session: str, participant: str) -> HttpResponse:
    """PATCH gives a participant another ``role``, here or not; DELETE removes them."""
    found, asking = await _requester(request, session, "manage")
    if asking and asking.pk == participant:
        raise Refused(400, "bad_message", "A host cannot change or remove themselves: another host must, or end the session.")
    try:
        if request.method == "DELETE":
            await rooms.current().remove(found.pk, participant)
            return HttpResponse(status=204)
        role = string(body(request), "role", 10)
        if role not in ROLES:
            raise Refused(400, "bad_message", f"`role` must be one of {', '.join(ROLES)}.")
        await rooms.current().set_role(found.pk, participant, role)
        return JsonResponse({"participant": participant, "role": role})
    except KeyError:
        raise Refused(404, "not_found", "There is no such participant in this session.") from None
