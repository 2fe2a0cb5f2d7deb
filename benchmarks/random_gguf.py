"""Makes a GGUF of a real model's shape and vocabulary with random weights: speed does not depend on their values.

    python -m benchmarks.random_gguf OUT.gguf --vocabulary ggml-vocab-qwen2.gguf [--layers 24 --width 896 ...]

The defaults are Qwen2.5-Coder-0.5B's. Vocabulary-only files are in llama.cpp's source: ``python -m project.bootstrap
llama-source`` prints where. What such a model writes means nothing.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
from gguf.quants import quantize

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make(
    out: Path,
    vocabulary: Path,
    *,
    layers: int = 24,
    width: int = 896,
    inner: int = 4864,
    heads: int = 14,
    kv_heads: int = 2,
    context: int = 32768,
    quantization: str = "Q4_0",
    seed: int = 0,
    short_lines: bool = False,
    endless: bool = False,
    norm: float = 1.0,
) -> None:
    """``width`` must be a multiple of 32 and of ``heads``. ``short_lines``: about every tenth token ends a line. ``endless``: it writes
    lines of words, none like another for thousands of tokens, the same on every machine and whatever it is asked.
    ``norm``: what the last layer's output is multiplied by; not a number, and neither is what the model says."""
    kind = GGMLQuantizationType[quantization]
    reader = GGUFReader(vocabulary)
    writer = GGUFWriter(out, "qwen2")
    writer.add_name("random")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    for name, field in reader.fields.items():
        if name.startswith("tokenizer."):
            element = field.types[1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], element)
    writer.add_chat_template(CHATML)
    words = len(reader.fields["tokenizer.ggml.tokens"].data)
    random = np.random.default_rng(seed)
    size = width // heads

    def matrix(name: str, rows: int, columns: int, scale: float = 1.0) -> np.ndarray:
        weights = random.standard_normal((rows, columns), dtype=np.float32) * (scale * columns**-0.5)
        writer.add_tensor(name, quantize(weights, kind), raw_dtype=kind)
        return weights

    def vector(name: str, length: int, value: float) -> None:
        writer.add_tensor(name, np.full(length, value, np.float32))

    embedding = matrix("token_embd.weight", words, width)
    if endless:
        writer.add_tensor("output.weight", quantize(successors(embedding, reader.fields["tokenizer.ggml.tokens"].contents()), kind), raw_dtype=kind)
    elif short_lines:
        # Logits are products with the rows of the output: a longer one is the largest more often than its share.
        output = random.standard_normal((words, width), dtype=np.float32) * width**-0.5
        output[reader.fields["tokenizer.ggml.tokens"].contents().index("\u010a")] *= 2.5
        writer.add_tensor("output.weight", quantize(output, kind), raw_dtype=kind)
    # What the layers add to a token itself must not decide which one follows, where that is to be the same everywhere.
    share = 0.4 / layers if endless else 1.0
    for layer in range(layers):
        at = f"blk.{layer}."
        vector(at + "attn_norm.weight", width, 1)
        vector(at + "ffn_norm.weight", width, 1)
        for part, rows in (("q", heads * size), ("k", kv_heads * size), ("v", kv_heads * size)):
            matrix(at + f"attn_{part}.weight", rows, width)
            vector(at + f"attn_{part}.bias", rows, 0)
        matrix(at + "attn_output.weight", width, heads * size, share)
        matrix(at + "ffn_gate.weight", inner, width)
        matrix(at + "ffn_up.weight", inner, width)
        matrix(at + "ffn_down.weight", width, inner, share)
    vector("output_norm.weight", width, norm)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def successors(embedding: np.ndarray, tokens: list[str]) -> np.ndarray:
    """Output weights by which every token is followed by one of its own, in lines of a few words. As sure as a good model:
    the likeliest token is far ahead, and another is drawn now and then where they are drawn by their odds."""
    ends = [number for number, token in enumerate(tokens) if re.fullmatch("[,.:;()\\[\\]{}!?*]*\u010a", token)]
    words = [number for number, token in enumerate(tokens) if re.fullmatch("\u0120[a-z]{2,9}", token)]
    each = len(words) // len(ends)
    cycle = [token for line, end in enumerate(ends) for token in (*words[line * each : line * each + 3 + line % min(8, each - 3)], end)]
    output = np.zeros_like(embedding)
    output[np.roll(cycle, -1)] = embedding[cycle]
    return output


def main() -> None:
    parser = argparse.ArgumentParser(description="Random weights in a real model's shape.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--vocabulary", type=Path, required=True)
    for name, default in (("layers", 24), ("width", 896), ("inner", 4864), ("heads", 14), ("kv-heads", 2), ("context", 32768)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--quantization", default="Q4_0")
    arguments = vars(parser.parse_args())
    make(arguments.pop("out"), arguments.pop("vocabulary"), **arguments)


if __name__ == "__main__":
    main()
