"""The benchmark's load generator, for a moment: everybody in several rooms types at once, and nothing is missing."""

from __future__ import annotations

import shutil
from contextlib import closing

import pytest

from benchmarks.rooms import Scenario, under_load
from benchmarks.servers import OURS, Server


@pytest.mark.skipif(shutil.which("node") is None, reason="the load generator runs in Node")
def test_every_update_reaches_everybody_else() -> None:
    scenario = Scenario("few", rooms=4, members=5, typists=3, rate=20, seconds=0.5, windows=1)
    with closing(Server(OURS)) as server:
        figures = under_load(scenario, [server])[0]
    assert figures["missing"] == 0
    # Merged or not: each typist's window brings each of the others something.
    assert figures["frames"] >= scenario.rooms * scenario.members
