"""The embedded model: Llama, as llama.cpp knows it, small. Tensors are (batch, tokens, width); half-split RoPE, which ``export`` permutes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody uses
from torch import Tensor, nn

EPSILON = 1e-5
# A layer's tensors in a GGUF, and here.
LAYER_NAMES = {
    "attn_norm": "attention_norm",
    "ffn_norm": "inner_norm",
    "attn_q": "q",
    "attn_k": "k",
    "attn_v": "v",
    "attn_output": "o",
    "ffn_gate": "gate",
    "ffn_up": "up",
    "ffn_down": "down",
}


@dataclass(frozen=True)
class Shape:
    """About 12M parameters: what decodes at over 1000 tokens/s on one core (docs/decisions/013)."""

    vocabulary: int = 4096
    width: int = 384
    layers: int = 6
    heads: int = 6
    kv_heads: int = 2
    inner: int = 1152
    context: int = 1024
    rope_base: float = 10000.0

    @property
    def head(self) -> int:
        return self.width // self.heads


class Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), EPSILON)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width, kv = shape.width, shape.kv_heads * shape.head
        self.attention_norm, self.inner_norm = Norm(width), Norm(width)
        self.q, self.k, self.v = (nn.Linear(width, out, bias=False) for out in (width, kv, kv))
        self.o = nn.Linear(width, width, bias=False)
        self.gate, self.up = nn.Linear(width, shape.inner, bias=False), nn.Linear(width, shape.inner, bias=False)
        self.down = nn.Linear(shape.inner, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, seen: Tensor) -> Tensor:
        """``seen`` (batch or 1, tokens, tokens): which token may look at which."""
        batch, length, width = x.shape
        shape = self.shape
        h = self.attention_norm(x)
        q = rotate(self.q(h).view(batch, length, shape.heads, shape.head).transpose(1, 2), cos, sin)
        k = rotate(self.k(h).view(batch, length, shape.kv_heads, shape.head).transpose(1, 2), cos, sin)
        v = self.v(h).view(batch, length, shape.kv_heads, shape.head).transpose(1, 2)
        # By hand: compiled for a CPU it is faster than the library's own attention at these lengths, forward and backward.
        # The heads that share keys stand below each other.
        q = q.reshape(batch, shape.kv_heads, -1, shape.head)
        scores = (q @ k.transpose(2, 3)).view(batch, shape.heads, length, length).float() * shape.head**-0.5
        shares = scores.masked_fill(~seen.unsqueeze(1), -torch.inf).softmax(-1).to(v.dtype)
        y = (shares.view(batch, shape.kv_heads, -1, length) @ v).view(batch, shape.heads, length, shape.head)
        x = x + self.o(y.transpose(1, 2).reshape(batch, length, width))
        h = self.inner_norm(x)
        out: Tensor = x + self.down(F.silu(self.gate(h)) * self.up(h))
        return out


class Llama(nn.Module):
    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        shape = self.shape = shape or Shape()
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.width)
        speeds = shape.rope_base ** (-torch.arange(0, shape.head, 2).float() / shape.head)
        angles = torch.outer(torch.arange(shape.context).float(), speeds)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for name, weights in self.named_parameters():
            if weights.dim() == 2:
                deep = (2 * shape.layers) ** -0.5 if name.endswith(("o.weight", "down.weight")) else 1.0
                nn.init.normal_(weights, 0, 0.02 if name.startswith("embedding") else deep * weights.shape[1] ** -0.5)

    def hidden(self, tokens: Tensor, branches: Tensor | None = None) -> Tensor:
        """``branches`` (batch, tokens): 0 for what all see; the tokens of a branch see these and their own branch, and follow upon them."""
        h = self.embedding(tokens)
        if torch.is_autocast_enabled(tokens.device.type):
            h = h.to(torch.bfloat16)
        length = tokens.shape[1]
        seen = torch.ones(1, length, length, dtype=torch.bool, device=tokens.device).tril()
        places = torch.arange(length, device=tokens.device).unsqueeze(0)
        if branches is not None:
            here, there = branches.unsqueeze(2), branches.unsqueeze(1)
            seen = seen & ((there == 0) | (there == here))
            places = seen.sum(2) - 1
        cos, sin = (angles[places].unsqueeze(1).to(h.dtype) for angles in (self.cos, self.sin))
        for block in self.blocks:
            h = block(h, cos, sin, seen)
        out: Tensor = self.norm(h)
        return out

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits; the embedding is tied."""
        return F.linear(self.hidden(tokens), self.embedding.weight)

    def loss(self, tokens: Tensor, targets: Tensor, weights: Tensor, branches: Tensor | None = None) -> Tensor:
        """Weighted mean over the positions whose weight is not 0."""
        counted = (weights > 0).reshape(-1).nonzero()[:, 0]
        h = self.hidden(tokens, branches).reshape(-1, self.shape.width)[counted]
        each = F.cross_entropy(F.linear(h, self.embedding.weight.to(h.dtype)).float(), targets.reshape(-1)[counted], reduction="none")
        share = weights.reshape(-1)[counted]
        return (each * share).sum() / share.sum()

    def parameter_count(self) -> int:
        return sum(weights.numel() for weights in self.parameters())
