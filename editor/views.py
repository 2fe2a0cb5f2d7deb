"""Pages and the HTTP interface."""

from __future__ import annotations

import asyncio
import io
import re
import time
import zipfile
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, TypeVar

import segno
from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from editor import access, history, rooms, storage
from editor.http import Refused, body, client_address, endpoint, requester, session_of, string
from editor.languages import detect
from editor.models import Session
from editor.permissions import LINK_ROLES, may

T = TypeVar("T")

FIRST_FILE = "main.py"
PATH_LENGTH = 200
TITLE_LENGTH = 100
HOUR_S = 3600

_created: dict[str, deque[float]] = {}


def landing(request: HttpRequest) -> HttpResponse:
    return render(request, "landing.html", {"csp_nonce": request.csp_nonce})


def session_page(request: HttpRequest, session: str) -> HttpResponse:
    """The shell. It tells nothing but whether the session exists: the token is in the fragment, which no server sees."""
    found = access.find_session(session)
    context = {"csp_nonce": request.csp_nonce, "session_id": session, "title": found.title if found else ""}
    if found is None:
        context |= {"message": "This session does not exist, or it has ended.", "status": 404}
        return render(request, "error.html", context, status=404)
    return render(request, "session.html", context)


@endpoint("POST")
def create_session(request: HttpRequest) -> HttpResponse:
    given = body(request)
    title = string(given, "title", TITLE_LENGTH).strip().replace("\0", "")
    files = _files(given.get("files"))
    _count_session(client_address(request))
    session = storage.writer.call(lambda: access.create_session(title, files or [(FIRST_FILE, "")])).result()
    tokens = {link: access.token(session, link) for link in LINK_ROLES}
    links = {link: link_url(request, session, link) for link in ("edit", "view")}
    paths = [path for path, _ in files] or [FIRST_FILE]
    made = {"id": session.pk, "expires_at": session.expires_at.isoformat(), "links": links, "tokens": tokens, "paths": paths}
    return JsonResponse(made, status=201)


def _files(value: Any) -> list[tuple[str, str]]:
    limits = settings.ENSEMBLE
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(file, dict) for file in value):
        raise Refused(400, "bad_message", "`files` must be a list of {path, content} objects.")
    if len(value) > limits["ENSEMBLE_MAX_FILES"]:
        raise Refused(413, "too_large", f"{len(value)} files are more than the limit of {limits['ENSEMBLE_MAX_FILES']} (ENSEMBLE_MAX_FILES).")
    files = []
    for file in value:
        path = clean_path(string(file, "path", PATH_LENGTH))
        content = file.get("content", "")
        if not isinstance(content, str):
            raise Refused(400, "bad_message", f"{path}: `content` must be a string.")
        try:
            length = len(content.encode())
        except UnicodeEncodeError:
            raise Refused(400, "bad_message", f"{path}: the content holds half of a surrogate pair.") from None
        if length > limits["ENSEMBLE_MAX_FILE_BYTES"]:
            raise Refused(413, "too_large", f"{path} has {length} bytes; the limit is {limits['ENSEMBLE_MAX_FILE_BYTES']} (ENSEMBLE_MAX_FILE_BYTES).")
        files.append((path, content.replace("\r\n", "\n").replace("\r", "\n")))
    # The other half is for their history.
    most, size = limits["ENSEMBLE_MAX_DOCUMENT_BYTES"] // 2, sum(len(content.encode()) for _, content in files)
    if size > most:
        raise Refused(413, "too_large", f"The files together have {size} bytes; {most} is the limit (half of ENSEMBLE_MAX_DOCUMENT_BYTES).")
    if twice := [path for path, count in Counter(path for path, _ in files).items() if count > 1]:
        raise Refused(400, "bad_message", f"{twice[0]} comes twice: each file needs a path of its own.")
    return files


DRIVE = re.compile("[A-Za-z]:")


def clean_path(path: str) -> str:
    """A relative path with no way out of its folder."""
    # What cannot be seen goes first: without it, a name may turn out to be "..".
    seen = "".join(c for c in path.replace("\\", "/") if c.isprintable())
    parts = [part for part in (part.strip() for part in seen.split("/")) if part.strip(".")]
    cleaned = "/".join(parts[1:] if parts and DRIVE.fullmatch(parts[0]) else parts)
    if not cleaned:
        raise Refused(400, "bad_message", "A file needs a path such as `main.py`.")
    return cleaned


def _count_session(address: str) -> None:
    limit = settings.ENSEMBLE["ENSEMBLE_MAX_SESSIONS_PER_HOUR"]
    now = time.monotonic()
    for known in [a for a, times in list(_created.items()) if not times or times[-1] < now - HOUR_S]:
        _created.pop(known, None)
    times = _created.setdefault(address, deque(maxlen=limit + 1))
    while times and times[0] < now - HOUR_S:
        times.popleft()
    if len(times) >= limit:
        raise Refused(429, "too_fast", f"{limit} sessions an hour from one address are the limit (ENSEMBLE_MAX_SESSIONS_PER_HOUR). Try again later.")
    times.append(now)


def link_url(request: HttpRequest, session: Session, link: str) -> str:
    base = settings.PUBLIC_URL or f"{request.scheme}://{request.get_host()}"
    return f"{base}/s/{session.pk}#{access.token(session, link)}"


@endpoint("POST")
def join(request: HttpRequest, session: str) -> HttpResponse:
    """Exchanges a token for a cookie; without one, the cookie says who comes back."""
    given = body(request)
    token, name = string(given, "token", 200), string(given, "name", 400)
    found = session_of(session)
    known = access.known_participant(found, request.COOKIES)
    if known and known.removed:
        raise Refused(403, "forbidden", "You were removed from this session. Ask its host to let you in again.")
    participant = access.participant_of(found, request.COOKIES)
    if token:
        link = access.link_of(found, token)
        if link is None:
            raise Refused(401, "unauthorised", "This link is not valid any more. Ask for the new one.")
        participant = storage.writer.call(lambda: access.admit(found, link, name, known)).result()
    if participant is None and known:
        raise Refused(401, "unauthorised", "The link that you joined with was replaced. Ask for the new one.")
    if participant is None:
        raise Refused(401, "unauthorised", "Open the link that you were given: it holds the key to this session.")
    answer = JsonResponse(
        {
            "role": participant.role,
            "participant": participant.pk,
            "name": participant.name,
            "color": participant.color,
            "title": found.title,
            "links": shared_links(request, found, participant.role),
        }
    )
    answer.set_cookie(
        access.cookie_name(found.pk),
        access.cookie_value(participant),
        max_age=access.COOKIE_AGE_S,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure(),
    )
    return answer


def shared_links(request: HttpRequest, session: Session, role: str) -> dict[str, str]:
    """The links that a role may give to others."""
    allowed = {"edit": may(role, "share_edit"), "view": may(role, "share_view")}
    return {link: link_url(request, session, link) for link, shared in allowed.items() if shared}


@endpoint("GET")
def qr(request: HttpRequest, session: str) -> HttpResponse:
    """The QR code of a link. The token is in no address: the cookie says which links this person may share."""
    found, participant = requester(request, session, "share_view")
    url = shared_links(request, found, participant.role).get(request.GET.get("role", "")) if participant else None
    if url is None:
        raise Refused(403, "forbidden", "Your role in this session does not share this link.")
    out = io.BytesIO()
    segno.make(url, error="m", micro=False).save(out, kind="svg", border=2, xmldecl=False, svgns=True, dark="#000", light="#fff", omitsize=True)
    return HttpResponse(out.getvalue(), content_type="image/svg+xml")


async def live_room(request: HttpRequest, session: str) -> rooms.LiveRoom:
    """The live room of somebody who may read it. Raises Refused."""
    await sync_to_async(requester)(request, session, "read")
    try:
        return await rooms.current().get(session)
    except rooms.NoSession:
        raise Refused(404, "not_found", "This session does not exist, or it has ended.") from None
    except storage.Unloadable:
        raise Refused(503, "internal", "The session's text cannot be read just now. It is safe; try again later.") from None


@endpoint("GET")
async def file_text(request: HttpRequest, session: str, path: str) -> HttpResponse:
    """A file as it stands."""
    document = (await live_room(request, session)).room.document
    file = next((file for file, known in document.files().items() if known == path), None)
    if file is None:
        raise Refused(404, "not_found", f"There is no file {path} in this session.")
    return HttpResponse(document.text(file), content_type="text/plain; charset=utf-8")


@endpoint("GET")
async def export(request: HttpRequest, session: str) -> HttpResponse:
    """All files as they stand, or as they were after the update ``version``, in a zip."""
    version = request.GET.get("version", "")
    if version:
        found, _ = await sync_to_async(requester)(request, session, "history")
        contents = await _of_history(lambda: history.contents_at(session, history.row_number(version)))
        return await asyncio.to_thread(zip_answer, f"{found.title}-{version}", contents)
    live = await live_room(request, session)
    return await asyncio.to_thread(zip_answer, live.room.title, live.room.document.contents())


@endpoint("GET")
async def history_overview(request: HttpRequest, session: str) -> HttpResponse:
    """The history's segments, and who wrote what."""
    await sync_to_async(requester)(request, session, "history")
    return JsonResponse(await _of_history(lambda: history.overview(session)))


@endpoint("GET")
async def history_segment(request: HttpRequest, session: str, segment: str) -> HttpResponse:
    await sync_to_async(requester)(request, session, "history")
    return HttpResponse(await _of_history(lambda: history.segment(session, segment)), content_type="application/octet-stream")


async def _of_history(read: Callable[[], T]) -> T:
    """Behind what has been written so far. Raises Refused."""
    try:
        await storage.call(lambda: None)
        # Not on the writer's thread: replaying a long history would hold up what everybody is typing.
        return await storage.read(read)
    except KeyError:
        raise Refused(404, "not_found", "The history does not reach that far back, or there is no such part of it.") from None


def zip_answer(title: str, files: list[tuple[str, str]]) -> HttpResponse:
    """(path, text) of each file as a download."""
    answer = HttpResponse(_zipped(files), content_type="application/zip")
    answer.headers["Content-Disposition"] = f'attachment; filename="{_slug(title)}.zip"'
    return answer


def _zipped(files: list[tuple[str, str]]) -> bytes:
    out = io.BytesIO()
    used: set[str] = set()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files:
            # Paths come from the document, where anybody may write anything.
            try:
                name = unique = clean_path(path)
            except Refused:
                name = unique = "unnamed"
            number = 2
            while unique in used:
                unique = f"{name}.{number}"
                number += 1
            used.add(unique)
            archive.writestr(unique, text)
    return out.getvalue()


def _slug(title: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in title).strip("-") or "ensemble"


@endpoint("POST")
def language(request: HttpRequest) -> HttpResponse:
    """The language of a new or dropped file, by Pygments."""
    given = body(request)
    found = detect(string(given, "path", PATH_LENGTH), string(given, "content", 65536))
    return JsonResponse({"language": found.name, "extension": found.extension})
