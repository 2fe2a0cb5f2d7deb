"""``manage.py sessions``: what an operator does with sessions. Deleting and renewing want the server stopped."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.db.models import Max, Sum
from django.db.models.functions import Length
from django.utils import timezone

from editor.models import DocumentSnapshot, DocumentUpdate, HistorySegment, Session


class Command(BaseCommand):
    help = "Lists sessions, ends them, and gives restored ones a new lineage."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        commands.add_parser("list", help="every session: when it was used last, when it expires, bytes")
        commands.add_parser("expire", help="delete the sessions whose time is over; the server does so by itself each hour")
        end = commands.add_parser("end", help="delete sessions with all their data")
        end.add_argument("ids", nargs="+")
        renew = commands.add_parser("new-lineage", help="after restoring a backup: clients keep newer copies apart instead of merging them")
        renew.add_argument("ids", nargs="*")
        renew.add_argument("--all", action="store_true")

    def handle(self, *args: Any, command: str, **options: Any) -> None:
        try:
            self._do(command, options)
        except DatabaseError as fault:
            raise CommandError(f"The database cannot be read: {str(fault).strip()}. It is made by the first start of the server.") from None

    def _do(self, command: str, options: dict[str, Any]) -> None:
        if command == "list":
            for session in Session.objects.order_by("-active_at"):
                self.stdout.write(
                    f"{session.pk}  used {session.active_at:%Y-%m-%d %H:%M}  expires {session.expires_at:%Y-%m-%d}  {_size(session):>10}  {session}"
                )
        elif command == "expire":
            count = Session.objects.filter(expires_at__lte=timezone.now()).count()
            Session.objects.filter(expires_at__lte=timezone.now()).delete()
            self.stdout.write(f"{count} expired sessions deleted")
        elif command == "end":
            for session in self._named(options["ids"]):
                session.delete()
        elif command == "new-lineage":
            if not options["ids"] and not options["all"]:
                raise CommandError("Name sessions, or give --all.")
            for session in Session.objects.all() if options["all"] else self._named(options["ids"]):
                session.lineage = secrets.token_hex(16)
                session.save(update_fields=("lineage",))

    def _named(self, ids: list[str]) -> list[Session]:
        found = {session.pk: session for session in Session.objects.filter(pk__in=ids)}
        missing = [name for name in ids if name not in found]
        if missing:
            raise CommandError(f"No such session: {', '.join(missing)}")
        return list(found.values())


def _size(session: Session) -> str:
    log = DocumentUpdate.objects.filter(session=session).aggregate(size=Sum(Length("data")))["size"] or 0
    snapshot = DocumentSnapshot.objects.filter(session=session).aggregate(size=Max(Length("data")))["size"] or 0
    history = HistorySegment.objects.filter(session=session).aggregate(size=Sum(Length("data") + Length("base")))["size"] or 0
    return f"{(log + snapshot + history) / 1000:.0f} kB"
