"""Where things are in a region of Python or JavaScript: enough for edits, no parser."""

from __future__ import annotations

import re
from dataclasses import dataclass

from inference.training.scene import Place, indent_of
from inference.training.words import RESERVED

STRING = r"""(?P<quote>["'])(?P<inside>[^"'\n{}%\\]*)(?P=quote)"""
NUMBER = r"(?<![\w.\"'#-])\d+(?:\.\d+)?(?![\w.\"'])"
PYTHON_DEF = re.compile(r"^(?P<indent> *)(?P<async>async )?def (?P<name>\w+)\((?P<params>[^()\n]*)\)(?P<returns> *-> *[^:\n]+)?:[ ]*$")
SCRIPT_DEF = re.compile(
    r"^(?P<indent> *)(?P<export>export )?(?P<async>async )?function (?P<name>\w+) ?\((?P<params>[^()\n]*)\)(?P<returns>: [\w<>\[\]| ]+)? \{$"
)


@dataclass(frozen=True)
class Function:
    """A function of a region, by line numbers: ``head``, ``body`` (after a docstring) and ``end`` (behind its last line)."""

    match: re.Match[str]
    head: int
    body: int
    end: int

    @property
    def name(self) -> str:
        return self.match["name"]

    @property
    def inner(self) -> str:
        return self.match["indent"] + "    "

    @property
    def params(self) -> list[str] | None:
        """None where they are too involved to be split at commas."""
        inside = self.match["params"]
        if re.search(r"[\[({]", inside):
            return None
        return [param.strip() for param in inside.split(",") if param.strip()]

    def with_params(self, params: list[str]) -> str:
        """The head's line with other parameters."""
        start, end = self.match.span("params")
        line = self.match.string
        return line[:start] + ", ".join(params) + line[end:]


def param_name(param: str) -> str:
    return re.split(r"[:= ]", param.lstrip("*"))[0]


def block_end(lines: list[str], head: int) -> int:
    own = len(indent_of(lines[head]))
    end = head + 1
    for number in range(head + 1, len(lines)):
        if lines[number].strip():
            if len(indent_of(lines[number])) <= own:
                break
            end = number + 1
    return end


def body_start(lines: list[str], head: int) -> int:
    number = head + 1
    while number < len(lines) and not lines[number].strip():
        number += 1
    if number == len(lines):
        return number
    first = lines[number].strip()
    triple = re.match(r'[rRbBuU]?("""|\'\'\')', first)
    if triple:
        if first.count(triple[1]) >= 2:
            return number + 1
        number += 1
        while number < len(lines) and triple[1] not in lines[number]:
            number += 1
        return number + 1
    return number + 1 if re.fullmatch(r"[ru]?(\".*\"|'.*')", first) else number


def python_functions(lines: list[str]) -> list[Function]:
    found = []
    for number, line in enumerate(lines):
        match = PYTHON_DEF.match(line)
        if match:
            body, end = body_start(lines, number), block_end(lines, number)
            if body < end:
                found.append(Function(match, number, body, end))
    return found


def closing(lines: list[str], head: int) -> int | None:
    """The line of the brace that closes the one of line ``head``."""
    depth = 0
    for number in range(head, len(lines)):
        depth += lines[number].count("{") - lines[number].count("}")
        if depth <= 0:
            return number
    return None


def script_functions(lines: list[str]) -> list[Function]:
    found = []
    for number, line in enumerate(lines):
        match = SCRIPT_DEF.match(line)
        if match:
            end = closing(lines, number)
            if end and end > number and lines[end].strip() == "}":
                found.append(Function(match, number, number + 1, end + 1))
    return found


def functions(place: Place) -> list[Function]:
    return python_functions(place.lines) if place.language == "python" else script_functions(place.lines)


def only_function(place: Place) -> Function | None:
    found = functions(place)
    return found[0] if len(found) == 1 else None


def script_indent(lines: list[str], function: Function) -> str:
    for line in lines[function.head + 1 : function.end - 1]:
        if line.strip() and len(indent_of(line)) > len(function.match["indent"]):
            return indent_of(line)
    return function.match["indent"] + "  "


def inner_indent(place: Place, function: Function) -> str:
    return function.inner if place.language == "python" else script_indent(place.lines, function)


def semicolon(region: str) -> str:
    return ";" if ";" in region else ""


def quote_of(region: str) -> str:
    """The quote that the code around uses."""
    return "'" if region.count("'") > region.count('"') else '"'


def names_in(region: str) -> list[str]:
    """Names outside of strings and comments, as far as one can tell line by line; not attributes."""
    bare = re.sub(STRING, '""', re.sub(r"(#|//).*", "", region))
    return [name for name in re.findall(r"(?<![\w.$])[A-Za-z_$][\w$]*", bare) if name not in RESERVED]


def bound_names(region: str) -> list[str]:
    """Names that the region itself gives: assigned, looped over, or parameters."""
    found = re.findall(r"(?m)^\s*(?:const |let |var )?([A-Za-z_$]\w*)(?:: [\w\[\]., |<>]+)? ?(?:[+*/-]?=)(?!=)", region)
    found += re.findall(r"\bfor (?:const |let )?\(?(?:const |let )?(\w+) (?:in|of) ", region)
    found += re.findall(r"\bas (\w+):", region)
    for inside in re.findall(r"(?:def|function) \w+ ?\(([^()\n]*)\)", region):
        found += [param_name(param.strip()) for param in inside.split(",") if param.strip()]
    return [name for name in dict.fromkeys(found) if re.fullmatch(r"[A-Za-z_]\w*", name) and name not in RESERVED and len(name) > 1]


def standing_lines(place: Place) -> list[int]:
    """Lines that are a whole statement with nothing hanging on them: one may be put after each."""
    lines = place.lines
    found = []
    python = place.language == "python"
    if '"""' in place.region or "'''" in place.region or "`" in place.region or "/*" in place.region:
        return []
    depth = 0
    for number, line in enumerate(lines):
        before = depth
        bare = re.sub(STRING, '""', re.sub(r"(#|//).*", "", line))
        depth += sum(bare.count(c) for c in "([" + ("{" if python else "")) - sum(bare.count(c) for c in ")]" + ("}" if python else ""))
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if before or depth or not re.search(r"[\w)\]\"'}]$" if python else r"[\w)\]\"'];$", line):
            continue
        if re.match(r"\s*(return|raise|break|continue|pass|@|throw|#|//|else|\}|import |from |export )", line):
            continue
        if (following.strip() and len(indent_of(following)) > len(indent_of(line))) or re.match(r"\s*[.?:&|+*/-]", following):
            continue
        found.append(number)
    return found


def inserted(lines: list[str], at: int, *new: str) -> str:
    return "\n".join([*lines[:at], *new, *lines[at:]])


def replaced_line(lines: list[str], at: int, *new: str) -> str:
    return "\n".join([*lines[:at], *new, *lines[at + 1 :]])
