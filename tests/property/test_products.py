"""Our own products of quantised weights against the same in double precision, for each format and any number of tokens and threads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from gguf import GGMLQuantizationType as Type
from gguf import quants
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inference import kernels, native
from project.config import EMBEDDED_MODEL
from tests.ggml import F32, Array, graph

pytestmark = pytest.mark.skipif(not kernels.use().products, reason="there are no products of our own for this processor")

# Bytes of a block of 256, and where in it its scales in half precision stand.
K_BLOCKS = {Type.Q4_K: (144, slice(0, 4)), Type.Q6_K: (210, slice(208, 210))}


def matrix(kind: Type, rows: int, size: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """In the file's format: any bits, with scales that are numbers."""
    if kind not in K_BLOCKS:
        made: npt.NDArray[np.uint8] = quants.quantize(rng.standard_normal((rows, size)).astype(np.float32), kind)
        return made
    block, scales = K_BLOCKS[kind]
    raw = rng.integers(0, 256, (rows, size // 256, block)).astype(np.uint8)
    count = scales.stop - scales.start
    raw[:, :, scales] = (rng.standard_normal((rows, size // 256, count // 2)) * 0.01).astype(np.float16).view(np.uint8)
    return raw.reshape(rows, -1)


def products(kind: Type, raw: npt.NDArray[np.uint8], size: int, tokens: npt.NDArray[np.float32], threads: int) -> Array:
    with graph() as made:
        weights = made.weights(int(kind), raw.tobytes(), size, len(raw))
        result = made.base.ggml_mul_mat(made.handle, weights, made.tensor(F32, tokens.tobytes(), size, len(tokens)))
        return made.compute(result, threads, len(tokens), len(raw))


def eight_bits(tokens: npt.NDArray[np.float32]) -> Array:
    """What is left of the tokens' numbers: 32 at a time share a scale."""
    parts = tokens.reshape(-1, 32)
    most = np.abs(parts).max(axis=1, keepdims=True)
    inverse = np.where(most > 0, np.float32(127) / np.where(most > 0, most, 1), 0).astype(np.float32)
    return (np.rint(parts * inverse).astype(np.float64) * (most / np.float32(127)).astype(np.float64)).reshape(tokens.shape)


@settings(max_examples=60, deadline=None)
@example(kind=Type.Q4_0, panels=60, blocks=4, tokens=16, threads=2, loud=1.0, seed=0)
@example(kind=Type.Q4_K, panels=3, blocks=2, tokens=1, threads=2, loud=1.0, seed=0)
@example(kind=Type.Q6_K, panels=100, blocks=20, tokens=3, threads=2, loud=0.0, seed=0)
@given(
    kind=st.sampled_from([Type.Q8_0, Type.Q4_0, Type.Q4_K, Type.Q6_K]),
    panels=st.integers(1, 90),
    blocks=st.integers(1, 8),
    tokens=st.integers(1, 40),
    threads=st.integers(1, 4),
    loud=st.sampled_from([0.0, 1e-6, 1.0, 1000.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_they_are_products(kind: Type, panels: int, blocks: int, tokens: int, threads: int, loud: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = blocks * (256 if kind in K_BLOCKS else 32)
    raw = matrix(kind, 16 * panels, size, rng)
    given_ = (loud * rng.standard_normal((tokens, size))).astype(np.float32)
    found = products(kind, raw, size, given_, threads)
    weights = quants.dequantize(raw, kind).astype(np.float64).reshape(-1, size)
    wanted = eight_bits(given_) @ weights.T
    # Single precision, against what the sums are made of.
    assert (np.abs(found - wanted) <= 1e-6 * (np.abs(eight_bits(given_)) @ np.abs(weights).T) + 1e-30).all()


@pytest.mark.parametrize("kind", [Type.Q8_0, Type.Q4_0, Type.Q4_K, Type.Q6_K])
def test_a_token_gets_the_same_sums_whoever_is_beside_it(kind: Type) -> None:
    """To the bit, so that a reply does not depend on how much of it was guessed, nor on other people's."""
    rng = np.random.default_rng(3)
    raw = matrix(kind, 320, 1024, rng)
    tokens = rng.standard_normal((37, 1024)).astype(np.float32)
    together = products(kind, raw, 1024, tokens, 2)
    for number, threads in ((0, 1), (5, 3), (36, 2)):
        assert np.array_equal(products(kind, raw, 1024, tokens[number : number + 1], threads)[0], together[number])


@pytest.mark.parametrize("fault", [np.nan, np.inf])
def test_what_is_no_number_is_not_lost(fault: float) -> None:
    """The engine knows a model's fault by its logits."""
    rng = np.random.default_rng(4)
    tokens = rng.standard_normal((3, 256)).astype(np.float32)
    for place in (0, 17, 255):
        tokens[1, place] = fault
        found = products(Type.Q8_0, matrix(Type.Q8_0, 32, 256, rng), 256, tokens, 1)
        assert not np.isfinite(found[1]).any()
        assert np.isfinite(found[[0, 2]]).all()


def test_the_embedded_model_answers_as_with_llama_cpp_alone() -> None:
    """Close: its own products sum the same numbers in another order. The first model of a process decides which buffers there are, so ours comes first."""

    def logits(own: bool) -> Array:
        made = native.Context(EMBEDDED_MODEL, context=256, sequences=1, batch=64, threads=2, extra_buffers=True, own=own)
        try:
            made.decode([(0, position, 7 + position % 50, position == 39) for position in range(40)])
            return made.logits(39).astype(np.float64)
        finally:
            made.close()

    own, theirs = logits(True), logits(False)
    kernels.use()
    assert not np.array_equal(own, theirs)
    assert np.abs(own - theirs).max() < 0.2 * theirs.std()
