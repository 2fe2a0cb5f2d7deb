"""Same-origin rules and response headers."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse, JsonResponse

from editor.access import same_origin

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self' ws: wss:; font-src 'self'; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)


PROBES = ("/livez", "/readyz", "/metrics")


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Refuses changes that another site's page asks for, and sets the headers of every response."""

    def before(request: HttpRequest) -> HttpResponse | None:
        if request.path in PROBES:
            # Asked by whatever address: what they say depends on no name.
            request.get_host = lambda: "localhost"
        request.csp_nonce = secrets.token_urlsafe(16)
        origin = request.headers.get("Origin")
        if request.method not in ("GET", "HEAD", "OPTIONS") and origin is not None and not same_origin(origin, request.headers.get("Host")):
            return JsonResponse({"error": {"code": "forbidden", "message": "This request came from another site's page."}}, status=403)
        return None

    def after(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response.headers.setdefault("Content-Security-Policy", POLICY.format(nonce=request.csp_nonce))
        if request.path.startswith(("/api/", "/s/")):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    if iscoroutinefunction(get_response):

        async def handle_async(request: HttpRequest) -> HttpResponse:
            return before(request) or after(request, await get_response(request))

        return handle_async

    def handle(request: HttpRequest) -> HttpResponse:
        return before(request) or after(request, get_response(request))

    return handle


middleware.async_capable = True  # type: ignore[attr-defined]
middleware.sync_capable = True  # type: ignore[attr-defined]
