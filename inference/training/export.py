"""Checkpoint -> GGUF, and the proof that llama.cpp tokenises and decodes it as the trainer does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import quantize

from inference.certainty import CERTAINTY
from inference.marks import MARKS
from inference.training import encoding
from inference.training.evaluate import LlamaModel
from inference.training.model import EPSILON, LAYER_NAMES, Llama
from inference.training.scene import Example
from inference.training.tokenizer import Encoder

# What llama.cpp may hold, more than training has seen: the engine cuts prompts to what training saw.
CONTEXT = 4096
FILE_TYPES = {GGMLQuantizationType.F32: 0, GGMLQuantizationType.F16: 1, GGMLQuantizationType.Q8_0: 7}
ODD = [
    "  \t x\r\n", "éß 漢字 😀 x", "a1b22 333", "it's don't I'LL", "\n\n\n    \n  x", "foo_barBaz.qux(1,2)", "   ", "\n", "x  =  1  # two  spaces",
    "'''\"\"\"", "<|end|> literal <|L3|>", "HTTPServer2XMLParser", "--flag=$VALUE", "a\u0301 combining", "…—“quoted”",
]  # fmt: skip


class NotAlike(Exception):
    """llama.cpp and the trainer disagree: the file must not be used."""


def write(model: Llama, tokenizer: Path, out: Path, kind: GGMLQuantizationType, name: str, certainty: float = 0.0) -> None:
    """``certainty``: see ``inference.certainty``; 0 leaves it out."""
    shape = model.shape
    writer = GGUFWriter(out, "llama")
    writer.add_name(name)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_rope_dimension_count(shape.head)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(FILE_TYPES[kind])
    if certainty:
        writer.add_float32(CERTAINTY, certainty)
    writer.add_uint32(MARKS, encoding.MARKED)
    add_vocabulary(writer, tokenizer, shape.vocabulary)
    weights = {key: value.float().cpu().numpy() for key, value in model.state_dict().items()}

    def add(to: str, values: np.ndarray) -> None:
        values = np.ascontiguousarray(values, np.float32)
        if values.ndim == 1 or kind == GGMLQuantizationType.F32:
            writer.add_tensor(to, values)
        else:
            writer.add_tensor(to, quantize(values, kind), raw_dtype=kind)

    def interleaved(values: np.ndarray, heads: int) -> np.ndarray:
        # llama.cpp rotates neighbouring pairs where the model rotates halves.
        return values.reshape(heads, 2, shape.head // 2, -1).swapaxes(1, 2).reshape(values.shape)

    heads = {"q": shape.heads, "k": shape.kv_heads}
    add("token_embd.weight", weights["embedding.weight"])
    for layer in range(shape.layers):
        to, of = f"blk.{layer}.", f"blocks.{layer}."
        for theirs, ours in LAYER_NAMES.items():
            values = weights[f"{of}{ours}.weight"]
            add(f"{to}{theirs}.weight", interleaved(values, heads[ours]) if ours in heads else values)
    add("output_norm.weight", weights["norm.weight"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_vocabulary(writer: GGUFWriter, tokenizer: Path, size: int) -> None:
    made = json.loads(tokenizer.read_text(encoding="utf-8"))
    vocabulary: dict[str, int] = made["model"]["vocab"]
    special = set(encoding.SPECIAL)
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    tokens += [f"[unused{number}]" for number in range(size - len(tokens))]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in made["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([token.encode() for token in tokens])
    writer.add_token_types([TokenType.CONTROL if token in special else TokenType.NORMAL for token in tokens])
    writer.add_token_merges(merges)
    writer.add_eos_token_id(vocabulary[encoding.END])
    writer.add_bos_token_id(vocabulary["<|file|>"])
    writer.add_pad_token_id(vocabulary["<|pad|>"])
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)


@torch.no_grad()
def greedy(model: Llama, prompt: Sequence[int], end: int, most: int) -> list[int]:
    tokens = list(prompt)
    while len(tokens) - len(prompt) < most and len(tokens) < model.shape.context:
        best = int(model(torch.tensor([tokens]))[0, -1].argmax())
        if best == end:
            break
        tokens.append(best)
    return tokens[len(prompt) :]


def check(model: Llama, tokenizer: Path, exact_file: Path, cases: Sequence[Example], most: int = 40) -> tuple[int, int]:
    """Compares an F32 export with the trainer: every token of every text, every token decoded. Raises NotAlike.

    Returns how many texts and replies were compared.
    """
    encoder, llama = Encoder(tokenizer), LlamaModel(exact_file)
    model = model.cpu().float().eval()
    texts = [*ODD, *(case.instruction for case in cases), *(case.region for case in cases)]
    for text in texts:
        if encoder.text(text) != list(llama.context.tokenize(text, False)):
            raise NotAlike(f"llama.cpp tokenises {text!r} differently")
    prompts = [encoder.segments(encoding.prompt(case)) for case in cases]
    for case, prompt in zip(cases, prompts, strict=True):
        if prompt != llama.tokens(encoding.prompt(case)):
            raise NotAlike(f"llama.cpp tokenises the prompt of {case.instruction!r} differently")
    differing = [
        case.instruction
        for case, prompt in zip(cases, prompts, strict=True)
        if greedy(model, prompt, encoder.end, most) != llama.reply(prompt, most)[0]
    ]
    # Two nearly equal logits may fall either way once in a while; anything systematic shows in most replies.
    if len(differing) > len(cases) // 20:
        raise NotAlike(f"llama.cpp decodes {len(differing)} of {len(cases)} replies differently, for instance {differing[0]!r}")
    return len(texts), len(cases)
