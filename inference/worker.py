"""What computes: one thread that owns the model, the context and the scheduler. Knows no event loop.

Whoever runs it puts commands into its queue and hears its events by run, in batches and in order, on the worker's
own thread. Low-level llama.cpp API only: the high-level class can neither batch nor cancel.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from inference import native
from inference.api import Event, Figures, Finished, ModelInfo, Outcome, Started, Task
from inference.certainty import CERTAINTY, UNSURE
from inference.drafting import Costs, drafter
from inference.memory import BATCH
from inference.options import Options
from inference.prompts import SYSTEM, ChatFormat, Format, PatchFormat, Prompt, Segment
from inference.replies import Malformed
from inference.scheduler import Job, Plan, Priority, Scheduler
from inference.sequences import Action, Copy, Drop, Park, Restore, Sequences, Truncate
from inference.snapshots import Snapshot, Snapshots
from inference.stream import Stream
from inference.templates import ChatTemplate

log = logging.getLogger(__name__)

SEQUENCES = 16
# What a slice of prefill may take while other streams decode, and the fewest tokens of one.
SLICE_S, SMALLEST_SLICE = 0.015, 16
# What a step of prompts alone may take: a stop cuts it between two nodes of its graph, and each is the longer the more tokens it has.
STEP_S = 0.25
# How much a new measurement changes what is known of the speed.
WEIGHT = 0.2
# Sequences of other rooms than the last one in use are parked when nobody has used them for so long.
REST_S = 30.0


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
        report: Callable[[Figures], None] | None = None,
    ) -> None:
        self.info = ModelInfo(options.name)
        self.commands: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        # Set by whoever asks for a stop of one of ``computing``: cuts the step; the command says which run.
        self.abort = native.AbortFlag()
        self.computing: frozenset[str] = frozenset()
        self._options = options
        self._emit = emit
        self._tell = tell
        self._report = report
        self._figures = Figures()
        self._streams: dict[str, Stream] = {}
        self._by_job: dict[Job, Stream] = {}
        self._costs = Costs(dict(options.costs)) if options.costs and options.longest_guess else None
        self._saved: dict[int, native.Saved] = {}
        # By cache and path: the file's evaluation in idle time, and the snapshot that it is of, where that is a new one.
        self._refreshing: dict[tuple[str, str], tuple[Job, Task, Snapshot | None]] = {}
        # Prompt tokens a second, and seconds of a step that only decodes: as measured while it works.
        self._prefill_rate = 2000.0
        self._decode_s = 0.0
        self._end: int | None = None
        # When idle sequences are looked at again, whatever commands come meanwhile.
        self._rest_at = time.perf_counter() + REST_S

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
                command = self.commands.get(block=not busy, timeout=None if busy else max(0.0, self._rest_at - time.perf_counter()))
            except queue.Empty:
                pass
            else:
                if command[0] == "close":
                    reason = command[1]
                    break
                try:
                    getattr(self, "_do_" + command[0])(*command[1:])
                except Exception:
                    # Of keystrokes nobody waits for anything; a start answers for itself.
                    log.exception("The engine could not do what it was told")
                continue  # every command that has come is heard before the next step
            try:
                if busy:
                    self._step()
                else:
                    self._rest()
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
            cells=options.cells,
            kv=options.kv,
            flash=options.flash,
            threads=options.threads,
            batch_threads=options.batch_threads,
            extra_buffers=options.extra_buffers,
            gpu_layers=options.gpu_layers,
            abort=self.abort,
            progress=self._loading,
        )
        self._set_info(detail="It is loaded and being tried.", progress=1.0)
        self._tokens = lru_cache(maxsize=512)(self._context.tokenize)
        self._snapshots = Snapshots(self._count, options.other_tokens)
        try:
            self._format = self._choose_format()
            self._least = self._context.number(CERTAINTY)
            self._measure()
        except Exception:
            # Another model may be asked for next, and need the memory.
            self._context.close()
            raise
        parked = options.parked_bytes // self._context.cell_bytes()
        self._sequences = Sequences(SEQUENCES, options.idle_cells, parked)
        self._scheduler = Scheduler(self._sequences)
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

    def _loading(self, share: float) -> None:
        """llama.cpp calls it for every tensor; people hear of whole hundredths."""
        if self.info.progress is None or int(share * 100) > int(self.info.progress * 100):
            self._set_info(progress=share)

    def _choose_format(self) -> Format:
        if len(self._context.tokenize("<|patch|>", True)) == 1 and len(self._context.tokenize("<|L1|>", True)) == 1:
            return PatchFormat(self._count)
        text = self._context.chat_template()
        if not text:
            raise ValueError(
                f"{self._options.path.name} carries no chat template, so Ensemble cannot ask it for edits: use an instruct or chat model."
            )
        template = ChatTemplate(text, SYSTEM, *self._context.bos_eos(), self._context.adds_bos())
        # Files forget to say that their end of turn ends anything; some lack the token.
        end = self._context.tokenize(template.end_of_turn, True)
        self._end = end[0] if len(end) == 1 else None
        return ChatFormat(template, self._context.size, template.end_of_turn if len(end) > 1 else "", self._count, self._options.other_tokens)

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

    def _count(self, text: str) -> int:
        return len(self._tokens(text, False))

    def _encode(self, segments: Iterable[Segment]) -> list[int]:
        return [token for segment in segments for token in self._tokens(segment.text, segment.control)]

    def _prompt(self, task: Task) -> Prompt:
        """With what the cache holds of the file."""
        room = self._format.room(task)
        return self._format.prompt(task, None if room is None else self._snapshots.follow(task, room))

    def _do_warm(self, task: Task) -> None:
        """Keystrokes of an instruction; or, where nobody is named, the file alone, in what time is left."""
        if self.info.state != "ready":
            return
        if not task.who:
            return self._warm_file(task)
        prompt = self._prompt(task)
        # With what asks for the reply: the next key evaluates that again, but Enter finds all but the last token done.
        tokens = self._encode((*prompt.segments, *prompt.trigger))
        if 0 < len(tokens) < self._context.size:
            self._scheduler.add(Job(task.cache, task.who, tokens, Priority.KEYSTROKE))

    def _warm_file(self, task: Task) -> None:
        room = self._format.room(task)
        if room is None:
            return
        followed = self._snapshots.follow(task, room)
        # Until the fresh one is evaluated, beside the old one, prompts go on with the log.
        refreshed = self._snapshots.refreshed(task, room)
        prompt = self._format.prompt(task, refreshed or followed)
        tokens = self._encode(prompt.segments[: prompt.stable])
        if 0 < len(tokens) < self._context.size:
            job = Job(task.cache, f"the file {task.path}", tokens, Priority.FILES, keeps=True)
            self._scheduler.add(job)
            self._refreshing[task.cache, task.path] = (job, task, refreshed)

    def _refreshed(self, job: Job) -> None:
        """A file is evaluated: prompts show it as it is there from now on, unless it has changed since."""
        for key, (refreshing, task, snapshot) in list(self._refreshing.items()):
            if refreshing is job:
                del self._refreshing[key]
                held = self._snapshots.held(*key)
                if snapshot and held and held.now == snapshot.now:
                    self._snapshots.keep(task, snapshot)

    def _do_start(self, run: str, task: Task, asked: float) -> None:
        def refuse(reason: str) -> None:
            self._emit(run, [Finished("failed", 0, None, None, reason)])

        if self.info.state != "ready":
            return refuse(self.info.detail or "The model is still loading; try again in a moment.")
        if task.mode == "ask" and not self._format.answers:
            return refuse("This model does small edits and cannot answer questions.")
        try:
            prompt = self._prompt(task)
            tokens = self._encode((*prompt.segments, *prompt.trigger))
        except Exception as fault:
            log.exception("A prompt could not be made")
            return refuse(f"The request could not be put to the model: {fault}")
        if len(tokens) + 16 > self._context.size:
            return refuse(f"The request takes {len(tokens)} tokens and the model's context holds {self._context.size}: select fewer lines.")
        job = Job(task.cache, task.who, tokens, Priority.DRAFT if task.draft else Priority.RUN)
        # The keystrokes' job would only compete for the sequence that the run takes over.
        for old in [j for j in self._scheduler.jobs if not j.run and (j.cache, j.key) == (job.cache, job.key)]:
            self._scheduler.remove(old)
        self._scheduler.add(job)
        least = 0.0 if task.tentative else self._least
        stream = Stream(id=run, task=task, asked=asked, prompt=prompt, reader=self._format.reader(task), job=job, least=least)
        if self._costs and task.mode == "edit" and task.region:
            stream.drafter = drafter(self._format.name, task.region, self._tokens, self._costs)
        self._streams[run] = self._by_job[job] = stream

    def _do_stop(self, run: str) -> None:
        stream = self._streams.get(run)
        if stream:
            self._finish(stream, "stopped")

    def _do_forget(self, cache: str) -> None:
        if self.info.state == "ready":
            self._apply(self._scheduler.forget(cache))
            self._snapshots.forget(cache)
            self._refreshing = {key: value for key, value in self._refreshing.items() if key[0] != cache}

    def _do_figures(self) -> None:
        told, self._figures = self._figures, Figures()
        told.streams = len(self._streams)
        if self._report:
            self._report(told)

    def _apply(self, actions: Iterable[Action]) -> bool:
        """Whether all could be done: what was parked may find no room. Then its sequence, and what forks it, is empty."""
        empty: set[int] = set()
        for action in actions:
            match action:
                case Copy(source, target, length):
                    if source in empty:
                        self._lose(target, empty)
                    else:
                        self._context.copy(source, target, length)
                case Truncate(sequence, length):
                    self._context.truncate(sequence, length)
                    empty -= {sequence} if length == 0 else set()
                case Park(sequence, slot):
                    saved = self._context.save(sequence)
                    if saved is None:
                        self._sequences.lost(slot)
                    else:
                        self._saved[slot] = saved
                case Restore(slot, sequence):
                    if not self._context.restore(sequence, self._saved.pop(slot)):
                        self._lose(sequence, empty)
                case Drop(slot):
                    self._saved.pop(slot, None)
        return not empty

    def _lose(self, number: int, empty: set[int]) -> None:
        empty.add(number)
        sequence = self._sequences.all[number]
        sequence.tokens = []
        if sequence.job:
            sequence.job.cached = 0

    def _step(self) -> None:
        streaming = self._scheduler.decoding
        self._guess(streaming)
        limit = max(SMALLEST_SLICE, int(self._prefill_rate * (SLICE_S if streaming else STEP_S)))
        begun = time.perf_counter()
        plan = self._scheduler.plan(min(limit, BATCH - SEQUENCES), begun)
        if not self._apply(plan.actions):
            return self._make_room()
        self._announce()
        if not plan.batch:
            self._scheduler.evaluated(plan)
            if self._scheduler.jobs:
                # Every sequence is taken by a run; the next command or step frees one.
                time.sleep(0.001)
            return
        self.computing = frozenset(self._streams)
        result = self._context.decode([(e.sequence, e.position, e.token, e.job is not None) for e in plan.batch])
        self.computing = frozenset()
        self.abort.clear()
        now = time.perf_counter()
        self._figures.steps += 1
        self._figures.busy_s += now - begun
        if result == native.ABORTED:
            # Whole micro-batches stay, the rest is dropped: take what llama.cpp says is there.
            lengths = {number: self._context.length(number) for number in {entry.sequence for entry in plan.batch}}
            self._apply(self._scheduler.resynchronise(plan, lengths))
            return
        if result == native.NO_ROOM:
            return self._make_room()
        if result != native.OK:
            raise RuntimeError(f"llama_decode returned {result}")
        for job in self._scheduler.evaluated(plan):
            if job.priority == Priority.FILES:
                self._refreshed(job)
            else:
                self._figures.keystrokes += 1
                self._figures.keystroke_tokens += len(job.tokens) - job.cached
        self._figures.prefilled += plan.prefilled
        self._learn(plan, now - begun)
        wanted: dict[Job, list[int]] = {}
        for index, entry in enumerate(plan.batch):
            if entry.job:
                wanted.setdefault(entry.job, []).append(index)
        for job, indexes in wanted.items():
            self._take(self._by_job[job], indexes, now)

    def _rest(self) -> None:
        """Nothing is to do: what nobody has used for long is parked."""
        now = time.perf_counter()
        self._rest_at = now + REST_S
        if self.info.state == "ready":
            self._apply(self._sequences.rest(now - REST_S))

    def _guess(self, streaming: int) -> None:
        """What the streams' next tokens may be. All guesses of a step share the batch, so that prompts have room beside them."""
        for job, stream in self._by_job.items():
            if stream.drafter and job.sequence and job.remaining == 1:
                room = min(self._context.size - len(job.tokens) - 1, self._options.max_tokens - stream.tokens - 1)
                job.guess = stream.drafter.guess(streaming - 1, min(room, self._options.longest_guess)) if room > 0 else []

    def _learn(self, plan: Plan, seconds: float) -> None:
        """How long a step takes: what slices of prompts beside streams follow from."""
        if not plan.prefilled:
            self._decode_s += WEIGHT * (seconds - self._decode_s) if self._decode_s else seconds
        elif plan.prefilled >= SMALLEST_SLICE:
            beside = self._decode_s if plan.prefilled < len(plan.batch) else 0.0
            rate = plan.prefilled / max(seconds - beside, seconds / 4)
            self._prefill_rate += WEIGHT * (rate - self._prefill_rate)

    def _announce(self) -> None:
        for stream in self._streams.values():
            if not stream.announced and stream.job.sequence:
                stream.announced = True
                started = Started(len(stream.job.tokens), stream.job.cached, stream.prompt.left_out, stream.prompt.saw)
                self._emit(stream.id, [started])

    def _make_room(self) -> None:
        """No cells are free: idle sequences go, then the youngest of several jobs waits for its turn."""
        actions = self._sequences.evict() or self._scheduler.preempt()
        if actions is not None:
            self._apply(actions)
            return
        for stream in list(self._streams.values()):
            self._finish(stream, "failed", self._full())
        for job in list(self._scheduler.jobs):
            self._scheduler.remove(job)

    def _full(self) -> str:
        return f"The model's context of {self._context.size} tokens is full (ENSEMBLE_MAX_CONTEXT_TOKENS)."

    def _take(self, stream: Stream, indexes: list[int], now: float) -> None:
        """The model's next tokens: one, and another for each that was guessed right. They are read, and the next step follows them."""
        guess = stream.job.guess
        chosen: list[int] = []
        for place, index in enumerate(indexes):
            token = stream.choose(self._context.logits(index))
            if token is None:
                return self._finish(stream, "failed", "The model produced invalid numbers; its file may be damaged.")
            chosen.append(token)
            if place == len(guess) or guess[place] != token:
                break
        if stream.unsure:
            return self._finish(stream, "declined", UNSURE)
        if stream.drafter:
            stream.drafter.took(chosen, guess)
            self._figures.drafted += len(guess)
            self._figures.accepted += len(chosen) - 1
        self._figures.decoded += len(chosen)
        self._apply(self._scheduler.chose(stream.job, chosen))
        stream.came(now, len(chosen))
        events: list[Event] = []
        ended = False
        try:
            for token in chosen:
                piece = self._context.piece(token)
                ended = piece.end or token == self._end
                events += stream.read_end() if ended else stream.read(piece.text, piece.control)
                if ended or stream.reader.complete:
                    break
        except Malformed as fault:
            return self._finish(stream, "failed", fault.reason, revert=True)
        events = stream.held(events, ended or stream.reader.complete or stream.tokens >= self._options.max_tokens) + stream.progress()
        if events:
            self._emit(stream.id, events)
        if ended or stream.reader.complete:
            self._finish(stream, *stream.end())
        elif stream.tokens >= self._options.max_tokens:
            self._finish(stream, *stream.cut(self._options.max_tokens))
        elif len(stream.job.tokens) >= self._context.size:
            self._finish(stream, "failed", self._full())

    def _finish(self, stream: Stream, outcome: Outcome, reason: str = "", revert: bool = False) -> None:
        del self._streams[stream.id], self._by_job[stream.job]
        self._scheduler.remove(stream.job)
        self._emit(stream.id, [Finished(outcome, *stream.figures(), reason, revert)])

    def _fail_all(self, reason: str) -> None:
        for stream in list(self._streams.values()):
            self._finish(stream, "failed", reason)
        for job in list(self._scheduler.jobs):
            self._scheduler.remove(job)
        self._apply(self._sequences.reset())
