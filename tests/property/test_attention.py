"""Our own attention, operation by operation, against the same in double precision: whatever the model's shape, whoever sees which cells."""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inference import kernels, native
from project.config import EMBEDDED_MODEL
from tests.ggml import F16, F32, Array, Pointer, graph

Q8_0 = 8
BLOCK = np.dtype([("scale", np.float16), ("values", np.int8, 32)])

pytestmark = pytest.mark.skipif(not kernels.place().is_file(), reason="the set-up found no kernels for this processor")


def computed(queries: Array, keys: Array, values: Array, seen: npt.NDArray[np.bool_], kind: int, threads: int, own: bool) -> Array:
    """``queries`` (tokens, heads, size), ``keys`` and ``values`` (cells, heads, size), ``seen`` (tokens, cells) -> (tokens, heads, size)."""
    kernels.use(own)
    try:
        with graph() as made:

            def tensor(data: Array, kind: int) -> Pointer:
                """As the cache has it: cells first, looked at by heads."""
                raw = data.astype(np.float16 if kind == F16 else np.float32).tobytes() if kind != Q8_0 else blocks(data).tobytes()
                return Pointer(made.base.ggml_permute(made.handle, made.tensor(kind, raw, *reversed(data.shape)), 0, 2, 1, 3))

            mask = made.tensor(F16, np.where(seen, 0.0, -np.inf).astype(np.float16).tobytes(), *reversed(seen.shape))
            inputs = tensor(queries, F32), tensor(keys, kind), tensor(values, kind), mask
            numbers = (ctypes.c_float(number) for number in (queries.shape[2] ** -0.5, 0, 0))
            result = made.base.ggml_flash_attn_ext(made.handle, *inputs, *numbers)
            return made.compute(result, threads, *queries.shape[:2], values.shape[2])
    finally:
        kernels.use()


def blocks(data: Array) -> npt.NDArray[np.void]:
    parts = data.reshape(-1, 32)
    made = np.zeros(len(parts), BLOCK)
    made["scale"] = np.abs(parts).max(axis=1) / 127
    made["values"] = np.round(parts / np.maximum(made["scale"].astype(np.float64), 1e-9)[:, None]).clip(-127, 127)
    return made


def kept(data: Array, kind: int) -> Array:
    """What the cache holds of it."""
    if kind == F16:
        return data.astype(np.float16).astype(np.float64)
    made = blocks(data)
    return (made["scale"].astype(np.float64)[:, None] * made["values"]).reshape(data.shape)


def exact(queries: Array, keys: Array, values: Array, seen: npt.NDArray[np.bool_]) -> Array:
    share = queries.shape[1] // keys.shape[1]
    keys, values = np.repeat(keys, share, axis=1), np.repeat(values, share, axis=1)
    scores = np.einsum("thd,chd->htc", queries.astype(np.float32).astype(np.float64), keys) * queries.shape[2] ** -0.5
    scores = np.where(seen[None], scores, -np.inf)
    level = np.maximum(scores.max(axis=2, keepdims=True), -1e30)
    weights = np.exp(scores - level)
    total = weights.sum(axis=2, keepdims=True)
    return np.einsum("htc,chd->thd", weights / np.where(total == 0, 1, total), values)


def masks(kind: str, tokens: int, cells: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Who sees which cells: one stream with guesses, a stream each, forks of one beginning, or anything."""
    at = np.arange(cells)
    if kind == "guesses":
        return at[None] <= np.arange(tokens)[:, None] + max(0, cells - tokens - 3)
    if kind == "streams":
        return at[None] % tokens == np.arange(tokens)[:, None]
    if kind == "forks":
        return (at[None] < cells // 2) | (at[None] % (tokens + 1) == np.arange(tokens)[:, None])
    return rng.random((tokens, cells)) < rng.random((tokens, 1))


SHAPES = [(14, 2, 64), (4, 2, 64), (1, 1, 32), (8, 8, 64), (16, 2, 128), (3, 1, 96), (8, 1, 256), (70, 1, 32)]


@settings(max_examples=60, deadline=None)
@example(shape=(14, 2, 64), tokens=1, cells=2048, mask="guesses", kind=F16, threads=2, loud=1.0, seed=0)
@example(shape=(14, 2, 64), tokens=16, cells=3328, mask="guesses", kind=F16, threads=3, loud=1.0, seed=0)
@example(shape=(14, 2, 64), tokens=8, cells=4096, mask="streams", kind=F16, threads=2, loud=1.0, seed=0)
@example(shape=(4, 2, 64), tokens=200, cells=768, mask="guesses", kind=F16, threads=2, loud=1.0, seed=0)
@example(shape=(14, 2, 64), tokens=3, cells=256, mask="nobody", kind=F16, threads=2, loud=1.0, seed=0)
@given(
    shape=st.sampled_from(SHAPES),
    tokens=st.integers(1, 40),
    cells=st.integers(1, 2300),
    mask=st.sampled_from(["guesses", "streams", "forks", "anything"]),
    kind=st.sampled_from([F16, Q8_0]),
    threads=st.integers(1, 3),
    loud=st.sampled_from([0.1, 1.0, 30.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_attention(shape: tuple[int, int, int], tokens: int, cells: int, mask: str, kind: int, threads: int, loud: float, seed: int) -> None:
    heads, key_heads, size = shape
    rng = np.random.default_rng(seed)
    queries = loud * rng.standard_normal((tokens, heads, size))
    keys, values = rng.standard_normal((2, cells, key_heads, size))
    seen = np.zeros((tokens, cells), bool) if mask == "nobody" else masks(mask, tokens, cells, rng)
    found = computed(queries, keys, values, seen, kind, threads, own=True)
    wanted = exact(queries, kept(keys, kind), kept(values, kind), seen)
    # The size of a value is about 1: single precision, summed in an order of its own. A large score's last bit is a share of its weight.
    assert np.abs(found - wanted).max() < 2e-5 * max(1.0, loud)


def test_it_is_as_llama_cpp_computes_it_but_closer() -> None:
    rng = np.random.default_rng(7)
    queries = rng.standard_normal((16, 14, 64))
    keys, values = rng.standard_normal((2, 1500, 2, 64))
    seen = masks("guesses", 16, 1500, rng)
    wanted = exact(queries, kept(keys, F16), kept(values, F16), seen)
    own, theirs = (np.abs(computed(queries, keys, values, seen, F16, 2, own=way) - wanted).max() for way in (True, False))
    assert own < theirs < 0.01


@pytest.mark.parametrize("kind", [F16, Q8_0])
@pytest.mark.parametrize("shape", [(14, 2, 64), (4, 2, 64), (3, 3, 96), (8, 2, 128), (16, 1, 32), (40, 2, 64)])
def test_a_token_gets_the_same_sums_whoever_is_beside_it(kind: int, shape: tuple[int, int, int]) -> None:
    """To the bit: guesses beside it, other people's cells between its own, any number of threads. So replies do not depend on them either."""
    heads, key_heads, size = shape
    rng = np.random.default_rng(8)
    queries = rng.standard_normal((21, heads, size))
    keys, values = rng.standard_normal((2, 2600, key_heads, size))
    queries[3] *= 40  # its largest score comes late, and is far above the others
    seen = np.concatenate([masks("guesses", 16, 2600, rng), masks("anything", 5, 2600, rng)])
    together = computed(queries, keys, values, seen, kind, 2, own=True)
    for threads in (1, 3, 8):
        assert np.array_equal(computed(queries, keys, values, seen, kind, threads, own=True), together)
    for token in (0, 3, 15, 18):
        one = slice(token, token + 1)
        assert np.array_equal(computed(queries[one], keys, values, seen[one], kind, 2, own=True)[0], together[token])
        own = seen[token]
        assert np.array_equal(computed(queries[one], keys[own], values[own], np.ones((1, own.sum()), bool), kind, 2, own=True)[0], together[token])


@pytest.mark.parametrize("mask", ["streams", "forks", "guesses"])
@pytest.mark.parametrize("fault", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["queries", "keys", "values"])
def test_what_is_no_number_is_not_lost_and_harms_nobody_else(where: str, fault: float, mask: str) -> None:
    """The engine knows a model's fault by its logits. Others are computed with it, but do not see its cell."""
    rng = np.random.default_rng(9)
    made = {"queries": rng.standard_normal((8, 14, 64)), "keys": rng.standard_normal((800, 2, 64)), "values": rng.standard_normal((800, 2, 64))}
    seen = masks(mask, 8, 800, rng)
    last = 7
    # A cell that the last token alone sees.
    cell = int(np.flatnonzero(seen[last] & ~seen[:last].any(axis=0))[-1])
    made[where][last if where == "queries" else cell, 0, 5] = fault
    found = computed(made["queries"], made["keys"], made["values"], seen, F16, 2, own=True)
    if where != "keys" or np.isnan(fault):  # an infinite score is a certainty, or none
        assert not np.isfinite(found[last]).all()
    assert np.isfinite(found[:last]).all()


def test_very_low_scores_weigh_as_low_ones() -> None:
    rng = np.random.default_rng(10)
    queries, keys, values = rng.standard_normal((2, 2, 32)), rng.standard_normal((90, 1, 32)), rng.standard_normal((90, 1, 32))
    queries[:, :, 0], keys[:, :, 0] = -1000, 1000  # about -180 000 each
    seen = np.ones((2, 90), bool)
    found = computed(queries, keys, values, seen, F16, 1, own=True)
    assert np.abs(found - exact(queries, kept(keys, F16), kept(values, F16), seen)).max() < 0.05


def test_the_engine_takes_it_where_nothing_else_was_chosen() -> None:
    """What the engine's own tests run with."""
    made = native.Context(EMBEDDED_MODEL, context=256, sequences=1, batch=64, threads=1, extra_buffers=True)
    try:
        assert made.flash
        assert kernels.use().attention
    finally:
        made.close()
