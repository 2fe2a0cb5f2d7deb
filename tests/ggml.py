"""Single operations of llama.cpp's CPU backend, with our kernels or without."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from inference import kernels

MIB = 2**20
F32, F16 = 0, 1

Array = npt.NDArray[np.float64]
Pointer = ctypes.c_void_p


class Start(ctypes.Structure):
    _fields_ = (("size", ctypes.c_size_t), ("memory", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


def library(name: str) -> ctypes.CDLL:
    return ctypes.CDLL(str(kernels.place().with_name(kernels.NAME.replace("ensemble-kernels", name))))


class Graph:
    """One operation: tensors are made, then it is computed."""

    def __init__(self, base: Any, cpu: Any, handle: Pointer, bare: Pointer) -> None:
        self.base, self._cpu, self.handle, self._bare = base, cpu, handle, bare
        self._buffers: list[Pointer] = []

    def tensor(self, kind: int, data: bytes, *shape: int) -> Pointer:
        """``shape`` as ggml has it, the innermost first."""
        made = Pointer(getattr(self.base, f"ggml_new_tensor_{len(shape)}d")(self.handle, kind, *map(ctypes.c_int64, shape)))
        ctypes.memmove(self.base.ggml_get_data(made), data, len(data))
        return made

    def weights(self, kind: int, data: bytes, *shape: int) -> Pointer:
        """A tensor in our own buffer type, laid out anew."""
        made = Pointer(self.base.ggml_new_tensor_2d(self._bare, kind, *map(ctypes.c_int64, shape)))
        own = library("ensemble-kernels")
        own.ensemble_products.restype = ctypes.c_void_p
        buffer = Pointer(self.base.ggml_backend_buft_alloc_buffer(Pointer(own.ensemble_products(1)), ctypes.c_size_t(len(data))))
        self._buffers.append(buffer)
        self.base.ggml_backend_tensor_alloc(buffer, made, Pointer(self.base.ggml_backend_buffer_get_base(buffer)))
        self.base.ggml_backend_tensor_set(made, data, ctypes.c_size_t(0), ctypes.c_size_t(len(data)))
        return made

    def compute(self, result: int, threads: int, *shape: int) -> Array:
        """``shape`` as numpy has it."""
        graph = Pointer(self.base.ggml_new_graph(self.handle))
        self.base.ggml_build_forward_expand(graph, Pointer(result))
        assert self._cpu.ggml_graph_compute_with_ctx(self.handle, graph, threads) == 0
        data = ctypes.string_at(self.base.ggml_get_data(Pointer(result)), 4 * int(np.prod(shape)))
        return np.frombuffer(data, np.float32).reshape(shape).astype(np.float64)

    def close(self) -> None:
        for buffer in self._buffers:
            self.base.ggml_backend_buffer_free(buffer)


POINTERS = (
    "ggml_init",
    "ggml_new_tensor_2d",
    "ggml_new_tensor_3d",
    "ggml_get_data",
    "ggml_permute",
    "ggml_mul_mat",
    "ggml_flash_attn_ext",
    "ggml_new_graph",
    "ggml_backend_buft_alloc_buffer",
    "ggml_backend_buffer_get_base",
)


@contextmanager
def graph(size: int = 64 * MIB) -> Iterator[Graph]:
    base, cpu = library("ggml-base"), library("ggml-cpu")
    for name in POINTERS:
        getattr(base, name).restype = ctypes.c_void_p
    cpu.ggml_cpu_init()
    handle, bare = (Pointer(base.ggml_init(Start(bytes_, None, no_alloc))) for bytes_, no_alloc in ((size, False), (MIB, True)))
    made = Graph(base, cpu, handle, bare)
    try:
        yield made
    finally:
        made.close()
        base.ggml_free(handle)
        base.ggml_free(bare)
