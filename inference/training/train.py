"""Training that may take many sittings: it stops at any moment, saves everything, and goes on where it was.

bf16 by autocast on CPU (AMX where there is one) and CUDA. Progress, and with it the rate, is counted in tokens, not in time.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from inference.training import batches, examples
from inference.training.model import Llama, Shape
from inference.training.optimizer import Optimizer, rate


@dataclass(frozen=True)
class Plan:
    """``tokens``: of the whole training, over all sittings. ``minutes``: of this sitting, 0 for no limit. ``rate``: of the learning rates."""

    tokens: int
    rate: float = 1.0
    batch_tokens: int = 12_288
    minutes: float = 0
    save_minutes: float = 10
    workers: int = 0
    threads: int = 1
    compiled: bool = False
    device: str = ""
    seed: int = 1

    @property
    def where(self) -> str:
        return self.device or ("cuda" if torch.cuda.is_available() else "cpu")


@dataclass
class State:
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    sittings: int = 0


def save(path: Path, model: Llama, optimizer: Optimizer, state: State) -> None:
    """Whole or not at all: a sitting that is killed while it saves leaves the last checkpoint."""
    made = {"shape": asdict(model.shape), "model": model.state_dict(), "optimizer": optimizer.state(), "state": asdict(state)}
    aside = path.with_suffix(".part")
    torch.save(made, aside)
    os.replace(aside, path)


def load_model(path: Path, device: str = "cpu") -> tuple[Llama, dict[str, Any]]:
    saved: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    model = Llama(Shape(**saved["shape"])).to(device)
    model.load_state_dict(saved["model"])
    return model, saved


@torch.no_grad()
def exact(model: Llama, cases: Sequence[tuple[list[int], list[int]]], device: str) -> float:
    """Share of replies whose every token is the likeliest: what greedy decoding gets right."""
    if not cases:
        return 0.0
    right = 0
    ordered = sorted(cases, key=lambda case: len(case[0]) + len(case[1]))
    for start in range(0, len(ordered), 16):
        chunk = ordered[start : start + 16]
        length = max(len(prompt) + len(reply) for prompt, reply in chunk)
        tokens = torch.zeros((len(chunk), length), dtype=torch.long)
        for number, (prompt, reply) in enumerate(chunk):
            tokens[number, : len(prompt) + len(reply)] = torch.tensor(prompt + reply)
        # Its shapes are of all sizes: compiling each would take longer than it saves.
        with torch.autocast(device, torch.bfloat16), torch.compiler.set_stance("force_eager"):
            likeliest = model(tokens[:, :-1].to(device)).argmax(-1).cpu()
        for number, (prompt, reply) in enumerate(chunk):
            span = slice(len(prompt) - 1, len(prompt) + len(reply) - 1)
            right += bool((likeliest[number, span] == tokens[number, 1:][span]).all())
    return right / len(ordered)


class Stop:
    """Set by SIGTERM and SIGINT: the sitting saves and ends."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def train(
    supply: examples.Supply,
    tokenizer: Path,
    checkpoint: Path,
    plan: Plan,
    begin: Callable[[], Llama] = Llama,
    measured: Sequence[tuple[list[int], list[int]]] = (),
) -> State:
    """One sitting. ``begin`` makes the model of a new training; ``measured`` is watched at every save."""
    stop = Stop()
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    device = plan.where
    state = State()
    if checkpoint.exists():
        model, saved = load_model(checkpoint, device)
        optimizer = Optimizer(model)
        optimizer.load(saved["optimizer"])
        state = State(**saved["state"])
    else:
        model = begin().to(device)
        optimizer = Optimizer(model)
    state.sittings += 1
    log = checkpoint.with_suffix(".log")
    if plan.compiled:
        # By block: one graph serves every layer, and each of the few lengths is compiled once, forward and backward.
        torch._dynamo.config.recompile_limit = 4 * len(batches.LENGTHS)
        for block in model.blocks:
            block.compile(dynamic=False)
    # Every sitting draws examples of its own.
    stream = batches.stream(supply, tokenizer, tokens=plan.batch_tokens, seed=plan.seed * 1000 + state.sittings, workers=plan.workers)
    begun = saved_at = time.monotonic()
    before = state.seconds
    losses: list[Tensor] = []

    def report() -> None:
        loss = float(torch.stack(losses).mean()) if losses else float("nan")
        losses.clear()
        known = {"step": state.step, "tokens": state.tokens, "hours": round(state.seconds / 3600, 3), "loss": round(loss, 4)}
        line = {
            **known,
            "rate": round(plan.rate * rate(state.step, state.tokens / plan.tokens), 3),
            "exact": round(exact(model, measured, device), 4),
        }
        print(json.dumps(line), flush=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        save(checkpoint, model, optimizer, state)

    while state.tokens < plan.tokens and not stop.asked:
        batch = next(stream)
        with torch.autocast(device, torch.bfloat16):
            loss = model.loss(batch.tokens.to(device), batch.targets.to(device), batch.weights.to(device), batch.branches.to(device))
        loss.backward()
        optimizer.step(plan.rate * rate(state.step, state.tokens / plan.tokens))
        losses.append(loss.detach())
        state.step += 1
        state.tokens += batch.real
        now = time.monotonic()
        state.seconds = before + now - begun
        if plan.minutes and now - begun > plan.minutes * 60:
            break
        if now - saved_at > plan.save_minutes * 60:
            report()
            saved_at = time.monotonic()
    report()
    return state
