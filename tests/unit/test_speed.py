"""Slices of prompts beside streams take as long as they may, whatever a token of them costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.options import Options
from inference.speed import LEAST_LEARNT, SLICE_S, SMALLEST_SLICE, Speed

STREAMS, DECODE_S = 7, 0.018


@pytest.fixture
def speed(tmp_path: Path) -> Speed:
    return Speed(Options(tmp_path / "model.gguf", "a model"))


def slices(speed: Speed, seconds_each: float, steps: int = 60) -> list[int]:
    """What was read beside the streams, step by step, on a machine where a token of a prompt takes so long."""
    read = []
    for _ in range(steps):
        read.append(speed.slice(streaming=True))
        speed.took(STREAMS + read[-1], read[-1], DECODE_S + read[-1] * seconds_each)
    return read


@pytest.mark.parametrize("seconds_each", [0.00005, 0.0006, 0.0016, 0.0025])
@pytest.mark.parametrize("rate", [200.0, 1100.0, 20_000.0])
def test_slices_come_to_take_their_time(speed: Speed, rate: float, seconds_each: float) -> None:
    speed.prefill_rate = rate
    speed.took(STREAMS, 0, DECODE_S)
    read = slices(speed, seconds_each)
    # Of the last ones; a slice is whole tokens.
    assert all(SLICE_S / 2 < each * seconds_each < 1.1 * SLICE_S for each in read[-10:]), read
    # Those of prompts alone are as long as they were.
    assert speed.prefill_rate == rate


def test_a_slice_is_never_nothing(speed: Speed) -> None:
    speed.took(STREAMS, 0, DECODE_S)
    assert slices(speed, 10.0)[-1] == SMALLEST_SLICE


def test_keystrokes_beside_streams_say_nothing_of_slices(speed: Speed) -> None:
    speed.took(STREAMS, 0, DECODE_S)
    before = slices(speed, 0.0006)[-1]
    speed.took(STREAMS + 1, 1, 2 * DECODE_S)
    assert speed.slice(streaming=True) == before


def test_a_step_of_prompts_alone_is_never_nothing(speed: Speed) -> None:
    for _ in range(100):
        speed.took(20, 20, 100.0)
    assert speed.slice(streaming=False) == SMALLEST_SLICE


def test_prompts_alone_are_learnt_from_where_they_are_long_enough(speed: Speed) -> None:
    before = speed.prefill_rate
    speed.took(LEAST_LEARNT - 1, LEAST_LEARNT - 1, 1.0)
    assert speed.prefill_rate == before
    for _ in range(40):
        speed.took(500, 500, 1.0)
    assert speed.prefill_rate == pytest.approx(500, rel=0.01)
