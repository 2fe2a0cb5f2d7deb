"""Our own attention, operation by operation, against the same in double precision: whatever the model's shape, whoever sees which cells."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inference import attention, native

F32, F16, Q8_0 = 0, 1, 8
BLOCK = np.dtype([("scale", np.float16), ("values", np.int8, 32)])
Array = npt.NDArray[np.float64]

pytestmark = pytest.mark.skipif(not attention.library().is_file(), reason="the set-up found no attention of our own for this processor")


class Start(ctypes.Structure):
    _fields_ = (("size", ctypes.c_size_t), ("memory", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


def library(name: str) -> ctypes.CDLL:
    return ctypes.CDLL(str(attention.library().with_name(attention.NAME.replace("ensemble-attention", name))))


@contextmanager
def context(size: int) -> Iterator[tuple[Any, Any, Any]]:
    base, cpu = library("ggml-base"), library("ggml-cpu")
    for name in ("ggml_init", "ggml_new_tensor_3d", "ggml_new_tensor_2d", "ggml_get_data", "ggml_permute", "ggml_flash_attn_ext", "ggml_new_graph"):
        getattr(base, name).restype = ctypes.c_void_p
    cpu.ggml_cpu_init()
    handle = ctypes.c_void_p(base.ggml_init(Start(size, None, False)))
    try:
        yield base, cpu, handle
    finally:
        base.ggml_free(handle)


def computed(queries: Array, keys: Array, values: Array, seen: npt.NDArray[np.bool_], kind: int, threads: int, own: bool) -> Array:
    """``queries`` (tokens, heads, size), ``keys`` and ``values`` (cells, heads, size), ``seen`` (tokens, cells) -> (tokens, heads, size)."""
    attention.use()
    ctypes.CDLL(str(attention.library())).ensemble_attention(int(own))
    try:
        with context(64 * 2**20) as (base, cpu, handle):

            def tensor(data: Array, kind: int) -> ctypes.c_void_p:
                """As the cache has it: cells first, looked at by heads."""
                made = ctypes.c_void_p(base.ggml_new_tensor_3d(handle, kind, *(ctypes.c_int64(n) for n in reversed(data.shape))))
                raw = data.astype(np.float16 if kind == F16 else np.float32).tobytes() if kind != Q8_0 else blocks(data).tobytes()
                ctypes.memmove(base.ggml_get_data(made), raw, len(raw))
                return ctypes.c_void_p(base.ggml_permute(handle, made, 0, 2, 1, 3))

            mask = ctypes.c_void_p(base.ggml_new_tensor_2d(handle, F16, ctypes.c_int64(seen.shape[1]), ctypes.c_int64(seen.shape[0])))
            hidden = np.where(seen, 0.0, -np.inf).astype(np.float16).tobytes()
            ctypes.memmove(base.ggml_get_data(mask), hidden, len(hidden))
            scale = ctypes.c_float(queries.shape[2] ** -0.5)
            inputs = tensor(queries, F32), tensor(keys, kind), tensor(values, kind), mask
            result = ctypes.c_void_p(base.ggml_flash_attn_ext(handle, *inputs, scale, ctypes.c_float(0), ctypes.c_float(0)))
            graph = ctypes.c_void_p(base.ggml_new_graph(handle))
            base.ggml_build_forward_expand(graph, result)
            assert cpu.ggml_graph_compute_with_ctx(handle, graph, threads) == 0
            shape = (*queries.shape[:2], values.shape[2])
            data = ctypes.string_at(base.ggml_get_data(result), 4 * int(np.prod(shape)))
            return np.frombuffer(data, np.float32).reshape(shape).astype(np.float64)
    finally:
        ctypes.CDLL(str(attention.library())).ensemble_attention(1)


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


def test_any_number_of_threads_gives_the_same_sums() -> None:
    rng = np.random.default_rng(8)
    queries = rng.standard_normal((5, 14, 64))
    keys, values = rng.standard_normal((2, 4000, 2, 64))
    seen = masks("forks", 5, 4000, rng)
    one, *others = (computed(queries, keys, values, seen, F16, threads, own=True) for threads in (1, 2, 3, 8))
    assert all(np.array_equal(one, other) for other in others)


def test_the_engine_takes_it_where_nothing_else_was_chosen() -> None:
    """What the engine's own tests run with."""
    from project.config import EMBEDDED_MODEL

    made = native.Context(EMBEDDED_MODEL, context=256, sequences=1, batch=64, threads=1, extra_buffers=True)
    try:
        assert made.flash is attention.use() is True
    finally:
        made.close()
