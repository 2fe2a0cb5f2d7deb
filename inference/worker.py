"""What computes: one thread that owns the model, the context and the scheduler. Knows no event loop.

Whoever runs it puts commands into its queue and hears its events by run, in batches and in order, on the worker's
own thread. Low-level llama.cpp API only: the high-level class can neither batch nor cancel.
"""

from __future__ import annotations

import codecs
import logging
import queue
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from inference import native
from inference.api import Event, Figures, Finished, Hunk, ModelInfo, Outcome, Progress, Started, Task
from inference.memory import BATCH
from inference.options import Options
from inference.prompts import SYSTEM, ChatFormat, Format, PatchFormat, Prompt, Segment
from inference.replies import Malformed, Reader
from inference.scheduler import Copy, Job, Scheduler, Truncate
from inference.templates import ChatTemplate

log = logging.getLogger(__name__)

SEQUENCES = 16
PROGRESS_S = 0.1
# What a slice of prefill may take while other streams decode.
SLICE_S = 0.015


@dataclass(eq=False)
class Stream:
    """One run inside the engine thread."""

    id: str
    task: Task
    asked: float
    reader: Reader
    job: Job
    left_out: str
    decoder: Any = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))
    tokens: int = 0
    first: float | None = None
    last: float = 0.0
    progress: float = 0.0
    edited: bool = False

    def figures(self) -> tuple[int, float | None, float | None]:
        """Tokens, time to first token in ms, tokens per second after the first."""
        ttft = (self.first - self.asked) * 1000 if self.first else None
        rate = (self.tokens - 1) / (self.last - self.first) if self.first and self.tokens > 1 and self.last > self.first else None
        return self.tokens, ttft, rate


class Worker:
    """Owner of everything native. ``emit(run, events)``, ``tell(info)`` and ``report(figures)`` are called on the worker's thread.

    Commands are tuples: ("warm", task), ("start", run, task, asked), ("stop", run), ("forget", cache), ("figures",), ("close", reason);
    ``asked`` is ``time.perf_counter()`` when the request came. Each "figures" is answered by one report, between two steps.
    """

    def __init__(
        self,
        options: Options,
        emit: Callable[[str, Sequence[Event]], None],
        tell: Callable[[ModelInfo], None],
        abort: native.AbortFlag | None = None,
        report: Callable[[Figures], None] | None = None,
    ) -> None:
        self.info = ModelInfo(options.name)
        self.commands: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        # Set by whoever asks for a stop of one of ``computing``: cuts the step; the command says which run.
        self.abort = abort or native.AbortFlag()
        self.computing: frozenset[str] = frozenset()
        self.closing = False
        self._options = options
        self._emit = emit
        self._tell = tell
        self._report = report
        self._figures = Figures()
        self._streams: dict[str, Stream] = {}
        self._prefill_rate = 2000.0
        self._end: int | None = None

    def run(self) -> None:
        """Until a close command. A model that cannot be loaded refuses every run with the reason."""
        reason = ""
        try:
            self._load()
        except Exception as fault:
            log.exception("The model could not be loaded")
            self._set_info(state="failed", detail=str(fault), progress=None)
        while True:
            busy = self.info.state == "ready" and bool(self._scheduler.jobs)
            try:
                command = self.commands.get(block=not busy)
                if command[0] == "close":
                    reason = command[1]
                    break
                getattr(self, "_do_" + command[0])(*command[1:])
                continue  # every command that has come is heard before the next step
            except queue.Empty:
                pass
            try:
                self._step()
            except Exception as fault:
                log.exception("A step of the engine failed")
                self._fail_all(f"The model failed: {fault}")
        for stream in list(self._streams.values()):
            self._finish(stream, "stopped", reason)
        if self.info.state == "ready":
            self._context.close()

    def _load(self) -> None:
        options = self._options
        begun = time.perf_counter()
        self._context = native.Context(
            options.path,
            context=options.context,
            sequences=SEQUENCES,
            batch=BATCH,
            threads=options.threads,
            extra_buffers=options.extra_buffers,
            abort=self.abort,
            progress=self._loading,
        )
        self._set_info(detail="It is loaded and being tried.", progress=1.0)
        try:
            self._format = self._choose_format()
            self._measure()
        except Exception:
            # Another model may be asked for next, and need the memory.
            self._context.close()
            raise
        self._scheduler = Scheduler(SEQUENCES, options.idle_cells)
        self._tokens = lru_cache(maxsize=512)(self._context.tokenize)
        seconds = time.perf_counter() - begun
        log.info("Model %s ready in %.2f s, prompts at %.0f tokens/s", options.name, seconds, self._prefill_rate)
        self._set_info(
            state="ready",
            detail="",
            progress=None,
            format=self._format.name,
            context=self._context.size,
            region_lines=self._format.region_lines,
            parameters=self._context.parameters,
            facts={"load_s": f"{seconds:.2f}", "prompt_tokens_per_s": f"{self._prefill_rate:.0f}"},
        )

    def _loading(self, share: float) -> bool:
        """llama.cpp calls it for every tensor; people hear of whole hundredths."""
        if self.info.progress is None or int(share * 100) > int(self.info.progress * 100):
            self._set_info(progress=share)
        return not self.closing

    def _choose_format(self) -> Format:
        if len(self._context.tokenize("<|patch|>", True)) == 1 and len(self._context.tokenize("<|L1|>", True)) == 1:
            return PatchFormat()
        text = self._context.chat_template()
        if not text:
            raise ValueError(
                f"{self._options.path.name} carries no chat template, so Ensemble cannot ask it for edits: use an instruct or chat model."
            )
        template = ChatTemplate(text, SYSTEM, *self._context.bos_eos(), self._context.adds_bos())
        # Files forget to say that their end of turn ends anything; some lack the token.
        end = self._context.tokenize(template.end_of_turn, True)
        self._end = end[0] if len(end) == 1 else None
        return ChatFormat(template, self._context.size, template.end_of_turn if len(end) > 1 else "")

    def _measure(self) -> None:
        """A first evaluation: touches the weights, and tells how many tokens a slice of prefill may hold."""
        entries = [(0, position, 0, position == 63) for position in range(64)]
        self._context.decode(entries)
        self._context.truncate(0, 0)
        begun = time.perf_counter()
        self._context.decode(entries)
        self._prefill_rate = 64 / (time.perf_counter() - begun)
        self._context.truncate(0, 0)

    def _set_info(self, **changes: Any) -> None:
        self.info = replace(self.info, **changes)
        self._tell(self.info)

    def _encode(self, segments: Iterable[Segment]) -> list[int]:
        return [token for segment in segments for token in self._tokens(segment.text, segment.control)]

    def _do_warm(self, task: Task) -> None:
        if self.info.state != "ready":
            return
        tokens = self._encode(self._format.prompt(task).segments)
        if 0 < len(tokens) < self._context.size:
            self._scheduler.add(Job(task.cache, task.who, tokens, run=False))

    def _do_start(self, run: str, task: Task, asked: float) -> None:
        def refuse(reason: str) -> None:
            self._emit(run, [Finished("failed", 0, None, None, reason)])

        if self.info.state != "ready":
            return refuse(self.info.detail or "The model is still loading; try again in a moment.")
        try:
            prompt: Prompt = self._format.prompt(task)
            tokens = self._encode((*prompt.segments, *prompt.trigger))
        except Exception as fault:
            log.exception("A prompt could not be made")
            return refuse(f"The request could not be put to the model: {fault}")
        if len(tokens) + 16 > self._context.size:
            return refuse(f"The request takes {len(tokens)} tokens and the model's context holds {self._context.size}: select fewer lines.")
        job = Job(task.cache, task.who, tokens, run=True)
        # The keystrokes' job would only compete for the sequence that the run takes over.
        for old in [j for j in self._scheduler.jobs if not j.run and (j.cache, j.key) == (job.cache, job.key)]:
            self._scheduler.remove(old)
        self._scheduler.add(job)
        self._streams[run] = Stream(run, task, asked, self._format.reader(task), job, prompt.left_out)

    def _do_stop(self, run: str) -> None:
        stream = self._streams.get(run)
        if stream:
            self._finish(stream, "stopped")

    def _do_forget(self, cache: str) -> None:
        if self.info.state == "ready":
            self._apply(self._scheduler.forget(cache))

    def _do_figures(self) -> None:
        told, self._figures = self._figures, Figures()
        if self._report:
            self._report(told)

    def _apply(self, actions: Iterable[Copy | Truncate]) -> None:
        for action in actions:
            if isinstance(action, Copy):
                self._context.copy(action.source, action.target, action.length)
            else:
                self._context.truncate(action.sequence, action.length)

    def _step(self) -> None:
        decoding = any(job.run and job.sequence and job.remaining == 1 for job in self._scheduler.jobs)
        limit = max(16, int(self._prefill_rate * SLICE_S)) if decoding else BATCH
        plan = self._scheduler.plan(min(limit, BATCH - SEQUENCES))
        self._apply(plan.actions)
        for stream in self._streams.values():
            if stream.job.sequence and stream.tokens == 0 and not stream.progress:
                stream.progress = time.perf_counter()
                started = Started(len(stream.job.tokens), stream.job.cached, stream.left_out)
                self._emit(stream.id, [started])
        if not plan.batch:
            self._scheduler.evaluated(plan)
            if self._scheduler.jobs:
                # Every sequence is taken by a run; the next command or step frees one.
                time.sleep(0.001)
            return
        self.computing = frozenset(self._streams)
        begun = time.perf_counter()
        result = self._context.decode([(e.sequence, e.position, e.token, e.job is not None) for e in plan.batch])
        self.computing = frozenset()
        self._figures.steps += 1
        self._figures.busy_s += time.perf_counter() - begun
        if result == native.ABORTED:
            self.abort.clear()
            for sequence in {entry.sequence for entry in plan.batch}:
                # Whole micro-batches stay, the rest is dropped: take what llama.cpp says is there.
                kept = self._context.length(sequence)
                known = self._scheduler.sequences[sequence].tokens
                known += [e.token for e in plan.batch if e.sequence == sequence and len(known) <= e.position < kept]
                self._scheduler.resynchronise(sequence, kept)
            return
        self.abort.clear()
        if result == native.NO_ROOM:
            return self._make_room()
        if result != native.OK:
            raise RuntimeError(f"llama_decode returned {result}")
        self._figures.prefilled += sum(entry.job is None for entry in plan.batch)
        for job in self._scheduler.evaluated(plan):
            self._figures.keystrokes += 1
            self._figures.keystroke_tokens += len(job.tokens) - job.cached
        streams = {stream.job: stream for stream in self._streams.values()}
        for index, entry in enumerate(plan.batch):
            if entry.job in streams:
                self._take(streams[entry.job], self._context.argmax(index))

    def _make_room(self) -> None:
        action = self._scheduler.evict()
        if action:
            return self._apply([action])
        longest = max(self._streams.values(), key=lambda s: len(s.job.tokens), default=None)
        if longest:
            self._finish(longest, "failed", f"The model's context of {self._context.size} tokens is full.")
        else:
            for job in list(self._scheduler.jobs):
                self._scheduler.remove(job)

    def _take(self, stream: Stream, token: int | None) -> None:
        """A sampled token: read it, and queue it for the next step unless the reply has ended."""
        now = time.perf_counter()
        if token is None:
            return self._finish(stream, "failed", "The model produced invalid numbers; its file may be damaged.")
        stream.tokens += 1
        self._figures.decoded += 1
        stream.last = now
        stream.first = stream.first or now
        events: list[Event] = []
        try:
            ended = token == self._end or self._context.is_end(token)
            if ended:
                rest = stream.decoder.decode(b"", True)
                events += stream.reader.feed(rest, False) if rest else []
                events += stream.reader.finish()
            else:
                control = self._context.is_control(token)
                piece = self._context.piece(token)
                text = piece.decode() if control else stream.decoder.decode(piece)
                events += stream.reader.feed(text, control) if text else []
        except Malformed as fault:
            return self._finish(stream, "failed", f"The model's answer broke its form ({fault}); nothing was changed.", revert=True)
        stream.edited = stream.edited or any(isinstance(event, Hunk) for event in events)
        if stream.tokens == 1 or now - stream.progress >= PROGRESS_S:
            stream.progress = now
            tokens, ttft, rate = stream.figures()
            events.append(Progress(tokens, ttft or 0.0, rate))
        if events:
            self._emit(stream.id, events)
        if ended or stream.reader.complete:
            if stream.edited:
                self._finish(stream, "done")
            else:
                self._finish(stream, "declined", "The model found nothing to change.")
        elif stream.tokens >= self._options.max_tokens:
            self._finish(
                stream,
                "failed",
                f"The answer reached the limit of {self._options.max_tokens} tokens (ENSEMBLE_MAX_RUN_TOKENS) "
                "and was cut; the lines it had not reached are unchanged.",
            )
        elif len(stream.job.tokens) + 1 >= self._context.size:
            self._finish(stream, "failed", f"The model's context of {self._context.size} tokens is full.")
        else:
            stream.job.tokens.append(token)

    def _finish(self, stream: Stream, outcome: Outcome, reason: str = "", revert: bool = False) -> None:
        del self._streams[stream.id]
        if stream.job.sequence or stream.job in self._scheduler.jobs:
            self._scheduler.remove(stream.job)
        self._emit(stream.id, [Finished(outcome, *stream.figures(), reason, revert)])

    def _fail_all(self, reason: str) -> None:
        for stream in list(self._streams.values()):
            self._finish(stream, "failed", reason)
        for job in list(self._scheduler.jobs):
            self._scheduler.remove(job)
        self._apply(Truncate(sequence.id, 0) for sequence in self._scheduler.sequences)
        for sequence in self._scheduler.sequences:
            sequence.tokens = []
