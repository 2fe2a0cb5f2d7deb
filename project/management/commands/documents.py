"""``manage.py documents``: makes docs/protocol.md and the settings table of docs/operations.md anew."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from project import documents


class Command(BaseCommand):
    help = "Makes the generated documents anew."

    def handle(self, *args: Any, **kwargs: Any) -> None:
        documents.PROTOCOL.write_text(documents.protocol_text())
        documents.OPERATIONS.write_text(documents.operations_text(documents.OPERATIONS.read_text()))
