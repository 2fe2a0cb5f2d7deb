"""Capabilities: links, cookies and who a request is.

A link's token is derived from the server's secret key, the session, its role and a generation. It is stored
nowhere, so a leaked database opens nothing; raising the generation replaces it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.core import signing
from django.http.cookie import parse_cookie
from django.utils import timezone

from editor import presence, storage
from editor.document import new_document
from editor.models import DocumentUpdate, Participant, Session
from editor.permissions import LINK_ROLES, ROLES, Role

COOKIE_AGE_S = 30 * 24 * 3600
_SALT = "ensemble.participant"


def token(session: Session, link: str) -> str:
    """``link`` is a key of LINK_ROLES."""
    message = f"ensemble:{session.pk}:{link}:{getattr(session, link + '_generation')}"
    digest = hmac.new(settings.SECRET_KEY.encode(), message.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:18]).decode()


def link_of(session: Session, given: str) -> str | None:
    """Which link a token is, in constant time."""
    found = None
    for link in LINK_ROLES:
        if hmac.compare_digest(token(session, link).encode(), given.encode("utf-8", "replace")):
            found = link
    return found


def create_session(title: str, files: list[tuple[str, str]]) -> Session:
    """On the writer thread. The first update is written with the row: no session is ever without text."""
    now = timezone.now()
    session = Session.objects.create(
        id=secrets.token_urlsafe(9),
        title=title,
        lineage=secrets.token_hex(16),
        active_at=now,
        expires_at=now + timedelta(days=settings.ENSEMBLE["ENSEMBLE_IDLE_DAYS"]),
    )
    DocumentUpdate.objects.create(session=session, at=int(now.timestamp() * 1000), data=new_document(files))
    return session


def find_session(session_id: str) -> Session | None:
    return Session.objects.filter(pk=session_id, expires_at__gt=timezone.now()).first()


def cookie_name(session_id: str) -> str:
    # Ids may begin with '-' or '_', which cookie names may as well.
    return f"ensemble_{session_id}"


def cookie_value(participant: Participant) -> str:
    return signing.dumps([participant.session_id, participant.pk], salt=_SALT, compress=False)


def known_participant(session: Session, cookies: Mapping[str, str]) -> Participant | None:
    """Who a cookie says this is, whether or not they may still come in."""
    try:
        session_id, participant_id = signing.loads(cookies.get(cookie_name(session.pk), ""), salt=_SALT, max_age=COOKIE_AGE_S)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    if session_id != session.pk:
        return None
    return Participant.objects.filter(pk=participant_id, session=session).first()


def participant_of(session: Session, cookies: Mapping[str, str]) -> Participant | None:
    """Who a cookie says this is, if their link still holds and nobody has removed them."""
    participant = known_participant(session, cookies)
    if participant and not participant.removed and participant.generation == getattr(session, participant.link + "_generation"):
        return participant
    return None


def admit(session: Session, link: str, name: str, known: Participant | None) -> Participant:
    """Who somebody with a link's token is from now on: who they were, where the link gives nothing more. On the writer thread."""
    if known is None:
        return add_participant(session, link, name)
    current = getattr(session, known.link + "_generation")
    if known.link == link:
        # Their link was replaced, and they have the new one. What the host made of their role stays.
        known.generation = current
        known.save(update_fields=("generation",))
    elif known.generation != current or ROLES.index(LINK_ROLES[link]) < ROLES.index(_role(known.role)):
        return add_participant(session, link, name or known.name)
    return known


def _role(role: str) -> Role:
    return next(known for known in ROLES if known == role)


def add_participant(session: Session, link: str, name: str) -> Participant:
    """On the writer thread."""
    taken = list(Participant.objects.filter(session=session).order_by("-created_at").values_list("color", flat=True)[:50])
    return Participant.objects.create(
        id=secrets.token_urlsafe(9),
        session=session,
        name=presence.clean_name(name, settings.ENSEMBLE["ENSEMBLE_MAX_NAME_LENGTH"]),
        color=presence.pick_color(taken),
        role=LINK_ROLES[link],
        link=link,
        generation=getattr(session, link + "_generation"),
    )


def same_origin(origin: str | None, host: str | None) -> bool:
    """Whether a browser's Origin header names the host that it asked."""
    return bool(origin and host) and urlsplit(origin).netloc.lower() == str(host).lower()


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of an Authorization header; header names in lower case."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


def identify(session_id: str, headers: Mapping[str, str], name: str = "") -> tuple[Session | None, Participant | None]:
    """Who a connection is: by Bearer token (a participant is made for it), else by cookie. Not on the loop.

    Raises nothing: no session, or nobody that it knows, is None.
    """
    session = find_session(session_id)
    if session is None:
        return None, None
    given = bearer(headers)
    if given is None:
        return session, participant_of(session, parse_cookie(headers.get("cookie", "")))
    link = link_of(session, given)
    if link is None:
        return session, None
    return session, storage.writer.call(lambda: add_participant(session, link, name or "Guest")).result()


def role_of(session: Session, headers: Mapping[str, str]) -> tuple[str | None, Participant | None]:
    """The role of an HTTP request, and who asks if a cookie says so; nobody is made a participant."""
    given = bearer(headers)
    if given is not None:
        link = link_of(session, given)
        return (LINK_ROLES[link] if link else None), None
    participant = participant_of(session, parse_cookie(headers.get("cookie", "")))
    return (participant.role if participant else None), participant
