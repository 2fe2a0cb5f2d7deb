"""The engine that computes elsewhere: at any OpenAI-compatible endpoint, such as llama-server, vLLM or Cerebras.

Lives on the event loop alone. Nothing is evaluated ahead: what an endpoint caches is its own affair.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from inference.api import Event, Finished, Listener, ModelInfo, Outcome, Started, Task
from inference.endpoint import Client, Letters, Model, Refused, choice, text_of, usage
from inference.mailbox import Mailbox
from inference.options import Endpoint
from inference.prompts import SYSTEM, ChatFormat
from inference.replies import Malformed
from inference.reply import Reply
from inference.templates import ChatTemplate
from inference.watched import Watched

log = logging.getLogger(__name__)

# How long until the endpoint is asked for its models again: while it answers; after a failure; after many.
LOOK_S, AGAIN_S, SELDOM_S = 60.0, 1.0, 30.0
MODELS_NAMED = 8
# Of the replies that are not to be the likeliest one.
VARIANT_TEMPERATURE = 0.8


class Messages(ChatTemplate):
    """The endpoint puts its model's own template around the messages: nothing is added here."""

    def __init__(self) -> None:
        self.head = self.tail = self.end_of_turn = ""


@dataclass(eq=False, kw_only=True)
class Stream(Reply):
    """One run under way."""

    listener: Listener
    letters: Letters = field(default_factory=Letters)
    job: asyncio.Task[None] | None = None
    ending: str = ""
    over: bool = False


class RemoteEngine(Watched):
    """Implements ``inference.api.Engine``."""

    def __init__(self, endpoint: Endpoint, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(ModelInfo(_short(endpoint.model) or endpoint.host))
        self._endpoint = endpoint
        self._client = Client(endpoint)
        self._loop = loop
        self._mailbox = Mailbox(loop)
        self._streams: dict[str, Stream] = {}
        self._model = endpoint.model
        self._format = ChatFormat(Messages(), endpoint.context)
        self._look_now = asyncio.Event()
        self._looking = loop.create_task(self._look())

    def warm(self, task: Task) -> None:
        """Nothing: docs/decisions/015."""

    def start(self, run: str, task: Task, listener: Listener) -> None:
        if task.draft:
            # Most are thrown away, and whoever runs the server may pay for each.
            return self._mailbox.post(listener, [Finished("declined", 0, None, None, f"{self._endpoint.host} is asked for runs alone.")])
        stream = self._streams[run] = Stream(task=task, listener=listener, asked=time.perf_counter(), reader=self._format.reader(task))
        stream.job = self._loop.create_task(self._run(run, stream))

    def stop(self, run: str) -> None:
        """Closes the connection: that is how endpoints hear that nobody wants the rest."""
        self._stop(run, "")

    def forget(self, cache: str) -> None:
        """Nothing is kept here."""

    def close(self, reason: str = "") -> None:
        """From any thread. Does not wait: there is no thread to end."""
        with suppress(RuntimeError):  # the loop has ended, and all with it
            self._loop.call_soon_threadsafe(self._close, reason or "The server is stopping.")

    def _close(self, reason: str) -> None:
        self._looking.cancel()
        jobs = [stream.job for stream in self._streams.values() if stream.job]
        for run in list(self._streams):
            self._stop(run, reason)

        async def end() -> None:
            await asyncio.gather(self._looking, *jobs, return_exceptions=True)
            await self._client.close()

        self._closing = self._loop.create_task(end())

    def _stop(self, run: str, reason: str) -> None:
        stream = self._streams.pop(run, None)
        if stream and stream.job:
            self._finish(stream, "stopped", reason)
            stream.job.cancel()

    # Which model it is, and whether the endpoint answers.

    async def _look(self) -> None:
        """For as long as the engine lives."""
        again = AGAIN_S
        while True:
            self._look_now.clear()
            try:
                self._use(await self._client.models())
                again = AGAIN_S
            except Refused as refused:
                self._failed(refused)
            except Exception as fault:
                log.exception("An endpoint could not be asked for its models")
                self._failed(Refused(f"{self._endpoint.host} cannot be used: {type(fault).__name__}."))
            wait = LOOK_S if self.info.state == "ready" else again
            again = min(2 * again, SELDOM_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look_now.wait(), wait)

    def _use(self, models: dict[str, Model] | None) -> None:
        """Raises Refused where it is not clear which. An endpoint that lists none is believed to have the one that is set."""
        endpoint = self._endpoint
        wanted = endpoint.model or (next(iter(models)) if models and len(models) == 1 else "")
        if not wanted:
            has = f"it has {_listed(models)}" if models is not None else "it does not list them"
            raise Refused(f"Say with {endpoint.setting}_NAME which model of {endpoint.host} to use: {has}.")
        if models is not None and wanted not in models:
            raise Refused(f"{endpoint.host} has no model {wanted} ({endpoint.setting}_NAME): it has {_listed(models)}.")
        about = (models or {}).get(wanted, Model())
        context = min(about.context or endpoint.context, endpoint.context)
        if (self._model, self.info.state, self.info.context) == (wanted, "ready", context):
            return
        self._model, self._format = wanted, ChatFormat(Messages(), context)
        log.info("The model %s of %s is ready", wanted, endpoint.host)
        self._tell(
            name=_short(wanted),
            state="ready",
            detail="",
            format=self._format.name,
            context=context,
            region_lines=self._format.region_lines,
            parameters=about.parameters,
            facts={"endpoint": endpoint.host, "model": wanted},
        )

    def _failed(self, refused: Refused) -> None:
        """While its server loads it, the model loads: runs wait for it."""
        state = "loading" if refused.loading and self.info.state == "loading" else "failed"
        if (self.info.state, self.info.detail) != (state, str(refused)):
            log.warning("%s", refused)
            self._tell(state=state, detail=str(refused))

    def _tell(self, **changes: Any) -> None:
        self.announce(replace(self.info, **changes))

    # A run.

    async def _run(self, run: str, stream: Stream) -> None:
        try:
            await self._answer(stream)
        except Refused as refused:
            self._finish(stream, "failed", str(refused))
            if refused.down:
                self._failed(refused)
            self._look_now.set()
        except Malformed as fault:
            self._finish(stream, "failed", fault.reason, revert=True)
        except Exception as fault:
            log.exception("A run at an endpoint failed")
            self._finish(stream, "failed", f"The request to {self._endpoint.host} failed: {type(fault).__name__}.")
        finally:
            if self._streams.get(run) is stream:
                del self._streams[run]

    async def _answer(self, stream: Stream) -> None:
        """Raises Refused or Malformed, or has finished the run."""
        if self.info.state != "ready":
            raise Refused(self.info.detail or f"{self._endpoint.host} has not answered yet; try again in a moment.")
        task = stream.task
        prompt = self._format.prompt(task)
        self._mailbox.post(stream.listener, [Started(0, 0, prompt.left_out, prompt.saw)])
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": "".join(segment.text for segment in (*prompt.segments, *prompt.trigger))},
            ],
            "max_tokens": self._endpoint.max_tokens,
            "temperature": VARIANT_TEMPERATURE if task.variant else 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if task.variant:
            body["seed"] = task.variant
        await self._client.complete(body, lambda event: self._take(stream, event), lambda: self._emit(stream, stream.progress()))
        self._conclude(stream)

    def _take(self, stream: Stream, event: dict[str, Any]) -> bool:
        """Whether more of the answer is wanted. Raises Malformed."""
        stream.tokens = usage(event).get("completion_tokens", stream.tokens)
        stream.ending = choice(event).get("finish_reason") or stream.ending
        if text_of(event, "content", "reasoning_content", "reasoning"):
            stream.came(time.perf_counter())  # one more, until the endpoint says how many there were in all
            if stream.tokens > 2 * self._endpoint.max_tokens:
                stream.ending = "length"  # the endpoint takes no notice of the limit
                return False
        if text := stream.letters.feed(text_of(event, "content")):
            self._emit(stream, stream.note(stream.reader.feed(text, False)))
        return not stream.reader.complete

    def _conclude(self, stream: Stream) -> None:
        """The stream has ended as it should. Raises Malformed."""
        if stream.ending == "length":
            return self._finish(stream, *stream.cut(self._endpoint.max_tokens, ", or the endpoint's own,"))
        if stream.ending == "content_filter":
            return self._finish(stream, "failed", f"{self._endpoint.host} held the rest of the answer back (its content filter).")
        if not stream.reader.complete:
            self._emit(stream, stream.note(stream.reader.finish()))
        self._finish(stream, *stream.end())

    def _emit(self, stream: Stream, events: list[Event]) -> None:
        if events and not stream.over:
            self._mailbox.post(stream.listener, events)

    def _finish(self, stream: Stream, outcome: Outcome, reason: str = "", revert: bool = False) -> None:
        self._emit(stream, [Finished(outcome, *stream.figures(), reason, revert)])
        stream.over = True


def _short(model: str) -> str:
    """A model's name for people: without the folders that some endpoints put before it."""
    return model.replace("\\", "/").rstrip("/").rpartition("/")[2].removesuffix(".gguf")


def _listed(models: dict[str, Model]) -> str:
    names = list(models)
    return ", ".join(names[:MODELS_NAMED]) + (f" and {len(names) - MODELS_NAMED} more" if len(names) > MODELS_NAMED else "") if names else "none"
