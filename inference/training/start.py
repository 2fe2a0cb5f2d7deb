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


def tokenizer(gguf: Path, out: Path) -> None:
    """Special tokens keep their numbers and take this recipe's names. Raises ValueError if there are not as many."""
    reader = GGUFReader(gguf)
    tokens = [str(token) for token in _value(reader, "tokenizer.ggml.tokens")]
    control = [number for number, kind in enumerate(_value(reader, "tokenizer.ggml.token_type")) if kind == 3]
    if control != list(range(len(encoding.SPECIAL))):
        raise ValueError(f"{gguf.name} has {len(control)} special tokens where {len(encoding.SPECIAL)} are needed")
    given = tokens[: len(control)]
    # What stood for a form of reply that was given up takes the name of what is new.
    new = iter([token for token in encoding.SPECIAL if token not in given])
    tokens[: len(control)] = [token if token in encoding.SPECIAL else next(new) for token in given]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    merges = [tuple(str(merge).split(" ", 1)) for merge in _value(reader, "tokenizer.ggml.merges")]
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token=None))
    made.add_special_tokens([AddedToken(token, special=True) for token in encoding.SPECIAL])
    made.pre_tokenizer = splits_for_use()
    made.decoder = decoders.ByteLevel()
    made.save(str(out))


def model(gguf: Path) -> Llama:
    reader = GGUFReader(gguf)

    def number(name: str) -> int:
        return int(_value(reader, f"llama.{name}"))

    tensors = {tensor.name: tensor for tensor in reader.tensors}
    shape = Shape(
        vocabulary=int(tensors["token_embd.weight"].shape[1]),
        width=number("embedding_length"),
        layers=number("block_count"),
        heads=number("attention.head_count"),
        kv_heads=number("attention.head_count_kv"),
        inner=number("feed_forward_length"),
        rope_base=float(_value(reader, "llama.rope.freq_base")),
    )
    made = Llama(shape)
    weights: dict[str, Any] = {"embedding.weight": _weights(tensors["token_embd.weight"]), "norm.weight": _weights(tensors["output_norm.weight"])}
    for layer in range(shape.layers):
        of, to = f"blk.{layer}.", f"blocks.{layer}."
        for theirs, ours in LAYER_NAMES.items():
            weights[f"{to}{ours}.weight"] = _weights(tensors[f"{of}{theirs}.weight"])
        for name, heads in (("q", shape.heads), ("k", shape.kv_heads)):
            # As ``export`` has them: llama.cpp rotates neighbouring pairs where the model rotates halves.
            pairs = weights[f"{to}{name}.weight"]
            weights[f"{to}{name}.weight"] = pairs.reshape(heads, shape.head // 2, 2, -1).swapaxes(1, 2).reshape(pairs.shape)
    made.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in weights.items()})
    return made


def _value(reader: GGUFReader, name: str) -> Any:
    field = reader.get_field(name)
    if field is None:
        raise ValueError(f"{name} is missing")
    return field.contents()


def _weights(tensor: ReaderTensor) -> np.ndarray:
    return dequantize(tensor.data, tensor.tensor_type).reshape(tuple(reversed(tensor.shape.tolist()))).astype(np.float32)
