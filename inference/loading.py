"""A model's file, loaded and tried: what the worker computes with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from inference import native
from inference.certainty import CERTAINTY
from inference.marks import MARKS
from inference.memory import BATCH
from inference.options import Options
from inference.prompts import SYSTEM, ChatFormat, Format, PatchFormat
from inference.reading import Tokens
from inference.templates import ChatTemplate

SEQUENCES = 16


@dataclass(frozen=True)
class Loaded:
    """``end``: a token that ends a reply though its file does not say so. ``prefill_rate``: prompt tokens a second. ``least``: how sure a reply must be."""

    context: native.Context
    tokens: Tokens
    format: Format
    end: int | None
    prefill_rate: float
    least: float


def load(options: Options, abort: native.AbortFlag, tell: Callable[[str, float], None]) -> Loaded:
    """``tell`` hears what is going on, for people, and how far it is, from 0 to 1. Raises ModelError, ValueError or templates.BadTemplate."""
    told = -1

    def progress(share: float) -> None:
        """llama.cpp calls it for every tensor; people hear of whole hundredths."""
        nonlocal told
        if int(share * 100) > told:
            told = int(share * 100)
            tell("", share)

    context = native.Context(
        options.path,
        context=options.context,
        sequences=SEQUENCES,
        batch=BATCH,
        cells=options.cells,
        kv=options.kv,
        flash=options.flash,
        own=options.own_kernels,
        threads=options.threads,
        extra_buffers=options.extra_buffers,
        gpu_layers=options.gpu_layers,
        abort=abort,
        progress=progress,
    )
    tell("It is loaded and being tried.", 1.0)
    try:
        tokens = Tokens(context.tokenize)
        form, end = _format(options, context, tokens)
        return Loaded(context, tokens, form, end, _measure(context, options.batch_threads or options.threads), context.number(CERTAINTY))
    except Exception:
        # Another model may be asked for next, and need the memory.
        context.close()
        raise


def _format(options: Options, context: native.Context, tokens: Tokens) -> tuple[Format, int | None]:
    if len(context.tokenize("<|patch|>", True)) == 1 and len(context.tokenize("<|L1|>", True)) == 1:
        return PatchFormat(tokens.count, marks=int(context.number(MARKS))), None
    text = context.chat_template()
    if not text:
        raise ValueError(f"{options.path.name} carries no chat template, so Ensemble cannot ask it for edits: use an instruct or chat model.")
    template = ChatTemplate(text, SYSTEM, *context.bos_eos(), context.adds_bos())
    # Files forget to say that their end of turn ends anything; some lack the token.
    end = context.tokenize(template.end_of_turn, True)
    stop_text = template.end_of_turn if len(end) > 1 else ""
    return ChatFormat(template, context.size, stop_text, tokens.count, options.other_tokens), end[0] if len(end) == 1 else None


def _measure(context: native.Context, threads: int) -> float:
    """A first evaluation: touches the weights, and tells how many tokens a slice of prefill may hold."""
    entries = [(0, position, 0, position == 63) for position in range(64)]
    context.decode(entries, threads)
    context.truncate(0, 0)
    begun = time.perf_counter()
    context.decode(entries, threads)
    rate = 64 / (time.perf_counter() - begun)
    context.truncate(0, 0)
    return rate
