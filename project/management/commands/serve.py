"""``manage.py serve``: checks what the server needs, migrates, starts Daphne, and prints the link."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from inference.catalogue import UnknownModel
from project import alive, config, endpoints, models


class Command(BaseCommand):
    help = "Starts Ensemble."

    def handle(self, *args: Any, **kwargs: Any) -> None:
        # What people write is nobody else's on this machine.
        os.umask(0o077)
        values = config.values
        host, port = values["HOST"], values["PORT"]
        bound = _bind(host, port)
        _check_data()
        _hold_data()
        if notice := _check_model():
            self.stdout.write(notice)
        try:
            call_command("migrate", verbosity=0, interactive=False)
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            connection.close()
        except Exception as fault:
            raise CommandError(f"The database cannot be used: {fault}. Check DATABASE_URL and ENSEMBLE_DATA.") from None
        self._serve(bound)

    def _serve(self, bound: socket.socket) -> None:
        # Installing the reactor has to come before anything else of Twisted.
        from project.server import Server  # isort: skip

        from twisted.internet import reactor

        from editor import rooms
        from project.asgi import application

        host, port = bound.getsockname()[:2]
        bound.set_inheritable(True)
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        here = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"

        def ready() -> None:
            # What is here now stays: the garbage collector need not look through it again and again.
            gc.collect()
            gc.freeze()
            asyncio.get_event_loop().call_soon(rooms.current().start)
            self.stdout.write(f"Ensemble is open at {here}  (Ctrl-C ends it)")
            if settings.PUBLIC_URL:
                self.stdout.write(f"People reach it at {settings.PUBLIC_URL}")
            if host in ("0.0.0.0", "::") and not settings.PUBLIC_URL and (address := _network_address()):
                self.stdout.write(f"Others on your network open http://{address}:{port}")
            self.stdout.flush()

        server = Server(
            application=application,
            endpoints=[f"fd:fileno={bound.fileno()}"],
            signal_handlers=True,
            # Our own limit answers before this one: it is there for what no honest client sends.
            frame_limit=4 * config.values["ENSEMBLE_MAX_FRAME_BYTES"],
            body_limit=config.values["ENSEMBLE_MAX_DOCUMENT_BYTES"],
            websocket_timeout=-1,
            ping_interval=20,
            ping_timeout=30,
            verbosity=0,
            server_name="Ensemble",
            ready_callable=ready,
        )
        reactor.addSystemEventTrigger("before", "shutdown", _shut_down)  # type: ignore[arg-type]
        server.run()


def _network_address() -> str | None:
    """This machine's address as its network sees it. Nothing is sent: a datagram socket only looks up the route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        try:
            route.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(route.getsockname()[0])


def _shut_down() -> Any:
    """Members are told, runs end, everything is written; then the reactor may stop."""
    from twisted.internet.defer import Deferred

    from editor import rooms

    return Deferred.fromFuture(asyncio.ensure_future(rooms.current().close()))


def _bind(host: str, port: int) -> socket.socket:
    """Bound before anything else, so that a taken port is said at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(128)
    except socket.gaierror:
        raise CommandError(
            f"HOST is {host}, which is no address of this machine: 127.0.0.1 is for this machine alone, 0.0.0.0 lets others in."
        ) from None
    except (OSError, OverflowError) as fault:
        raise CommandError(
            f"Port {port} on {host} cannot be used ({fault}). Set PORT to a free one, such as PORT={port + 1 if port < 65535 else 8000}."
        ) from None
    bound.setblocking(False)
    return bound


def _check_data() -> None:
    probe = settings.DATA / ".writable"
    try:
        settings.DATA.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as fault:
        raise CommandError(f"The data folder {settings.DATA} cannot be written ({fault.strerror}). Set ENSEMBLE_DATA to a folder of yours.") from None


def _hold_data() -> None:
    try:
        alive.hold(settings.DATA)
    except alive.Taken as by:
        raise CommandError(
            f"Another server (process {by}) uses the data folder {settings.DATA}. Stop it, or set ENSEMBLE_DATA to another folder for this one."
        ) from None
    except OSError as fault:
        raise CommandError(f"{settings.DATA / alive.LOCK} cannot be written ({fault.strerror}). Set ENSEMBLE_DATA to a folder of yours.") from None


def _check_model() -> str:
    """Raises CommandError where what the environment says cannot be. Returns what is to be said of a choice that cannot be any more."""
    try:
        return endpoints.check()
    except endpoints.BadEndpoint as fault:
        raise CommandError(str(fault)) from None
    except (UnknownModel, models.Unusable) as fault:
        raise CommandError(f"{fault} Set ENSEMBLE_MODEL to a GGUF file, or leave it empty for the embedded model.") from None
