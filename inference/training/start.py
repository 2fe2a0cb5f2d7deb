"""A GGUF of this recipe's form as the beginning of a training: its vocabulary and its weights, without the optimiser's state.

The reverse of ``export``. What one version learnt is not learnt anew for the next.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader, ReaderTensor
from gguf.quants import dequantize
from tokenizers import AddedToken, Tokenizer, decoders, models

from inference.training import encoding
from inference.training.model import LAYER_NAMES, Llama, Shape
from inference.training.tokenizer import splits_for_use

CONTROL = 3  # a token's kind in a GGUF


def tokens_of(reader: GGUFReader) -> list[str]:
    """This recipe's special tokens, then of the file's others the first ones: as many in all as the file has. Raises ValueError if there are too few."""
    given = [str(token) for token in _value(reader, "tokenizer.ggml.tokens")]
    kinds = _value(reader, "tokenizer.ggml.token_type")
    plain = [token for token, kind in zip(given, kinds, strict=True) if kind != CONTROL]
    tokens = [*encoding.SPECIAL, *plain][: len(given)]
    if len(tokens) < len(given):
        raise ValueError(f"the file has {len(given) - len(plain)} special tokens where {len(encoding.SPECIAL)} are known")
    return tokens


def tokenizer(gguf: Path, out: Path) -> None:
    """The last merges give way to special tokens that the file does not know."""
    reader = GGUFReader(gguf)
    tokens = tokens_of(reader)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    pairs = [str(merge).split(" ", 1) for merge in _value(reader, "tokenizer.ggml.merges")]
    merges = [(a, b) for a, b in pairs if a + b in vocabulary]
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token=None))
    made.add_special_tokens([AddedToken(token, special=True) for token in encoding.SPECIAL])
    made.pre_tokenizer = splits_for_use()
    made.decoder = decoders.ByteLevel()
    made.save(str(out))


def model(gguf: Path, layers: int = 0) -> Llama:
    """``layers``: more than the file has are put evenly between its own, and do nothing until they have learnt to."""
    reader = GGUFReader(gguf)

    def number(name: str) -> int:
        return int(_value(reader, f"llama.{name}"))

    tensors = {tensor.name: tensor for tensor in reader.tensors}
    shape = Shape(
        vocabulary=int(tensors["token_embd.weight"].shape[1]),
        width=number("embedding_length"),
        layers=max(layers, number("block_count")),
        heads=number("attention.head_count"),
        kv_heads=number("attention.head_count_kv"),
        inner=number("feed_forward_length"),
        rope_base=float(_value(reader, "llama.rope.freq_base")),
    )
    made = Llama(shape)
    weights: dict[str, Any] = {"embedding.weight": _embedding(reader, tensors), "norm.weight": _weights(tensors["output_norm.weight"])}
    given = number("block_count")
    for layer in range(shape.layers):
        source = layer * given // shape.layers
        of, to = f"blk.{source}.", f"blocks.{layer}."
        for theirs, ours in LAYER_NAMES.items():
            weights[f"{to}{ours}.weight"] = _weights(tensors[f"{of}{theirs}.weight"])
        for name, heads in (("q", shape.heads), ("k", shape.kv_heads)):
            # As ``export`` has them: llama.cpp rotates neighbouring pairs where the model rotates halves.
            pairs = weights[f"{to}{name}.weight"]
            weights[f"{to}{name}.weight"] = pairs.reshape(heads, shape.head // 2, 2, -1).swapaxes(1, 2).reshape(pairs.shape)
        if layer and source == (layer - 1) * given // shape.layers:
            for name in ("o", "down"):
                weights[f"{to}{name}.weight"] = np.zeros_like(weights[f"{to}{name}.weight"])
    made.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in weights.items()})
    return made


def _value(reader: GGUFReader, name: str) -> Any:
    field = reader.get_field(name)
    if field is None:
        raise ValueError(f"{name} is missing")
    return field.contents()


def _embedding(reader: GGUFReader, tensors: dict[str, ReaderTensor]) -> np.ndarray:
    """Row for row of ``tokens_of``; what the file does not know is noise."""
    old = _weights(tensors["token_embd.weight"])
    rows = {str(token): number for number, token in enumerate(_value(reader, "tokenizer.ggml.tokens"))}
    noise = np.random.default_rng(0).normal(0, old.std(), old.shape).astype(np.float32)
    return np.stack([old[rows[token]] if token in rows else noise[number] for number, token in enumerate(tokens_of(reader))])


def _weights(tensor: ReaderTensor) -> np.ndarray:
    return dequantize(tensor.data, tensor.tensor_type).reshape(tuple(reversed(tensor.shape.tolist()))).astype(np.float32)
