"""Memory of idle rooms, of idle clients, and of an hour's typing. A fresh server of each kind; all at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from benchmarks.servers import Kind, Load, Server

ROOMS = 400
MORE_CLIENTS = 2
WARM_ROOMS = 20
# An hour at five characters a second, sent as fast as everybody takes it. Time is what cannot be compressed: fewer and
# larger frames reach the log than in a real hour, so its size on the disk is not measured here.
HOUR_UPDATES = 5 * 3600
HOUR_ROOMS = 2
HOUR_RATE = 1500


def measure(kind: Kind) -> tuple[float, float, float, float]:
    """Bytes: of an empty server, an idle room, an idle client, and an hour of one typist."""
    with closing(Server(kind)) as server:
        with closing(Load(server)) as load:
            load.open(server.rooms(WARM_ROOMS, "warm"), members=2, typists=1, updates=2000)
            load.measure(2, HOUR_RATE)
            empty = server.resident()
            rooms = server.rooms(ROOMS)
            idle = Load(server)
            with closing(idle):
                idle.open(rooms, members=1, typists=0, updates=0)
                with_rooms = server.resident()
                idle.open(rooms, members=MORE_CLIENTS, typists=0, updates=0)
                with_clients = server.resident()
                client = (with_clients - with_rooms) / (ROOMS * MORE_CLIENTS)
                typing = Load(server)
                with closing(typing):
                    typing.open(server.rooms(HOUR_ROOMS, "hour"), members=1, typists=1, updates=HOUR_UPDATES)
                    before = server.resident()
                    typing.measure(HOUR_UPDATES / HOUR_RATE, HOUR_RATE)
                    if lost := typing.lost():
                        raise RuntimeError(f"{kind.name} lost {lost} updates")
                    hour = (server.resident() - before) / HOUR_ROOMS
        return empty, (with_rooms - empty) / ROOMS - client, client, hour


def report(kinds: list[Kind]) -> None:
    with ThreadPoolExecutor(len(kinds)) as pool:
        found = dict(zip(kinds, pool.map(measure, kinds), strict=True))
    print(f"\nmemory: {ROOMS} idle rooms, {ROOMS * MORE_CLIENTS} idle clients, {HOUR_UPDATES:,} characters typed in one room")
    print(f"{'':30}{'server, MB':>12}{'room, kB':>12}{'client, kB':>12}{'an hour, kB':>12}")
    for kind, (empty, room, client, hour) in found.items():
        print(f"  {kind.pinned:28}{empty / 1e6:12.1f}{room / 1e3:12.1f}{client / 1e3:12.1f}{hour / 1e3:12.1f}", flush=True)
