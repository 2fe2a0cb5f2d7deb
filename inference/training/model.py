"""The embedded model: Llama, as llama.cpp knows it, small. Tensors are (batch, tokens, width); half-split RoPE, which ``export`` permutes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody uses
from torch import Tensor, nn

EPSILON = 1e-5


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

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, width = x.shape
        shape = self.shape
        h = self.attention_norm(x)
        q = rotate(self.q(h).view(batch, length, shape.heads, shape.head).transpose(1, 2), cos, sin)
        k = rotate(self.k(h).view(batch, length, shape.kv_heads, shape.head).transpose(1, 2), cos, sin)
        v = self.v(h).view(batch, length, shape.kv_heads, shape.head).transpose(1, 2)
        groups = shape.heads // shape.kv_heads
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).reshape(batch, length, width))
        h = self.inner_norm(x)
        out: Tensor = x + self.down(F.silu(self.gate(h)) * self.up(h))
        return out


class Llama(nn.Module):
    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
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

    def hidden(self, tokens: Tensor) -> Tensor:
        h = self.embedding(tokens)
        if torch.is_autocast_enabled(tokens.device.type):
            h = h.to(torch.bfloat16)
        cos, sin = self.cos[: tokens.shape[1]].to(h.dtype), self.sin[: tokens.shape[1]].to(h.dtype)
        for block in self.blocks:
            h = block(h, cos, sin)
        out: Tensor = self.norm(h)
        return out

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits; the embedding is tied."""
        return F.linear(self.hidden(tokens), self.embedding.weight)

    def loss(self, tokens: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Weighted mean over the positions whose weight is not 0."""
        counted = (weights > 0).reshape(-1).nonzero()[:, 0]
        h = self.hidden(tokens).reshape(-1, self.shape.width)[counted]
        each = F.cross_entropy(F.linear(h, self.embedding.weight.to(h.dtype)).float(), targets.reshape(-1)[counted], reduction="none")
        share = weights.reshape(-1)[counted]
        return (each * share).sum() / share.sum()

    def parameter_count(self) -> int:
        return sum(weights.numel() for weights in self.parameters())
