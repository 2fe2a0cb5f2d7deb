"""A client of OpenAI-compatible endpoints: which models there are, and streamed chat completions. Knows no tasks and no engines.

Every way in which an endpoint can fail becomes a sentence that people understand. The key is in the requests' headers and nowhere
else: what endpoints say goes through ``_clean`` before anybody sees it.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx2

from inference.options import Endpoint
from inference.sse import Broken, Events

LONGEST_ANSWER = 4 * 2**20
LONGEST_QUOTE = 200
# No answer has more; what says so is not believed.
MOST_TOKENS = 10**9
# When the reply has ended, how long the rest of the stream is waited for: its figures, and an end that leaves the connection usable.
REST_S = 1.0


@dataclass(frozen=True)
class Model:
    """``context`` and ``parameters``: 0 where the endpoint does not say."""

    context: int = 0
    parameters: int = 0


class Refused(Exception):
    """A request that came to nothing; the text is for people.

    ``down``: the next request would fare no better. ``loading``: it may before long.
    """

    def __init__(self, reason: str, *, status: int = 0, down: bool = False, loading: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.down = down
        self.loading = loading


class Client:
    """Owner of the connections to one endpoint. Lives on one event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._http: httpx2.AsyncClient | None = None

    async def close(self) -> None:
        if self._http:
            await self._http.aclose()

    async def models(self) -> dict[str, Model] | None:
        """By name; None where the endpoint lists none. Raises Refused."""
        client, endpoint = await self._open(), self._endpoint
        try:
            async with asyncio.timeout(endpoint.connect), client.stream("GET", endpoint.url + "/models") as response:
                if response.status_code != 200:
                    raise await self._refusal(response)
                return _models(json.loads(await _whole(response)))
        except Refused as refused:
            if refused.status in (404, 405, 501):
                return None
            raise
        except TimeoutError:
            raise self._unreachable(f"no answer within {endpoint.connect:g} s (ENSEMBLE_MAX_REMOTE_CONNECT_SECONDS)") from None
        except httpx2.HTTPError as fault:
            raise self._unreachable(_network(fault)) from None
        except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
            raise Refused(f"What {endpoint.host} answers is no list of models: the address must be the one that ends in /v1.", down=True) from None

    async def complete(self, body: dict[str, Any], take: Callable[[dict[str, Any]], bool], tick: Callable[[], None]) -> None:
        """Streams a chat completion: ``take`` gets each event and answers whether to go on; ``tick`` comes after those that came together.

        Cancelling it closes the connection. Raises Refused, also where the stream breaks off before its end.
        """
        client, endpoint = await self._open(), self._endpoint
        parser = Events()
        ended = begun = False
        try:
            async with asyncio.timeout(endpoint.first) as clock:
                async with client.stream("POST", endpoint.url + "/chat/completions", json=body) as response:
                    if response.status_code != 200:
                        raise await self._refusal(response)
                    async for chunk in response.aiter_bytes():
                        for data in parser.feed(chunk):
                            if data.strip() == "[DONE]":
                                ended = True
                                continue
                            event = self._event(data)
                            # Comments and empty events show that a proxy lives, and not that the model does.
                            begun = begun or wrote(event)
                            ended = ended or bool(choice(event).get("finish_reason"))
                            if not take(event):
                                return
                            if begun:
                                clock.reschedule(asyncio.get_running_loop().time() + (REST_S if ended else endpoint.silence))
                        tick()
        except TimeoutError:
            if ended:
                return
            if begun:
                raise Refused(
                    f"{endpoint.host} has sent nothing for {endpoint.silence:g} s (ENSEMBLE_MAX_REMOTE_SILENCE_SECONDS); "
                    "the lines it had not reached are unchanged."
                ) from None
            raise Refused(f"{endpoint.host} has sent no first token within {endpoint.first:g} s (ENSEMBLE_MAX_REMOTE_FIRST_SECONDS).") from None
        except Broken as fault:
            raise Refused(f"What {endpoint.host} sends is no stream of tokens ({fault}); the lines it had not reached are unchanged.") from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as fault:
            raise self._unreachable(_network(fault)) from None
        except httpx2.HTTPError as fault:
            if ended:
                return
            raise self._lost(_network(fault)) from None
        if not ended:
            raise self._lost("it ended before the answer did")

    async def _open(self) -> httpx2.AsyncClient:
        if self._http is None:
            endpoint = self._endpoint
            # Compressed, tokens would wait for each other.
            headers = {"Accept-Encoding": "identity", "User-Agent": "ensemble"}
            if endpoint.key:
                headers["Authorization"] = f"Bearer {endpoint.key}"

            def make() -> httpx2.AsyncClient:
                return httpx2.AsyncClient(
                    headers=headers,
                    limits=httpx2.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=30),
                    timeout=httpx2.Timeout(None, connect=endpoint.connect),
                    # A redirect must not carry people's text, or the key, to somewhere else.
                    follow_redirects=False,
                )

            # Reading the certificates takes long enough to be felt by everybody who types.
            made = await asyncio.to_thread(make)
            if self._http is None:
                self._http = made
        return self._http

    def _event(self, data: str) -> dict[str, Any]:
        """Raises Broken, or Refused where it is the endpoint's word that it has failed."""
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            raise Broken("it is not JSON") from None
        if not isinstance(event, dict):
            raise Broken("it is not an object")
        if event.get("error"):
            said = self._clean(_said(event))
            raise Refused(f"{self._endpoint.host} gave up in the middle of the answer.{f' It says: {said}' if said else ''}")
        return event

    def _unreachable(self, why: str) -> Refused:
        return Refused(f"The model's server {self._endpoint.host} cannot be reached: {why}.", down=True)

    def _lost(self, why: str) -> Refused:
        return Refused(f"The connection to {self._endpoint.host} was lost ({why}); the lines it had not reached are unchanged.")

    async def _refusal(self, response: httpx2.Response) -> Refused:
        """What a status other than 200 means, for people."""
        host, setting, status = self._endpoint.host, self._endpoint.setting, response.status_code
        said = ""
        with suppress(httpx2.HTTPError, ValueError, RecursionError):
            said = self._clean(_said(json.loads(await _whole(response))))
        says = f" It says: {said}" if said else ""
        if status in (401, 403):
            # Such answers like to repeat the key, or a part of it.
            return Refused(f"{host} refuses the key: set {setting}_KEY to one that it knows (status {status}).", status=status, down=True)
        if status == 404:
            return Refused(f"{host} has no such model, or nothing at this address: look at {setting}_NAME (status 404).{says}", status=404)
        if status == 429:
            return Refused(f"{host} takes no more requests just now; try again {_later(response)} (status 429).{says}", status=429)
        if status == 503:
            return Refused(f"{host} is not ready; try again {_later(response)} (status 503).{says}", status=503, loading=True)
        if 300 <= status < 400:
            return Refused(f"{host} has moved (status {status}): set the address that it has now.", status=status, down=True)
        if status < 500:
            return Refused(f"{host} does not take the request (status {status}).{says}", status=status)
        return Refused(f"{host} has failed (status {status}).{says}", status=status)

    def _clean(self, text: str) -> str:
        """Foreign words for a page or a log: one short line, and never the key."""
        if self._endpoint.key:
            text = text.replace(self._endpoint.key, "…")
        text = re.sub(r"[\x00-\x20\x7f-\x9f\u2028\u2029\ud800-\udfff]+", " ", text).strip()
        return text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + " …"


# What endpoints send is foreign: any part of it may be missing, or of another kind.


def choice(event: dict[str, Any]) -> dict[str, Any]:
    """The event's first choice, or nothing."""
    found = event.get("choices")
    return found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else {}


def text_of(event: dict[str, Any], *names: str) -> str:
    delta = choice(event).get("delta")
    found = [delta.get(name) for name in names] if isinstance(delta, dict) else []
    return "".join(text for text in found if isinstance(text, str))


class Letters:
    """Text as it should be of one stream's. Endpoints that count in UTF-16 cut letters in two: the halves are joined, strays replaced."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-16-le")("replace")

    def feed(self, text: str) -> str:
        return self._decoder.decode(text.encode("utf-16-le", "surrogatepass"))


def wrote(event: dict[str, Any]) -> bool:
    """Whether the model has said something: text, or thoughts that are not part of it."""
    return bool(text_of(event, "content", "reasoning_content", "reasoning"))


def usage(event: dict[str, Any]) -> dict[str, int]:
    """``prompt_tokens``, ``cached_tokens`` and ``completion_tokens``, as far as the event says."""
    found = event.get("usage")
    if not isinstance(found, dict):
        return {}
    details = found.get("prompt_tokens_details")
    all_ = {**(details if isinstance(details, dict) else {}), **found}
    counts = {name: all_.get(name) for name in ("prompt_tokens", "cached_tokens", "completion_tokens")}
    return {name: count for name, count in counts.items() if type(count) is int and 0 <= count <= MOST_TOKENS}


def _models(answer: Any) -> dict[str, Model]:
    """Raises ValueError, LookupError and their like."""
    found = {}
    for entry in answer["data"]:
        meta = entry.get("meta") or {}  # llama-server; vLLM says max_model_len
        sizes = [meta.get("n_ctx"), entry.get("max_model_len"), entry.get("context_length")]
        context = next((size for size in sizes if type(size) is int and size > 0), 0)
        parameters = meta.get("n_params")
        found[str(entry["id"])] = Model(context, parameters if type(parameters) is int else 0)
    return found


def _said(answer: Any) -> str:
    """The message of an error, in the forms that there are."""
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    message = error.get("message", error.get("detail")) if isinstance(error, dict) else error
    return message if isinstance(message, str) else ""


async def _whole(response: httpx2.Response) -> bytes:
    """Raises ValueError where it is longer than any answer should be."""
    data = b""
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > LONGEST_ANSWER:
            raise ValueError("too long")
    return data


def _later(response: httpx2.Response) -> str:
    """Retry-After is seconds or a date; people are told of seconds alone."""
    given = response.headers.get("retry-after", "").strip()
    if not re.fullmatch(r"\d{1,7}(\.\d+)?", given):
        return "in a moment"
    seconds = float(given)
    return f"in {seconds:.0f} s" if seconds < 120 else f"in {seconds / 60:.0f} minutes"


def _network(fault: BaseException) -> str:
    """In plain words; the fault's own would name addresses and system calls."""
    causes: list[BaseException] = [fault]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return "it does not speak TLS there"
        if isinstance(cause, ConnectionRefusedError):
            return "nothing listens there"
        if isinstance(cause, ConnectionResetError | BrokenPipeError):
            return "it closed the connection"
    words = str(fault).lower()
    if "name" in words and ("resol" in words or "known" in words):
        return "its name is not known"
    if isinstance(fault, httpx2.ConnectTimeout):
        return "no connection within the time allowed (ENSEMBLE_MAX_REMOTE_CONNECT_SECONDS)"
    if "refused" in words or isinstance(fault, httpx2.ConnectError):
        return "no connection can be made"
    return "it closed the connection" if isinstance(fault, httpx2.RemoteProtocolError | httpx2.ReadError) else type(fault).__name__
