"""Addresses of pages and the HTTP interface."""

from __future__ import annotations

from django.urls import path

from editor import http, manage, views
from project import health, modelviews

urlpatterns = [
    path("", views.landing),
    path("s/<str:session>", views.session_page),
    path("api/sessions", views.create_session),
    path("api/sessions/<str:session>", manage.session),
    path("api/sessions/<str:session>/join", views.join),
    path("api/sessions/<str:session>/links/<str:link>/rotate", manage.rotate),
    path("api/sessions/<str:session>/participants", manage.participants),
    path("api/sessions/<str:session>/participants/<str:participant>", manage.participant),
    path("api/sessions/<str:session>/model", modelviews.model),
    path("api/sessions/<str:session>/qr.svg", views.qr),
    path("api/sessions/<str:session>/export.zip", views.export),
    path("api/sessions/<str:session>/history", views.history_overview),
    path("api/sessions/<str:session>/history/<str:segment>", views.history_segment),
    path("api/sessions/<str:session>/files/<path:path>", views.file_text),
    path("api/languages", views.language),
    path("api/<path:rest>", http.unknown),
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
]
