"""The ASGI application: Django for HTTP, the editor's consumer for WebSockets."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

from django.core.asgi import get_asgi_application

http = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

from editor.consumers import consumer, refuse

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": URLRouter([path("ws/<str:session>", consumer), path("<path:rest>", refuse)]),
    }
)
