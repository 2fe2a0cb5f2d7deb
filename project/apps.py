"""Start of the process: SQLite's mode is checked by Django, the registry of rooms is put in place."""

from __future__ import annotations

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    name = "project"

    def ready(self) -> None:
        from editor import rooms
        from project.wiring import make_rooms

        rooms.install(make_rooms())
