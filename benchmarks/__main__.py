"""Side by side with peers, in one run.

    make bench                        everything, about fifteen minutes
    make bench ARGS='rooms busy'      some of it
    python -m benchmarks rooms --also 'before=cd ../before && exec .venv/bin/python manage.py serve'

Machines are shared and noisy: what counts are the ratios.
"""

from __future__ import annotations

import argparse

from benchmarks import beside, llama, memory, model, pair, rooms, servers, worker

TOGETHER = [scenario.name for scenario in rooms.SCENARIOS]
PARTS = ["model", "llama", "worker", "beside", "pair", *TOGETHER, "joining", "memory"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Side by side with peers, in one run.")
    # argparse compares an absent list with its choices, so they are checked by hand.
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure, of: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=COMMAND", help="one more Ensemble, such as another checkout's")
    given = parser.parse_args()
    parts = given.parts or PARTS
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"no such part: {', '.join(unknown)}")
    if "model" in parts:
        model.report()
    if "llama" in parts:
        llama.report()
    if "worker" in parts:
        worker.report()
    if "beside" in parts:
        servers.install()
        beside.report()
    if "pair" in parts:
        servers.install()
        pair.report()
    if set(parts) - {"model", "llama", "worker", "beside", "pair"}:
        servers.install()
        also = [servers.Kind(name, command, "ensemble") for name, _, command in (text.partition("=") for text in given.also)]
        kinds = [*servers.KINDS, *also]
        print("\nOurs makes every update durable; the peers keep all in memory.")
        rooms.report([scenario for scenario in rooms.SCENARIOS if scenario.name in parts], kinds, joining="joining" in parts)
        if "memory" in parts:
            memory.report(kinds)


if __name__ == "__main__":
    main()
