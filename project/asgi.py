"""The ASGI application: Django for HTTP, the editor's consumer for WebSockets."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

from django.core.asgi import get_asgi_application

http = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

from editor import rooms
from editor.consumers import consumer, refuse
from editor.transport import Receive, Send


async def lifespan(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """For servers that tell of their start and end; ``manage.py serve`` does both itself."""
    await receive()
    rooms.current().start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await rooms.current().close()
    await send({"type": "lifespan.shutdown.complete"})


application = ProtocolTypeRouter(
    {
        "http": http,
        "lifespan": lifespan,
        "websocket": URLRouter([path("ws/<str:session>", consumer), path("<path:rest>", refuse)]),
    }
)
