"""A model's own chat template: what it puts before and after a person's text, and what ends a turn. Pure.

Templates are Jinja as Hugging Face writes it, and come with the file: they are foreign code, and run in a sandbox.
"""

from __future__ import annotations

import itertools
import json
import re
from datetime import datetime
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox

# Stand for texts that are tokenised apart from the template. Letters, so that no filter changes them.
USER, REPLY = "ENSEMBLEuserTEXT", "ENSEMBLEreplyTEXT"
MARKER = re.compile(r"\s*(<[^<>\s]{1,40}>|\[[^\[\]\s]{1,40}\])")

# A reply goes into people's text as it comes: a model that would think aloud first is told that it has.
OPEN_THOUGHT, NO_THOUGHT = re.compile(r"<think>\s*\Z"), "<think>\n\n</think>\n\n"


class BadTemplate(Exception):
    """The template cannot be used; the text says why, for people."""


class _Generation(jinja2.ext.Extension):
    """``{% generation %}``: for trainers, marks what the model wrote. Here it is its content."""

    tags = {"generation"}  # noqa: RUF012 (Jinja's interface)

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """``head`` and ``tail``: everything before and after the person's text, instructions and the reply's beginning included.

    ``end_of_turn``: the marker that the template writes behind a reply, such as ``<|im_end|>``; empty where it has none.
    ``bos`` goes first where the vocabulary wants it (``adds_bos``) and the template has not written it.
    Raises BadTemplate.
    """

    def __init__(self, text: str, system: str, bos: str = "", eos: str = "", adds_bos: bool = False) -> None:
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda form: datetime.now().astimezone().strftime(form)
        environment.filters["tojson"] = _to_json
        self._names = {"bos_token": bos, "eos_token": eos, "enable_thinking": False}
        self._tools: list[Any] | None = None
        try:
            self._template = environment.from_string(text)
        except jinja2.TemplateError as fault:
            raise BadTemplate(f"The model's chat template cannot be read: {fault}") from None
        self._messages, self.head, self.tail = self._surroundings(system)
        if adds_bos and bos and not self.head.startswith(bos):
            self.head = bos + self.head
        self.end_of_turn = self._end()

    def _surroundings(self, system: str) -> tuple[list[dict[str, Any]], str, str]:
        together = f"{system}\n\n{USER}"
        ways: list[list[dict[str, Any]]] = [
            [{"role": "system", "content": system}, {"role": "user", "content": USER}],
            # Some templates refuse a system message, or leave it out: it goes before the person's text then.
            [{"role": "user", "content": together}],
            [{"role": "user", "content": [{"type": "text", "text": together}]}],
        ]
        why = "it leaves out the person's text"
        # No tools are None to most templates; some go through the list without a look.
        without: tuple[list[Any] | None, ...] = (None, [])
        for self._tools, messages in itertools.product(without, ways):
            try:
                text = self._render(messages, True)
            except Exception as fault:  # foreign code: it may fail in any way
                why = str(fault) or type(fault).__name__
                continue
            head, _, tail = text.partition(USER)
            if text.count(USER) == 1 and system.strip() in head:
                return messages, head, OPEN_THOUGHT.sub(NO_THOUGHT, tail)
        raise BadTemplate(f"The model's chat template cannot be used: {why}.")

    def _end(self) -> str:
        try:
            text = self._render([*self._messages, {"role": "assistant", "content": REPLY}], False)
        except Exception:  # foreign code; the file's own end tokens are left
            return ""
        match = MARKER.match(text.rpartition(REPLY)[2])
        return match[1] if match and REPLY in text else ""

    def _render(self, messages: list[dict[str, Any]], asking: bool) -> str:
        return self._template.render(messages=messages, add_generation_prompt=asking, tools=self._tools, **self._names)


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _to_json(value: Any, **options: Any) -> str:
    """Unlike Jinja's own, without escapes for HTML: as Hugging Face has it."""
    return json.dumps(value, ensure_ascii=False, **{name: options[name] for name in ("indent", "separators", "sort_keys") if name in options})
