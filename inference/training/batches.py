"""Fresh examples as padded batches of a few fixed lengths, made by worker processes beside the training."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from inference.training import examples
from inference.training.scene import Example
from inference.training.tokenizer import Encoder

LENGTHS = (96, 160, 224, 288, 352, 416, 512, 640, 768, 1024)
# The reply is what counts; a little of the prompt teaches the language of code and requests.
REPLY_WEIGHT, PROMPT_WEIGHT = 1.0, 0.4
# Of the prompt's tokens, those that are asked for: each costs as much as a reply's.
PROMPT_SHARE = 0.25

# What several examples share of their prompts, and the rest of each one's prompt with its reply.
Row = tuple[list[int], list[tuple[list[int], list[int]]]]


@dataclass(frozen=True)
class Batch:
    """``branches``: as ``Llama.hidden`` takes them. ``real``: tokens that are not padding. ``examples``: how many."""

    tokens: Tensor
    targets: Tensor
    weights: Tensor
    branches: Tensor
    real: int
    examples: int


def size(row: Row) -> int:
    return len(row[0]) + sum(len(asked) + len(reply) for asked, reply in row[1])


def collated(rows: Sequence[Row], length: int, encoder: Encoder, dice: random.Random) -> Batch:
    """Rows at ``length`` tokens each, padded behind."""
    tokens = torch.full((len(rows), length), encoder.pad, dtype=torch.long)
    targets = torch.full((len(rows), length), encoder.pad, dtype=torch.long)
    weights = torch.zeros((len(rows), length))
    branches = torch.zeros((len(rows), length), dtype=torch.long)

    def put(row: int, at: int, text: list[int], reply: list[int], branch: int) -> int:
        both = text + reply
        end = at + len(both)
        tokens[row, at:end] = torch.tensor(both)
        targets[row, at : end - 1] = torch.tensor(both[1:])
        branches[row, at:end] = branch
        asked = [PROMPT_WEIGHT * (dice.random() < PROMPT_SHARE) for _ in text[1:]]
        weights[row, at : end - 1] = torch.tensor(asked + [REPLY_WEIGHT] * len(reply))
        return end

    for number, (shared, rest) in enumerate(rows):
        at = put(number, 0, shared, [], 0)
        for branch, (asked, reply) in enumerate(rest, 1):
            at = put(number, at, asked, reply, branch)
        # Padding is a branch of its own: nothing looks at it.
        branches[number, at:] = len(rest) + 1
    return Batch(tokens, targets, weights, branches, sum(map(size, rows)), sum(len(rest) for _, rest in rows))


class Batches(IterableDataset[Batch]):
    """Without end. ``seed`` and the worker's number set the dice, so a resumed training sees new examples if it gives a new seed."""

    def __init__(self, supply: examples.Supply, tokenizer: Path, tokens: int, seed: int) -> None:
        self._supply, self._tokenizer, self._tokens, self._seed = supply, tokenizer, tokens, seed

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        encoder = Encoder(self._tokenizer)
        waiting: dict[int, list[Row]] = {length: [] for length in LENGTHS}
        seed = self._seed * 1009 + (worker.id if worker else 0)
        dice = random.Random(seed)
        for group in examples.groups(self._supply, seed):
            shared, rest = encoder.group(group)
            while len(rest) > 1 and size((shared, rest)) > LENGTHS[-1]:
                rest.pop()
            row = (shared, rest)
            length = next((length for length in LENGTHS if length >= size(row)), 0)
            if not length:
                continue
            waiting[length].append(row)
            if len(waiting[length]) * length >= self._tokens:
                yield collated(waiting[length], length, encoder, dice)
                waiting[length] = []


def stream(supply: examples.Supply, tokenizer: Path, *, tokens: int, seed: int, workers: int) -> Iterator[Batch]:
    """``workers`` 0: made in this process."""
    return iter(DataLoader(Batches(supply, tokenizer, tokens, seed), batch_size=None, num_workers=workers, prefetch_factor=8 if workers else None))


def fixed(cases: list[Example], tokenizer: Path, most: int = 1024) -> list[tuple[list[int], list[int]]]:
    """Prompts and replies to measure on, those that fit."""
    encoder = Encoder(tokenizer)
    encoded = [encoder.example(case) for case in cases]
    return [(prompt, reply) for prompt, reply in encoded if len(prompt) + len(reply) <= most]
