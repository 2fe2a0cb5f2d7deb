"""A byte-pair vocabulary of code and requests, made so that a name keeps its tokens wherever it stands.

No merge joins a blank to a word or crosses a camelCase hump, and digits stay single: copying a name is copying its tokens.
llama.cpp reads the result under its own pre-tokenizer ``smollm`` and splits alike; ``export`` checks that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from inference.prompts import Segment
from inference.training import encoding, everyday, examples
from inference.training.scene import Example

VOCABULARY = 4096
LONGEST_TOKEN = 16
EXAMPLES, SOURCES, SOURCE_CHARS = 60_000, 4000, 6000
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def texts(supply: examples.Supply, count: int) -> Iterator[str]:
    for known in supply.sources.values():
        yield from (source.text[:SOURCE_CHARS] for source in known[:SOURCES])
    for scene in everyday.scenes():
        yield from scene.texts()
    stream = examples.stream(supply, seed=0)
    for _ in range(count):
        example = next(stream)
        yield example.instruction
        yield example.result or example.region


def make(supply: examples.Supply, path: Path, *, vocabulary: int = VOCABULARY, count: int = EXAMPLES) -> None:
    # Typed in the package as taking fewer arguments than it does.
    kit: Any = pre_tokenizers
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    digits, bytes_only = kit.Digits(individual_digits=True), kit.ByteLevel(add_prefix_space=False, use_regex=False)
    humps = kit.Split(Regex(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+"), "isolated")
    tokenizer.pre_tokenizer = kit.Sequence([digits, kit.Split(Regex(GPT2), "isolated"), humps, bytes_only])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(encoding.SPECIAL),
        initial_alphabet=kit.ByteLevel.alphabet(),
        show_progress=False,
        max_token_length=LONGEST_TOKEN,
    )
    tokenizer.train_from_iterator(texts(supply, count), trainer)
    tokenizer.pre_tokenizer = splits_for_use()
    tokenizer.save(str(path))


def splits_for_use() -> Any:
    """The splits that llama.cpp knows: merges that those of ``make`` forbid do not exist."""
    kit: Any = pre_tokenizers
    return kit.Sequence([kit.Digits(individual_digits=True), kit.ByteLevel(add_prefix_space=False, use_regex=True)])


class Encoder:
    """Segments to token numbers: text of people never becomes a special token."""

    def __init__(self, path: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.encode_special_tokens = True
        self._special = {token: self._tokenizer.token_to_id(token) for token in encoding.SPECIAL}
        self.size = self._tokenizer.get_vocab_size()
        self.pad, self.end = self._special["<|pad|>"], self._special[encoding.END]

    def text(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def segments(self, segments: Sequence[Segment]) -> list[int]:
        return [token for s in segments for token in ([self._special[s.text]] if s.control else self.text(s.text))]

    def group(self, group: Sequence[Example]) -> tuple[list[int], list[tuple[list[int], list[int]]]]:
        """Examples of one place: what they share of their prompts, and the rest of each one's prompt with its reply."""
        divided = [encoding.divided(encoding.prompt(example)) for example in group]
        branches = [
            (self.segments(asked), self.segments(encoding.reply(each.region, each.result, each.instruction, each.path)))
            for (_, asked), each in zip(divided, group, strict=True)
        ]
        return self.segments(divided[0][0]), branches

    def example(self, example: Example) -> tuple[list[int], list[int]]:
        """The prompt and the reply."""
        return self.segments(encoding.prompt(example)), self.segments(
            encoding.reply(example.region, example.result, example.instruction, example.path)
        )
