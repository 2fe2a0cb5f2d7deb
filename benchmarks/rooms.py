"""People writing together: our server beside Hocuspocus and y-websocket, under one load generator, in one run.

The peers keep everything in memory; ours makes every update durable on the disk besides. Servers take turns,
window by window, as machines are noisy; each figure is the median of the quietest windows. ``docs/performance.md`` says more.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from benchmarks.servers import Kind, Load, Server
from benchmarks.servers import joining as join_stock

WARM_S = 0.5
JOINING = 8
# Where the generator was later than this at one update in a hundred, the machine was measured and not a server: that round
# is measured again, for all of them. At most as many times as there are rounds.
LATE_MS = 10


@dataclass(frozen=True)
class Scenario:
    """``rate``: updates a second of each typist."""

    name: str
    rooms: int
    members: int
    typists: int
    rate: float
    seconds: float = 1.2
    windows: int = 5

    def __str__(self) -> str:
        people = f"{self.members} who all type" if self.typists == self.members else f"{self.members - self.typists} watching {self.typists}"
        updates = self.rooms * self.typists * self.rate
        return f"{self.name}: {self.rooms} room{'s' * (self.rooms > 1)} of {people}, {updates:,.0f} updates/s in all"


SCENARIOS = (
    Scenario("rooms", rooms=200, members=3, typists=3, rate=10 / 3),
    Scenario("typing", rooms=1, members=60, typists=60, rate=1),
    Scenario("busy", rooms=1, members=60, typists=60, rate=8),
    Scenario("audience", rooms=1, members=201, typists=1, rate=10, seconds=2),
)

HEADER = f"{'p50':>8}{'p95':>8}{'p99 ms':>8}{'CPU s/s':>9}{'frames/s':>10}{'kB/s':>8}{'missing':>9}{'join CPU s':>12}"


def row(figures: dict[str, float]) -> str:
    f = figures
    return f"{f['p50']:8.2f}{f['p95']:8.2f}{f['p99']:8.2f}{f['cpu']:9.2f}{f['frames']:10,.0f}{f['kB']:8,.0f}{f['missing']:9,.0f}{f['join']:12.2f}"


def ratio(a: dict[str, float], b: dict[str, float]) -> str:
    def of(name: str, width: int) -> str:
        return f"{a[name] / b[name]:{width}.2f}" if b[name] else " " * width

    return of("p50", 8) + of("p95", 8) + of("p99", 8) + of("cpu", 9) + of("frames", 10) + of("kB", 8) + " " * 9 + of("join", 12)


def under_load(scenario: Scenario, servers: list[Server]) -> list[dict[str, float]]:
    """Figures of each server, whose windows take turns."""
    with ExitStack() as stack:
        loads, joining = [], []
        for server in servers:
            load = stack.enter_context(closing(Load(server)))
            updates = round(scenario.rate * (WARM_S + 2 * scenario.windows * scenario.seconds)) + 1
            rooms = server.rooms(scenario.rooms, scenario.name)
            joining.append(load.open(rooms, members=scenario.members, typists=scenario.typists, updates=updates))
            loads.append(load)
        missing = [load.measure(WARM_S, scenario.rate)["missing"] for load in loads]
        rounds: list[list[dict[str, Any]]] = []
        quiet = 0
        while quiet < scenario.windows and len(rounds) < 2 * scenario.windows:
            rounds.append([load.measure(scenario.seconds, scenario.rate) for load in loads])
            quiet += _late(rounds[-1]) <= LATE_MS
        figures = []
        quietest = sorted(rounds, key=_late)[: scenario.windows]
        for at, load in enumerate(loads):
            # Nothing may be missing in any of them.
            lost = missing[at] + sum(windows[at]["missing"] for windows in rounds) + load.lost()
            figures.append({"join": joining[at], "missing": lost, **summary([windows[at] for windows in quietest])})
        return figures


def _late(windows: list[dict[str, Any]]) -> float:
    return max(float(window["late"]) for window in windows)


def summary(windows: list[dict[str, Any]]) -> dict[str, float]:
    def median(of: Callable[[dict[str, Any]], float]) -> float:
        return statistics.median(of(window) for window in windows)

    return {
        **{name: median(lambda w, at=at: w["latency"][at]) for at, name in enumerate(("p50", "p95", "p99"))},
        # Of all windows together: a process's time is counted in hundredths of a second.
        "cpu": sum(w["cpu"] for w in windows) / sum(w["wall"] for w in windows),
        "frames": median(lambda w: w["frames"] / w["wall"]),
        "kB": median(lambda w: w["bytes"] / w["wall"] / 1000),
        "late": median(lambda w: w["late"]),
    }


def table(scenario: Scenario, servers: list[Server]) -> None:
    figures = under_load(scenario, servers)
    print(f"\n{scenario}\n{'':30}{HEADER}")
    for server, found in zip(servers, figures, strict=True):
        late = f"  (the generator was {found['late']:.0f} ms late)" if found["late"] > LATE_MS else ""
        print(f"  {server.kind.pinned:28}{row(found)}{late}")
    by_name = dict(zip((server.kind.name for server in servers), figures, strict=True))
    print(f"  {'ours / hocuspocus':28}{ratio(by_name['ours'], by_name['hocuspocus'])}", flush=True)


def table_of_joining(servers: list[Server]) -> None:
    print(f"\njoining: {JOINING} stock clients come into one room, one of them types; frames in all")
    print(f"{'':30}{'join, sent to them':>20}{'by them':>10}{'a keystroke, to them':>22}{'by them':>10}{'missing':>9}")
    for server in servers:
        found = join_stock(server, JOINING)
        join, keystroke = found["join"], found["keystroke"]
        print(
            f"  {server.kind.pinned:28}{join['in']:20}{join['out']:10}{keystroke['in']:22.1f}{keystroke['out']:10.1f}{found['missing']:9}", flush=True
        )


def report(scenarios: list[Scenario], kinds: list[Kind], *, joining: bool) -> None:
    if not scenarios and not joining:
        return
    with ExitStack() as stack:
        servers = [stack.enter_context(closing(Server(kind))) for kind in kinds]
        for scenario in scenarios:
            table(scenario, servers)
        if joining:
            table_of_joining(servers)
