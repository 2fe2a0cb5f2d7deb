"""Whether the process lives, whether it can serve, and its figures."""

from __future__ import annotations

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from editor import rooms


def livez(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"ok": True})


async def readyz(request: HttpRequest) -> HttpResponse:
    """503 until the database answers and the model is ready."""
    from asgiref.sync import sync_to_async

    def database() -> str:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            return "ready"
        except Exception as fault:
            return f"failed: {type(fault).__name__}"

    info = rooms.current().engine.info
    state = {"database": await sync_to_async(database)(), "model": info.state}
    ready = all(value == "ready" for value in state.values())
    return JsonResponse({"ready": ready, **state, "reason": "" if info.state == "ready" else info.detail}, status=200 if ready else 503)


def metrics(request: HttpRequest) -> HttpResponse:
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)
