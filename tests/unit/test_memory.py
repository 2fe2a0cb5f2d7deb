"""The memory that is told for a model is what llama.cpp takes; a GGUF's header is read without it."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_cpp import llama_cpp

from benchmarks.random_gguf import make
from inference import header
from inference.catalogue import Folder, UnknownModel, catalogue
from inference.machine import available
from inference.memory import BATCH, MIB, Shape, fit, micro_batch
from project import config
from project.bootstrap import llama

SHAPE = Shape(layers=3, heads=6, kv_heads=2, head_size=64, width=384, vocabulary=151936, context=65536)
PERMISSIVE = {"Apache-2.0", "MIT", "BSD-3-Clause"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("memory") / "m.gguf"
    vocabulary = llama.source() / "models" / "ggml-vocab-qwen2.gguf"
    make(file, vocabulary, layers=3, width=384, inner=512, heads=6, kv_heads=2, context=65536, quantization="Q8_0")
    return file


def test_the_header_tells_the_shape(path: Path) -> None:
    found = header.read(path)
    assert found.shape == SHAPE
    assert found.pure and found.tensors > 0 and "im_start" in found.template
    assert header.read(config.EMBEDDED_MODEL).architecture == "llama"


def test_memory_is_what_llama_cpp_takes(path: Path) -> None:
    lines: list[str] = []

    @llama_cpp.llama_log_callback
    def log(level: int, text: bytes, _: object) -> None:
        lines.append(text.decode(errors="replace"))

    model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
    llama_cpp.llama_log_set(log, ctypes.c_void_p(0))
    try:
        for tokens in (4096, 32768, 65536):
            lines.clear()
            params = llama_cpp.llama_context_default_params()
            params.n_ctx, params.n_batch, params.n_ubatch, params.n_seq_max, params.kv_unified = tokens, BATCH, micro_batch(tokens), 16, True
            params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
            llama_cpp.llama_free(llama_cpp.llama_init_from_model(model, params))
            told = "".join(lines)
            cache = sum(float(size) for size in re.findall(r"KV buffer size = +([\d.]+) MiB", told))
            work = sum(float(size) for size in re.findall(r"compute buffer size = +([\d.]+) MiB", told))
            assert SHAPE.cache_bytes(tokens) / MIB == pytest.approx(cache, rel=0.01)
            assert SHAPE.work_bytes(tokens) / MIB == pytest.approx(work, rel=0.03)
    finally:
        llama_cpp.llama_log_set(llama_cpp.llama_log_callback(), ctypes.c_void_p(0))
        llama_cpp.llama_model_free(model)


@given(st.binary(max_size=400), st.integers(0, 3))
def test_no_bytes_break_the_reader_of_headers(tmp_path_factory: pytest.TempPathFactory, data: bytes, version: int) -> None:
    path = tmp_path_factory.getbasetemp() / "any.gguf"
    path.write_bytes(b"GGUF" + version.to_bytes(4, "little") + data)
    with pytest.raises(header.NotGguf, match="damaged"):
        header.read(path)


@pytest.mark.parametrize("context", [float("inf"), float("nan"), "x", []])
def test_a_shape_that_makes_no_sense_is_none(context: object) -> None:
    values = {"llama.context_length": context, "llama.attention.head_count": 2, "llama.embedding_length": 64, "tokenizer.ggml.tokens": 9}
    assert header._shape("llama", values) is None


def test_what_fits() -> None:
    gib = 2**30
    assert fit(4 * gib, 16 * gib, 12 * gib) == "fits"
    assert fit(4 * gib, 16 * gib, 2 * gib) == "tight"
    assert fit(15 * gib, 16 * gib, 16 * gib) == "tight"
    assert fit(16 * gib, 16 * gib, 16 * gib) == "too large"
    total, free = available()
    assert 0 < free <= total
    assert SHAPE.needed(0, SHAPE.context + 1) is None


def test_the_catalogue_has_what_may_be_used_by_anybody() -> None:
    entries = list(catalogue().values())
    assert [entry.bytes for entry in entries] == sorted(entry.bytes for entry in entries)
    for entry in entries:
        assert entry.licence in PERMISSIVE and entry.good_for and entry.file.endswith(".gguf") and entry.repo.count("/") == 1
        assert entry.shape.heads % entry.shape.kv_heads == 0
        assert "3b" not in entry.name.split("-"), "its licence is for research"


def test_a_model_in_parts_is_one(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"big-0000{number}-of-00003.gguf").write_bytes(bytes(10))
    (tmp_path / "half.0123456789ab.part").touch()
    folder = Folder(tmp_path, config.EMBEDDED_MODEL)
    assert {name: found.bytes for name, found in folder.installed().items()} == {"big-00001-of-00003": 30}
    assert folder.find("") == folder.find("built-in") == config.EMBEDDED_MODEL
    with pytest.raises(UnknownModel, match="Installed: built-in, big"):
        folder.find("bigger")
    for reference in ("~nouser/x", "x" * 300, "/" + "x" * 300 + "/m.gguf", "a\0b"):
        with pytest.raises(UnknownModel):
            folder.find(reference)
    assert folder.remove("big-00001-of-00003") == 30
    assert [file.name for file in tmp_path.iterdir()] == ["half.0123456789ab.part"]
