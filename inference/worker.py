"""What computes: one thread that owns the model, the context and the scheduler. Knows no event loop.

Whoever runs it puts commands into its queue and hears its events by run, in batches and in order, on the worker's
own thread. Low-level llama.cpp API only: the high-level class can neither batch nor cancel.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from inference import native
from inference.api import Event, Figures, Finished, ModelInfo, Outcome, Started, Task
from inference.cells import Cells
from inference.certainty import UNSURE
from inference.drafting import Drafter, drafter
from inference.foreseen import Foreseen, Logits
from inference.loading import SEQUENCES, load
from inference.memory import BATCH
from inference.options import Options
from inference.prompting import Prompting
from inference.reading import PIECE, Command, Unread, Waiting
from inference.replies import Malformed
from inference.scheduler import Job, Priority, Scheduler
from inference.sequences import Sequences
from inference.speed import Speed
from inference.stream import Stream

log = logging.getLogger(__name__)

# Sequences of other rooms than the last one in use are parked when nobody has used them for so long: attention looks at their cells too.
REST_S = 3.0


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
        self.commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
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
        self._foreseen = Foreseen()
        self._waiting = Waiting()
        self._reading: Iterator[None] = iter(())  # of the text that the first of those is about
        self._speed = Speed(options)
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
            reading = bool(self._waiting.commands)
            try:
                command = self.commands.get(block=not (busy or reading), timeout=max(0.0, self._rest_at - time.perf_counter()))
            except queue.Empty:
                pass
            else:
                if command[0] == "close":
                    reason = command[1]
                    break
                self._hear(command)
                continue  # every command that has come is heard before the next step
            try:
                if reading:
                    self._read()
                if busy:
                    self._step()
                if not reading and time.perf_counter() >= self._rest_at:
                    self._rest()
            except Exception as fault:
                log.exception("A step of the engine failed")
                self._fail_all(f"The model failed: {fault}")
        self._end_all("stopped", reason)
        if self.info.state == "ready":
            self._context.close()

    def _hear(self, command: Command) -> None:
        task = next((part for part in command if isinstance(part, Task)), None)
        if task and self._waiting.about(task.cache):
            return self._waiting.add(command)
        try:
            self._do(command)
        except Unread:
            self._waiting.add(command)

    def _do(self, command: Command) -> None:
        """Raises Unread, and then has done nothing that could not be done again."""
        if self.info.state == "ready":
            self._tokens.renew()
        try:
            getattr(self, "_do_" + command[0])(*command[1:])
        except Unread:
            raise
        except Exception as fault:
            # Of keystrokes nobody waits for anything; somebody does for a run.
            log.exception("The engine could not do what it was told")
            if command[0] == "start" and command[1] not in self._streams:
                self._refuse(command[1], "failed", f"The request could not be put to the model: {fault}")

    def _read(self) -> None:
        """More of the text that the first of the waiting commands is about; it is done when all is known."""
        streaming = self._scheduler.decoding
        until = time.perf_counter() + self._speed.reading_s()
        for _ in self._reading:
            if not self.commands.empty() or (streaming and time.perf_counter() >= until):
                return
        try:
            self._do(self._waiting.commands[0])
        except Unread as unread:
            self._reading = self._tokens.read(unread.text)
        else:
            self._waiting.commands.pop(0)

    def _load(self) -> None:
        options = self._options
        begun = time.perf_counter()
        loaded = load(options, self.abort, lambda detail, share: self._set_info(detail=detail, progress=share))
        self._context, self._tokens, self._format, self._end = loaded.context, loaded.tokens, loaded.format, loaded.end
        self._speed.prefill_rate, self._least = loaded.prefill_rate, loaded.least
        self._prompting = Prompting(self._format, self._tokens, self._context.size, options.other_tokens)
        self._sequences = Sequences(SEQUENCES, options.idle_cells, options.parked_bytes // self._context.cell_bytes())
        self._cells = Cells(self._context, self._sequences)
        self._scheduler = Scheduler(self._sequences)
        seconds = time.perf_counter() - begun
        log.info("Model %s ready in %.2f s, prompts at %.0f tokens/s", options.name, seconds, loaded.prefill_rate)
        self._set_info(
            state="ready",
            detail="",
            progress=None,
            format=self._format.name,
            context=self._context.size,
            region_lines=self._format.region_lines,
            parameters=self._context.parameters,
            facts={"load_s": f"{seconds:.2f}", "prompt_tokens_per_s": f"{loaded.prefill_rate:.0f}"},
        )

    def _set_info(self, **changes: Any) -> None:
        self.info = replace(self.info, **changes)
        self._tell(self.info)

    def _do_warm(self, task: Task) -> None:
        """Keystrokes of an instruction; or, where nobody is named, the file alone."""
        if self.info.state == "ready":
            job = self._prompting.typed(task) if task.who else self._prompting.file(task)
            if job:
                self._scheduler.add(job)

    def _do_start(self, run: str, task: Task, asked: float) -> None:
        refuse = partial(self._refuse, run, "failed")
        if self.info.state != "ready":
            return refuse(self.info.detail or "The model is still loading; try again in a moment.")
        if task.mode == "ask" and not self._format.answers:
            return refuse("This model does small edits and cannot answer questions.")
        prompt, tokens = self._prompting.prompt(task)
        if len(tokens) + 16 > self._context.size:
            return refuse(f"The request takes {len(tokens)} tokens and the model's context holds {self._context.size}: select fewer lines.")
        if task.mode == "edit" and (lines := task.region.count("\n") + 1) > (most := self._format.region_lines):
            # What was asked of a larger model may be asked of this one again.
            return refuse(f"The region has {lines} lines and this model takes {most} at most: select fewer lines, or choose a chat model.")
        job = Job(task.cache, task.who, tokens, Priority.DRAFT if task.draft else Priority.RUN)
        least = 0.0 if task.tentative else self._least
        reader, foreseen = self._format.reader(task), self._foreseen.of(job)
        stream = Stream(id=run, task=task, asked=asked, prompt=prompt, reader=reader, job=job, least=least, foreseen=foreseen)
        job.foreseen = foreseen is not None
        if len(task.region) >= PIECE:
            stream.drafter = self._drafter(task)  # which must perhaps be read first; of others it is made when the first token is out
        # The keystrokes' job would only compete for the sequence that the run takes over.
        for old in [j for j in self._scheduler.jobs if not j.run and (j.cache, j.key) == (job.cache, job.key)]:
            self._scheduler.remove(old)
        self._scheduler.add(job)
        self._streams[run] = self._by_job[job] = stream

    def _do_stop(self, run: str) -> None:
        stream = self._streams.get(run)
        if stream:
            self._finish(stream, "stopped")
        elif self._waiting.stop(run):
            self._refuse(run, "stopped", "")

    def _do_forget(self, cache: str) -> None:
        self._waiting.forget(cache)
        self._foreseen.forget(cache)
        if self.info.state == "ready":
            self._cells.apply(self._scheduler.forget(cache))
            self._prompting.forget(cache)

    def _do_figures(self) -> None:
        told, self._figures = self._figures, Figures()
        told.streams = len(self._streams)
        if self._report:
            self._report(told)

    def _step(self) -> None:
        streaming = self._scheduler.decoding
        self._guess(streaming)
        plan = self._scheduler.plan(min(self._speed.slice(streaming > 0), BATCH - SEQUENCES), time.perf_counter())
        if not self._cells.apply(plan.actions):
            return self._make_room()
        begun = self._announce()
        if not plan.batch:
            self._scheduler.evaluated(plan)
            if self._scheduler.jobs and not begun:
                # Every sequence is taken by a run; the next command or step frees one.
                time.sleep(0.001)
            return
        self.computing = frozenset(self._streams)
        threads = self._speed.threads(len(plan.batch), plan.prefilled)
        started = time.perf_counter()
        result = self._context.decode([(e.sequence, e.position, e.token, e.job is not None) for e in plan.batch], threads)
        self.computing = frozenset()
        self.abort.clear()
        now = time.perf_counter()
        self._figures.steps += 1
        self._figures.busy_s += now - started
        if result == native.ABORTED:
            # Whole micro-batches stay, the rest is dropped: take what llama.cpp says is there.
            lengths = {number: self._context.length(number) for number in {entry.sequence for entry in plan.batch}}
            self._cells.apply(self._scheduler.resynchronise(plan, lengths))
            return
        if result == native.NO_ROOM:
            return self._make_room()
        if result != native.OK:
            raise RuntimeError(f"llama_decode returned {result}")
        for job in self._scheduler.evaluated(plan):
            if job.priority == Priority.FILES:
                self._prompting.evaluated(job)
            else:
                self._figures.keystrokes += 1
                self._figures.keystroke_tokens += len(job.tokens) - job.cached
        self._figures.prefilled += plan.prefilled
        self._speed.took(len(plan.batch), plan.prefilled, now - started)
        wanted: dict[Job, list[int]] = {}
        for index, entry in enumerate(plan.batch):
            if entry.job:
                wanted.setdefault(entry.job, []).append(index)
        for job, indexes in wanted.items():
            logits = map(self._context.logits, indexes)
            stream = self._by_job.get(job)
            if stream is None or (stream.task.draft and not stream.tokens):
                # A draft is a keystroke too: where nothing comes of it, Enter asks for the same again.
                self._foreseen.keep(job, self._context.logits(indexes[0]))
            if stream:
                self._take(stream, logits, now)

    def _rest(self) -> None:
        """What nobody has used for long is parked, one between two steps, and none while people wait for tokens: a long one takes a while."""
        now = time.perf_counter()
        self._rest_at = now + REST_S
        if self.info.state == "ready" and not self._scheduler.decoding and (actions := self._sequences.rest(now - REST_S)):
            self._cells.apply(actions)
            self._rest_at = now

    def _guess(self, streaming: int) -> None:
        """What the streams' next tokens may be. All guesses of a step share the batch, so that prompts have room beside them.

        The first token comes alone: people wait for it, and a guess makes the step longer.
        """
        for job, stream in self._by_job.items():
            if not (stream.tokens and job.sequence and job.remaining == 1):
                continue
            if not stream.drafting:
                stream.drafting = True
                stream.drafter = stream.drafter or self._drafter(stream.task)
                if stream.drafter:
                    stream.drafter.took(job.tokens[-stream.tokens :], [])
            if stream.drafter:
                room = min(self._context.size - len(job.tokens) - 1, self._options.max_tokens - stream.tokens - 1)
                job.guess = stream.drafter.guess(streaming - 1, min(room, self._options.longest_guess)) if room > 0 else []

    def _drafter(self, task: Task) -> Drafter | None:
        """What guesses a reply to the task. Raises Unread, of a long region only."""
        costs = self._speed.costs
        return drafter(self._format.name, task.region, self._tokens, costs) if costs and task.mode == "edit" and task.region else None

    def _announce(self) -> bool:
        """Streams that have got a place have begun. Those whose first token was foreseen have it at once. Whether there were any."""
        placed = [stream for stream in self._streams.values() if not stream.announced and stream.job.sequence]
        for stream in placed:
            job, foreseen = stream.job, stream.foreseen
            stream.announced, stream.foreseen, job.foreseen = True, None, False
            stream.untold = [Started(len(job.tokens), job.cached, stream.prompt.left_out, stream.prompt.saw)]
            if foreseen is not None and job.remaining == 0:
                self._take(stream, [foreseen], time.perf_counter())
            elif job.remaining > 1:
                self._tell_of(stream)  # else it goes with the first token
        return bool(placed)

    def _tell_of(self, stream: Stream) -> None:
        if stream.untold:
            events, stream.untold = stream.untold, []
            self._emit(stream.id, events)

    def _make_room(self) -> None:
        """No cells are free: idle sequences go, then the youngest of several jobs waits for its turn."""
        if (actions := self._sequences.evict() or self._scheduler.preempt()) is not None:
            self._cells.apply(actions)
            return
        for stream in list(self._streams.values()):
            self._finish(stream, "failed", self._full())
        self._scheduler.clear()

    def _full(self) -> str:
        return f"The model's context of {self._context.size} tokens is full (ENSEMBLE_MAX_CONTEXT_TOKENS)."

    def _take(self, stream: Stream, rows: Iterable[Logits], now: float) -> None:
        """The model's next tokens: one, and another for each that was guessed right. They are read, and the next step follows them.

        ``rows``: the logits behind the stream's last token and behind each of its guess.
        """
        guess = stream.job.guess
        chosen: list[int] = []
        for place, logits in enumerate(rows):
            token = stream.choose(logits, place)
            if token is None:
                return self._finish(stream, "failed", "The model produced invalid numbers; its file may be damaged.")
            chosen.append(token)
            if place == len(guess) or guess[place] != token:
                break
        if stream.unsure:
            return self._finish(stream, "declined", UNSURE)
        if stream.drafter and stream.drafting:
            stream.drafter.took(chosen, guess)
            self._figures.drafted += len(guess)
            self._figures.accepted += len(chosen) - 1
        self._figures.decoded += len(chosen)
        self._cells.apply(self._scheduler.chose(stream.job, chosen))
        stream.came(now, len(chosen))
        events, ended = list[Event](), False
        try:
            for token in chosen:
                piece = self._context.piece(token)
                ended = piece.end or token == self._end
                events += stream.read_end() if ended else stream.read(piece.text, piece.control)
                if ended or stream.reader.complete:
                    break
        except Malformed as fault:
            return self._finish(stream, "failed", fault.reason, revert=True)
        stream.untold += stream.held(events, ended or stream.reader.complete or stream.tokens >= self._options.max_tokens) + stream.progress()
        if ended or stream.reader.complete:
            self._finish(stream, *stream.end())
        elif stream.tokens >= self._options.max_tokens:
            self._finish(stream, *stream.cut(self._options.max_tokens))
        elif len(stream.job.tokens) >= self._context.size:
            self._finish(stream, "failed", self._full())
        else:
            self._tell_of(stream)

    def _finish(self, stream: Stream, outcome: Outcome, reason: str = "", revert: bool = False) -> None:
        del self._streams[stream.id], self._by_job[stream.job]
        self._scheduler.remove(stream.job)
        stream.untold.append(Finished(outcome, *stream.figures(), reason, revert, stream.unsure))
        self._tell_of(stream)

    def _refuse(self, run: str, outcome: Outcome, reason: str) -> None:
        """It ends before it has begun."""
        self._emit(run, [Finished(outcome, 0, None, None, reason)])

    def _end_all(self, outcome: Outcome, reason: str) -> None:
        for stream in list(self._streams.values()):
            self._finish(stream, outcome, reason)
        waiting, self._waiting = self._waiting, Waiting()
        for run in waiting.runs():
            self._refuse(run, outcome, reason)

    def _fail_all(self, reason: str) -> None:
        self._end_all("failed", reason)
        self._scheduler.clear()
        self._cells.apply(self._sequences.reset())
