"""A baseline without a model: the requests that a handful of patterns can do. A model that does not beat it is not worth its bytes."""

from __future__ import annotations

import re

from inference.training.scene import Example, indent_of

NAME = r"[`'\"]?(?P<{}>.+?)[`'\"]?"
OLD, NEW = NAME.format("old"), NAME.format("new")
PLEASE = r"^(?:(?:please|pls|hey|ok|can you|could you|now|just|go ahead and)[ ,]+)*"
END = r"(?: everywhere| here| please| pls| thanks| now)?[.!]?$"
KIND = r"(?:the |this )?(?:(?:variable|var|function|class|method|parameter|param|argument|arg|key|text|string|number|value|word|name|selector) )?"
SWAPS = [
    rf"{PLEASE}(?:rename|change|replace|update|switch|turn) {KIND}{OLD} (?:to|with|by|into|as) {NEW}{END}",
    rf"{PLEASE}use {NEW} (?:instead of|rather than) {OLD}{END}",
    rf"{PLEASE}{KIND}{OLD} should (?:be|be called|be named|say) {NEW}{END}",
    rf"{PLEASE}{OLD} ?(?:->|=>) ?{NEW}{END}",
    rf"{PLEASE}call {OLD} {NEW}{END}",
    rf"{PLEASE}{NEW} instead of {OLD}{END}",
]
SETS = [
    rf"{PLEASE}(?:set|change|make) (?:the )?{OLD} (?:to|=|be)? ?{NEW}{END}",
    rf"{PLEASE}(?:the )?{OLD} (?:should be|is|=|:) ?{NEW}{END}",
    rf"{PLEASE}use {NEW} (?:for|as) (?:the )?{OLD}{END}",
]
REMOVES = [rf"{PLEASE}(?:remove|delete|drop|get rid of|no) {KIND}{OLD}(?: line| key| import| property| rule)?{END}"]
IMPORTS = [rf"{PLEASE}(?:add )?(?P<new>import \w+|from \w+ import \w+){END}"]


def answer(example: Example) -> str | None:
    """The new region, or None where no pattern fits: it never guesses."""
    for patterns, act in ((SETS, assign), (SWAPS, swap), (REMOVES, remove), (IMPORTS, add_import)):
        for pattern in patterns:
            match = re.match(pattern, example.instruction, re.IGNORECASE)
            result = act(example.region, match.groupdict()) if match else None
            if result is not None and result != example.region:
                return result
    return None


def swap(region: str, said: dict[str, str]) -> str | None:
    pattern = rf"(?<!\w){re.escape(said['old'])}(?!\w)"
    return re.sub(pattern, lambda _: said["new"], region) if re.search(pattern, region) else None


def assign(region: str, said: dict[str, str]) -> str | None:
    name = re.escape(said["old"].replace(" ", "-"))
    value = re.compile(rf"(?P<head>(?<![\w-]){name}[\"']?(?: ?= ?|: ?)[\"']?)(?P<value>[^\"',;\n]+)", re.IGNORECASE)
    found = list(value.finditer(region))
    if len(found) != 1:
        return None
    return region[: found[0].start("value")] + said["new"] + region[found[0].end("value") :]


def remove(region: str, said: dict[str, str]) -> str | None:
    lines = region.split("\n")
    hit = [line for line in lines if re.search(rf"(?<!\w){re.escape(said['old'])}(?!\w)", line)]
    return "\n".join(line for line in lines if line != hit[0]) if len(hit) == 1 and len(lines) > 1 else None


def add_import(region: str, said: dict[str, str]) -> str | None:
    lines = region.split("\n")
    imports = [number for number, line in enumerate(lines) if line.startswith(("import ", "from "))]
    if not imports or indent_of(lines[0]):
        return None
    return "\n".join([*lines[: imports[-1] + 1], said["new"], *lines[imports[-1] + 1 :]])
