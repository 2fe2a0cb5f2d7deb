"""Muon for the matrices, AdamW for the embedding and the norms. Its whole state is saved: a restart with a fresh one sets training back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

MUON_RATE, ADAM_RATE = 0.02, 4e-3
MOMENTUM, DECAY = 0.95, 0.01
WARM_UP_STEPS, CONSTANT_SHARE = 60, 0.6


def rate(step: int, progress: float) -> float:
    """Warm-up, constant, then linear to nothing at ``progress`` 1."""
    return min(1.0, (step + 1) / WARM_UP_STEPS) * min(1.0, max(0.0, (1 - progress) / (1 - CONSTANT_SHARE)))


def orthogonal(matrices: Tensor) -> Tensor:
    """Newton-Schulz iteration towards the nearest orthogonal matrices; a batch of one shape (Jordan et al., Muon, 2024)."""
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if tall else x
    x = x / (x.float().norm(dim=(1, 2), keepdim=True).bfloat16() + 1e-7)
    for _ in range(5):
        a = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return (x.transpose(1, 2) if tall else x).float()


class Optimizer:
    def __init__(self, model: nn.Module) -> None:
        named = list(model.named_parameters())
        self.matrices = [weights for name, weights in named if weights.dim() == 2 and not name.startswith("embedding")]
        embedding = [weights for name, weights in named if name.startswith("embedding")]
        norms = [weights for _, weights in named if weights.dim() == 1]
        groups: Iterable[dict[str, Any]] = [{"params": embedding, "weight_decay": DECAY}, {"params": norms, "weight_decay": 0.0}]
        self.adam = torch.optim.AdamW(groups, lr=ADAM_RATE, betas=(0.9, 0.95))
        self.others = embedding + norms
        self.momentum = [torch.zeros_like(weights) for weights in self.matrices]
        self.by_shape: dict[tuple[int, ...], list[int]] = {}
        for number, weights in enumerate(self.matrices):
            self.by_shape.setdefault(tuple(weights.shape), []).append(number)

    @torch.no_grad()
    def step(self, scale: float) -> None:
        """Uses up the gradients. ``scale``: of both rates."""
        torch.nn.utils.clip_grad_norm_(self.others, 1.0)
        for group in self.adam.param_groups:
            group["lr"] = ADAM_RATE * scale
        self.adam.step()
        for shape, numbers in self.by_shape.items():
            pushed = []
            for number in numbers:
                gradient = self.matrices[number].grad
                assert gradient is not None
                self.momentum[number].lerp_(gradient, 1 - MOMENTUM)
                pushed.append(gradient.lerp(self.momentum[number], MOMENTUM))
            step = MUON_RATE * scale
            for number, update in zip(numbers, orthogonal(torch.stack(pushed)), strict=True):
                self.matrices[number].mul_(1 - step * DECAY).add_(update, alpha=-step * max(1.0, shape[0] / shape[1]) ** 0.5)
        for weights in [*self.matrices, *self.others]:
            weights.grad = None

    def state(self) -> dict[str, Any]:
        return {"adam": self.adam.state_dict(), "momentum": self.momentum}

    def load(self, state: dict[str, Any]) -> None:
        self.adam.load_state_dict(state["adam"])
        for mine, saved in zip(self.momentum, state["momentum"], strict=True):
            mine.copy_(saved)
