"""What every HTTP endpoint shares: refusals with a code and a sentence, bodies that are checked, and who asks."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from editor import access, storage
from editor.models import Participant, Session
from editor.permissions import Action, may
from editor.protocol import ERRORS, utf16_length


class Refused(Exception):
    """An answer with an error status; ``code`` as in the protocol."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        assert code in ERRORS, code
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers


# What a database that is away raises.
DOWN = (storage.Unwritable, OperationalError, InterfaceError)


def refusal(fault: Exception) -> JsonResponse:
    refused = fault if isinstance(fault, Refused) else Refused(503, "unavailable", "The database cannot be reached just now. Try again in a moment.")
    return JsonResponse({"error": {"code": refused.code, "message": refused.message}}, status=refused.status, headers=refused.headers)


def endpoint(*methods: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An endpoint for these methods; a Refused that it raises becomes the answer.

    Django's CSRF tokens are for forms. Here a change needs our own page's Origin wherever a cookie says who asks
    (``requester``, and the middleware for all), and a Bearer token is sent on purpose.
    """

    allowed = (*methods, "HEAD") if "GET" in methods else methods

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        def check(request: HttpRequest) -> None:
            if request.method not in allowed:
                raise Refused(405, "bad_message", f"Use {' or '.join(methods)} here.", {"Allow": ", ".join(allowed)})

        if iscoroutinefunction(view):

            @functools.wraps(view)
            async def answer_async(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
                try:
                    check(request)
                    return await view(request, *arguments, **named)
                except (Refused, *DOWN) as fault:
                    return refusal(fault)

            return csrf_exempt(markcoroutinefunction(answer_async))

        @functools.wraps(view)
        def answer(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
            try:
                check(request)
                return view(request, *arguments, **named)
            except (Refused, *DOWN) as fault:
                return refusal(fault)

        return csrf_exempt(answer)

    return decorate


def too_long(most: int) -> Refused:
    return Refused(413, "too_large", f"The request's body may have {most} bytes (ENSEMBLE_MAX_DOCUMENT_BYTES).")


def body(request: HttpRequest) -> dict[str, Any]:
    """The request's JSON object; an empty body is an empty one. Raises Refused."""
    try:
        decoded = json.loads(request.body or b"{}")
    except RequestDataTooBig:
        raise too_long(settings.DATA_UPLOAD_MAX_MEMORY_SIZE) from None
    except (ValueError, RecursionError):
        raise Refused(400, "bad_message", "The request's body is not JSON.") from None
    if not isinstance(decoded, dict):
        raise Refused(400, "bad_message", "The request's body must be a JSON object.")
    return decoded


def string(given: dict[str, Any], name: str, longest: int) -> str:
    """A text field, empty where it is missing. Raises Refused."""
    value = given.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str) or utf16_length(value) > longest:
        raise Refused(400, "bad_message", f"`{name}` must be a string of at most {longest} characters.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refused(400, "bad_message", f"`{name}` holds half of a surrogate pair.") from None
    return value


def session_of(session_id: str) -> Session:
    """Raises Refused. Not on the loop."""
    session = access.find_session(session_id)
    if session is None:
        raise Refused(404, "not_found", "This session does not exist, or it has ended.")
    return session


def headers_of(request: HttpRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def requester(request: HttpRequest, session_id: str, action: Action) -> tuple[Session, Participant | None]:
    """The session, and who asks where a cookie says so, if they may do this. Raises Refused. Not on the loop.

    A cookie comes along with whatever page asks: it changes something only for our own, which says where it is from.
    """
    session, headers = session_of(session_id), headers_of(request)
    role, participant = access.role_of(session, headers)
    if role is None:
        raise Refused(401, "unauthorised", "Join the session first, or send its token as `Authorization: Bearer`.")
    if request.method not in ("GET", "HEAD") and participant and not access.same_origin(headers.get("origin"), headers.get("host")):
        raise Refused(403, "forbidden", "With a cookie, this needs the Origin header of Ensemble's own page.")
    if not may(role, action, viewers_may_stop=session.viewers_may_stop):
        raise Refused(403, "forbidden", "Your role in this session does not allow this. Ask its host.")
    return session, participant


def client_address(request: HttpRequest) -> str:
    """Who asks, behind as many proxies of ours as the settings say: what stands before them anybody can write."""
    proxies = settings.ENSEMBLE["ENSEMBLE_PROXIES"]
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    if proxies and forwarded:
        return forwarded[-min(proxies, len(forwarded))]
    return str(request.META.get("REMOTE_ADDR", ""))


@endpoint("GET", "POST", "PUT", "PATCH", "DELETE")
def unknown(request: HttpRequest, rest: str) -> HttpResponse:
    """Whoever asks for an address of the interface reads JSON, also where there is none such."""
    raise Refused(404, "not_found", f"There is no /api/{rest} here: docs/http.md has all addresses.")
