"""The WebSocket's text messages: one closed list each way, this one to the server (``outgoing``: to a client). A leaf, and nothing but tables.

Text frames are JSON objects with a ``type``; binary frames are y-protocols (see ``editor/wire.py``).
Positions are UTF-16 code units in a file's text. What comes in is checked by ``editor/protocol.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

VERSION = 1

type_names = {str: "string", int: "integer", bool: "boolean", dict: "object", list: "array"}


@dataclass(frozen=True)
class Field:
    """One field of a message. ``limit``: longest string (UTF-16 units) or largest integer allowed."""

    name: str
    kind: type
    doc: str = ""
    required: bool = True
    limit: int | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Message:
    type: str
    doc: str
    fields: tuple[Field, ...] = ()


INSTRUCTION_LIMIT = 4000
# Characters of a text frame: the longest message there is, with every character escaped, has half of it.
MESSAGE_LIMIT = 64 * 1024
# JavaScript's largest safe integer: positions and clocks cross the wire as JSON numbers.
SAFE_INTEGER = 2**53 - 1

RUN = Field("run", str, "the run's id", limit=64)
FILE = Field("file", str, "file id: a key of the document's `files` map", limit=64)
SELECTION = Field("selection", dict, "`{anchor, head}`, UTF-16 units; equal for a caret", required=False)
INSTRUCTION = Field("instruction", str, "what the participant asks for", limit=INSTRUCTION_LIMIT)

TO_SERVER: dict[str, Message] = {
    m.type: m
    for m in (
        Message(
            "hello",
            "Asks for text frames. Before it the server sends binary frames only, so that stock Yjs providers live.",
            (
                Field("version", int, f"protocol version, {VERSION}", limit=SAFE_INTEGER),
                Field("name", str, "changes the participant's shown name", required=False, limit=400),
                Field("lineage", str, "of the copy that the client holds; another than the server's is closed with 4409", required=False, limit=64),
            ),
        ),
        Message(
            "instruction.typed",
            "The instruction line as it stands after a keystroke; empty when it is cleared, or its draft is not wanted. "
            "The model evaluates it at once, or makes a draft of it; the others see it being typed.",
            (
                Field("text", str, "the whole line so far", limit=INSTRUCTION_LIMIT),
                FILE,
                SELECTION,
                Field("mode", str, "`edit`, or `ask`: it is becoming a question", required=False, choices=("edit", "ask")),
            ),
        ),
        Message(
            "run.start",
            "Asks the model to carry out an instruction.",
            (
                INSTRUCTION,
                FILE,
                SELECTION,
                Field(
                    "mode", str, "`edit` rewrites a region, `ask` answers in `run.text` and edits nothing", required=False, choices=("edit", "ask")
                ),
                Field(
                    "variants", int, "how many replies to make; with more than 1 there is no run until one of them is taken", required=False, limit=64
                ),
                Field("engine", str, "`fast`, or `deep` where `welcome` names one", required=False, choices=("fast", "deep")),
            ),
        ),
        Message(
            "run.steer",
            "Gives a run that is not finished a new instruction. That run finishes as `steered`, what it wrote "
            "stands, and a new run that `continues` it goes on in its region; a question is asked on. Variants are made anew: of the same instruction, others.",
            (RUN, INSTRUCTION),
        ),
        Message(
            "run.stop",
            "Stops one run, or every run of the session; of variants, drops all. Nothing lands in the document after `run.finished`.",
            (Field("run", str, "without it: all runs", required=False, limit=64),),
        ),
        Message(
            "run.undo",
            "Takes back what the run wrote and still stands, and brings back what it deleted; other people's text stays. "
            "`run.card` says when it has happened.",
            (RUN,),
        ),
        Message(
            "run.retry",
            "The same instruction on the same lines again, after undoing what stands of the run: a new run that `retries` it. "
            "By the model `deep`, what stands stays, so that both answers can be looked at. Lines that cannot be found again are an error `changed`.",
            (RUN, Field("engine", str, "`deep`, where `welcome` names one", required=False, choices=("deep",))),
        ),
        Message(
            "run.continue",
            "Goes on where a run ended before its time, in the same lines; what it wrote stands: a new run that `continues` it.",
            (RUN,),
        ),
        Message(
            "run.keep",
            "Marks the run's edit as kept: its card is settled. Of variants it takes one, which is applied as a run of its own.",
            (RUN, Field("variant", int, "which variant to take, from 0", required=False, limit=64)),
        ),
    )
}
