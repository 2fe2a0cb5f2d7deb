"""Fresh examples as padded batches of a few fixed lengths, made by worker processes beside the training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from inference.training import examples
from inference.training.scene import Example
from inference.training.tokenizer import Encoder

LENGTHS = (96, 128, 192, 256, 384, 576, 768, 1024)
# The reply is what counts; a little of the prompt teaches the language of code and requests.
PROMPT_WEIGHT, REPLY_WEIGHT = 0.12, 1.0


@dataclass(frozen=True)
class Batch:
    tokens: Tensor
    targets: Tensor
    weights: Tensor
    real: int


def collated(rows: list[tuple[list[int], list[int]]], length: int, encoder: Encoder) -> Batch:
    """Rows of (prompt, reply) at ``length`` tokens each, padded behind."""
    tokens = torch.full((len(rows), length + 1), encoder.pad, dtype=torch.long)
    weights = torch.zeros((len(rows), length + 1))
    for number, (prompt, reply) in enumerate(rows):
        end = len(prompt) + len(reply)
        tokens[number, :end] = torch.tensor(prompt + reply)
        weights[number, : len(prompt)] = PROMPT_WEIGHT
        weights[number, len(prompt) : end] = REPLY_WEIGHT
    real = sum(len(prompt) + len(reply) for prompt, reply in rows)
    return Batch(tokens[:, :-1], tokens[:, 1:].contiguous(), weights[:, 1:].contiguous(), real)


class Batches(IterableDataset[Batch]):
    """Without end. ``seed`` and the worker's number set the dice, so a resumed training sees new examples if it gives a new seed."""

    def __init__(self, supply: examples.Supply, tokenizer: Path, tokens: int, seed: int) -> None:
        self._supply, self._tokenizer, self._tokens, self._seed = supply, tokenizer, tokens, seed

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        encoder = Encoder(self._tokenizer)
        waiting: dict[int, list[tuple[list[int], list[int]]]] = {length: [] for length in LENGTHS}
        for example in examples.stream(self._supply, self._seed * 1009 + (worker.id if worker else 0)):
            prompt, reply = encoder.example(example)
            length = next((length for length in LENGTHS if length >= len(prompt) + len(reply)), 0)
            if not length:
                continue
            rows = waiting[length]
            rows.append((prompt, reply))
            if len(rows) * length >= self._tokens:
                yield collated(rows, length, encoder)
                waiting[length] = []


def stream(supply: examples.Supply, tokenizer: Path, *, tokens: int, seed: int, workers: int) -> Iterator[Batch]:
    """``workers`` 0: made in this process."""
    return iter(DataLoader(Batches(supply, tokenizer, tokens, seed), batch_size=None, num_workers=workers, prefetch_factor=8 if workers else None))


def fixed(cases: list[Example], tokenizer: Path, most: int = 1024) -> list[tuple[list[int], list[int]]]:
    """Prompts and replies to measure on, those that fit."""
    encoder = Encoder(tokenizer)
    encoded = [encoder.example(case) for case in cases]
    return [(prompt, reply) for prompt, reply in encoded if len(prompt) + len(reply) <= most]
