"""Edits of one function, in Python and JavaScript alike where the languages allow."""

from __future__ import annotations

import re

from inference.training.edits.code import Function, inner_indent, inserted, only_function, param_name, quote_of, replaced_line, semicolon
from inference.training.scene import Edit, Place, Said, count_word, indent_of, name, text, transform
from inference.training.words import RESERVED

BOTH = ("python", "javascript", "typescript")
TYPES = [
    "int",
    "str",
    "float",
    "bool",
    "list",
    "dict",
    "bytes",
    "list[str]",
    "list[int]",
    "dict[str, int]",
    "int | None",
    "str | None",
    "Path",
    "tuple[int, int]",
]


def plain_params(function: Function) -> list[str]:
    """Names that a request may speak of."""
    return [p for p in map(param_name, function.params or []) if re.fullmatch(r"[A-Za-z_]\w*", p) and p not in RESERVED]


def same(place: Place, function: Function, line: str, *, at: int | None = None) -> str:
    return replaced_line(place.lines, function.head if at is None else at, line)


@transform(*BOTH, weight=2)
def change_default(place: Place) -> Edit | None:
    function = only_function(place)
    params = function.params if function else None
    if not function or not params:
        return None
    chosen = [number for number, param in enumerate(params) if "=" in param]
    if not chosen:
        return None
    at = place.random.choice(chosen)
    head, _, old = params[at].partition("=")
    new = place.words.literal(quote_of(place.region))
    if place.language != "python":
        new = {"None": "null", "True": "true", "False": "false"}.get(new, new)
    if new == old.strip():
        return None
    params[at] = f"{head}={' ' if old.startswith(' ') else ''}{new}"
    slots = {"name": name(param_name(head.strip())), "value": new, "old": old.strip()}
    return Edit(same(place, function, function.with_params(params)), "default", slots, ("name", "value"))


@transform(*BOTH, weight=2)
def add_parameter(place: Place) -> Edit | None:
    function = only_function(place)
    if not function or function.params is None or any("=" in p or p.startswith(("*", "...")) for p in function.params):
        return None
    new = place.words.identifier("" if place.language == "python" else "aB", parts=place.random.choice([1, 1, 2]))
    if count_word(new, place.region):
        return None
    slots = {"name": name(new), "where": name(function.name)}
    return Edit(same(place, function, function.with_params([*function.params, new])), "add_parameter", slots, ("name",))


@transform(*BOTH, weight=2)
def add_parameter_default(place: Place) -> Edit | None:
    function = only_function(place)
    if not function or function.params is None or any(p.startswith(("*", "...")) for p in function.params):
        return None
    new = place.words.identifier("" if place.language == "python" else "aB", parts=place.random.choice([1, 1, 2]))
    value = place.words.literal(quote_of(place.region))
    if place.language != "python":
        value = {"None": "null", "True": "true", "False": "false"}.get(value, value)
    if count_word(new, place.region):
        return None
    added = f"{new}={value}" if place.language == "python" else f"{new} = {value}"
    slots = {"name": name(new), "where": name(function.name), "value": value}
    return Edit(same(place, function, function.with_params([*function.params, added])), "add_parameter_default", slots, ("name", "value"))


@transform(*BOTH, weight=2)
def remove_parameter(place: Place) -> Edit | None:
    function = only_function(place)
    if not function or not function.params:
        return None
    known = plain_params(function)
    if not known:
        return None
    old = place.random.choice(known)
    rest = [param for param in function.params if param_name(param) != old]
    slots = {"name": name(old), "where": name(function.name)}
    return Edit(same(place, function, function.with_params(rest)), "remove_parameter", slots, ("name",))


@transform("python", weight=2)
def annotate_parameter(place: Place) -> Edit | None:
    function = only_function(place)
    if not function or not function.params:
        return None
    bare = [number for number, param in enumerate(function.params) if re.fullmatch(r"\w+( ?= ?.+)?", param) and param_name(param) not in RESERVED]
    if not bare:
        return None
    at = place.random.choice(bare)
    params = list(function.params)
    kind = place.random.choice(TYPES)
    param, _, default = (part.strip() for part in params[at].partition("="))
    params[at] = f"{param}: {kind}" + (f" = {default}" if default else "")
    slots = {"name": name(param), "type": kind, "where": name(function.name)}
    return Edit(same(place, function, function.with_params(params)), "annotate", slots, ("name", "type"))


@transform("python")
def annotate_return(place: Place) -> Edit | None:
    function = only_function(place)
    if not function or function.match["returns"]:
        return None
    kind = place.random.choice([*TYPES, "None", "None", "str", "bool"])
    line = re.sub(r":[ ]*$", f" -> {kind}:", place.lines[function.head])
    return Edit(same(place, function, line), "annotate_return", {"type": kind, "where": name(function.name)}, ("type",))


@transform("python")
def annotate_all(place: Place) -> Edit | None:
    function = only_function(place)
    if not function or not function.params or function.match["returns"] or any(re.search(r"[:=*]", p) for p in function.params):
        return None
    kind = place.random.choice(["int", "float", "str"])
    params = [p if p in ("self", "cls") else f"{p}: {kind}" for p in function.params]
    line = re.sub(r":[ ]*$", f" -> {kind}:", function.with_params(params))
    return Edit(same(place, function, line), "annotate_all", {"type": kind, "where": name(function.name)}, ("type",))


@transform("python", weight=2)
def add_docstring(place: Place) -> Edit | None:
    function = only_function(place)
    if not function or function.body != function.head + 1:
        return None
    said = place.words.phrase(10)
    result = inserted(place.lines, function.head + 1, f'{function.inner}"""{said}"""')
    return Edit(result, "docstring", {"text": text(said), "where": name(function.name)}, ("text",))


@transform("python")
def replace_docstring(place: Place) -> Edit | None:
    function = only_function(place)
    if not function or function.body != function.head + 2 or place.lines[function.head + 1].count('"""') != 2:
        return None
    said = place.words.phrase(10)
    result = replaced_line(place.lines, function.head + 1, f'{function.inner}"""{said}"""')
    return Edit(result, "replace_docstring", {"text": text(said)}, ("text",))


@transform("python")
def remove_docstring(place: Place) -> Edit | None:
    function = only_function(place)
    if not function or function.body == function.head + 1:
        return None
    lines = place.lines
    body = function.body
    while body < len(lines) and not lines[body].strip():
        body += 1
    return Edit("\n".join(lines[: function.head + 1] + lines[body:]), "remove_docstring", {"where": name(function.name)})


@transform(*BOTH, weight=2)
def comment_function(place: Place) -> Edit | None:
    function = only_function(place)
    if not function:
        return None
    at = function.head
    while at and place.lines[at - 1].strip().startswith("@"):
        at -= 1
    said = place.words.phrase(8)
    mark = "#" if place.language == "python" else "//"
    result = inserted(place.lines, at, f"{function.match['indent']}{mark} {said}")
    if at == 0 and place.maybe(0.5):
        return Edit(result, "comment", {"text": text(said)}, ("text",))
    target = place.random.choice([name(function.name), Said("the function"), Said(f"the {function.name} function"), Said(f"{function.name}()")])
    return Edit(result, "comment_at", {"text": text(said), "target": target}, ("text", "target"))


@transform(*BOTH, weight=1.5)
def comment_line(place: Place) -> Edit | None:
    """A comment before a line that a person can name: a return, a loop, an assignment, a call."""
    choices: list[tuple[int, Said]] = []
    for pattern, targets in (
        (r"return\b", ("the return", "the return statement", "return")),
        (r"for\b", ("the loop", "the for loop")),
        (r"while\b", ("the while loop", "the loop")),
        (r"if\b", ("the if", "the check", "the condition")),
        (r"(?:const |let |var )?([a-z_]\w*) ?=(?!=)", ()),
    ):
        found = [(n, m) for n, line in enumerate(place.lines) if (m := re.match(rf" *{pattern}", line)) and n]
        if targets and len(found) == 1:
            choices.append((found[0][0], Said(place.random.choice(targets))))
        for number, match in found if not targets else []:
            if sum(1 for _, other in found if other[1] == match[1]) == 1:
                choices.append((number, name(match[1])))
    if not choices or '"""' in place.region or "`" in place.region:
        return None
    at, target = place.random.choice(choices)
    if place.lines[at - 1].rstrip().endswith(("(", "[", "{", ",", "\\")) and place.language == "python":
        return None
    said = place.words.phrase(8)
    mark = "#" if place.language == "python" else "//"
    result = inserted(place.lines, at, f"{indent_of(place.lines[at])}{mark} {said}")
    return Edit(result, "comment_at", {"text": text(said), "target": target}, ("text", "target"))


STATES = {
    "None": ["None", "none", "missing (None)"],
    "empty": ["empty", "falsy", "not set", "not there"],
    "negative": ["negative", "below zero", "less than 0"],
    "zero": ["zero", "0"],
}
SCRIPT_STATES = {
    "None": ["null", "nothing (null)"],
    "empty": ["empty", "falsy", "missing", "not there"],
    "negative": STATES["negative"],
    "zero": STATES["zero"],
}


def condition(place: Place, state: str, param: str) -> str:
    if place.language == "python":
        return {"None": f"{param} is None", "empty": f"not {param}", "negative": f"{param} < 0", "zero": f"{param} == 0"}[state]
    return {"None": f"{param} === null", "empty": f"!{param}", "negative": f"{param} < 0", "zero": f"{param} === 0"}[state]


def guarded(place: Place, function: Function, test: str, then: str) -> str:
    inner = inner_indent(place, function)
    if place.language == "python":
        return inserted(place.lines, function.body, f"{inner}if {test}:", f"{inner}    {then}")
    step = inner[len(function.match["indent"]) :]
    return inserted(place.lines, function.body, f"{inner}if ({test}) {{", f"{inner}{step}{then}{semicolon(place.region)}", f"{inner}}}")


def function_and_param(place: Place) -> tuple[Function, str] | None:
    """The one function in sight, and one of its plain parameters."""
    function = only_function(place)
    known = plain_params(function) if function else []
    return (function, place.random.choice(known)) if function and known else None


@transform(*BOTH, weight=3)
def add_guard(place: Place) -> Edit | None:
    chosen = function_and_param(place)
    if chosen is None:
        return None
    function, param = chosen
    python = place.language == "python"
    state = place.random.choice(["None", "None", "empty", "empty", "negative", "zero"])
    slots: dict[str, Said | str] = {
        "name": name(param),
        "state": place.random.choice((STATES if python else SCRIPT_STATES)[state]),
        "where": name(function.name),
    }
    test = condition(place, state, param)
    if place.maybe(0.3):
        return Edit(guarded(place, function, test, "return"), "guard_return", slots, ("name", "state"))
    value = place.random.choice(["None", "None", "False", "True", "0", "[]", "{}", '""', "-1"])
    if not python:
        value = {"None": "null", "True": "true", "False": "false"}.get(value, value)
    slots["value"] = {'""': "an empty string", "[]": "an empty list"}.get(value, value) if place.maybe(0.2) else value
    if value in ("None", "True", "False") and place.maybe(0.3):
        slots["value"] = value.lower()
    return Edit(guarded(place, function, test, f"return {value}"), "guard", slots, ("name", "state", "value"))


ERRORS = ["ValueError", "TypeError", "RuntimeError", "KeyError", "IndexError", "OSError"]


@transform(*BOTH, weight=1.5)
def add_raise(place: Place) -> Edit | None:
    chosen = function_and_param(place)
    if chosen is None:
        return None
    function, param = chosen
    python = place.language == "python"
    state = place.random.choice(["None", "empty", "negative"])
    error = place.random.choice(ERRORS) if python else place.random.choice(["Error", "TypeError", "RangeError"])
    said = place.words.message()
    slots = {
        "name": name(param),
        "state": place.random.choice((STATES if python else SCRIPT_STATES)[state]),
        "error": error,
        "where": name(function.name),
        "text": text(said),
    }
    test = condition(place, state, param)
    quote = quote_of(place.region)
    if not python or place.maybe(0.5):
        if quote in said:
            return None
        then = f"raise {error}({quote}{said}{quote})" if python else f"throw new {error}({quote}{said}{quote})"
        return Edit(guarded(place, function, test, then), "guard_raise_text", slots, ("name", "state", "error", "text"))
    return Edit(guarded(place, function, test, f"raise {error}"), "guard_raise", slots, ("name", "state", "error"))


HANDLERS = [
    ("print it", "print(e)", True), ("print the error", "print(e)", True), ("ignore it", "pass", False), ("pass", "pass", False),
    ("return None", "return None", False), ("return False", "return False", False), ("return 0", "return 0", False),
    ("re-raise", "raise", False), ("log it", "logger.error(e)", True), ("log the error", "logger.error(e)", True),
    ("return an empty list", "return []", False), ("do nothing", "pass", False), ("return none", "return None", False),
]  # fmt: skip
SCRIPT_HANDLERS = [
    ("log it", "console.error(error)"), ("log the error", "console.error(error)"), ("return null", "return null"),
    ("return false", "return false"), ("rethrow it", "throw error"), ("alert the message", "alert(error.message)"),
]  # fmt: skip


@transform("python", "javascript", weight=3)
def wrap_in_try(place: Place) -> Edit | None:
    function = only_function(place)
    if not function:
        return None
    lines = place.lines
    python = place.language == "python"
    last = function.end if python else function.end - 1
    body = lines[function.body : last]
    if not body or len(body) > 10 or any('"""' in line or "`" in line or re.match(r"\s*try\b", line) for line in body):
        return None
    inner = inner_indent(place, function)
    where = name(function.name)
    if not python:
        step = inner[len(function.match["indent"]) :]
        said, action = place.random.choice(SCRIPT_HANDLERS)
        wrapped = [f"{inner}try {{", *(step + line if line.strip() else line for line in body), f"{inner}}} catch (error) {{"]
        wrapped += [f"{inner}{step}{action}{semicolon(place.region)}", f"{inner}}}"]
        return Edit("\n".join(lines[: function.body] + wrapped + lines[last:]), "try_any", {"action": said, "where": where}, ("action",))
    said, action, named = place.random.choice(HANDLERS)
    error = place.random.choice(["Exception", *ERRORS, "FileNotFoundError", "ZeroDivisionError"])
    catch = f"{inner}except {error} as e:" if named else f"{inner}except {error}:"
    wrapped = [f"{inner}try:", *("    " + line if line.strip() else line for line in body), catch, f"{inner}    {action}"]
    result = "\n".join(lines[: function.body] + wrapped + lines[last:])
    if error == "Exception" or place.maybe(0.25):
        return Edit(result.replace(catch, catch.replace(error, "Exception")), "try_any", {"action": said, "where": where}, ("action",))
    return Edit(result, "try", {"action": said, "error": error, "where": where}, ("action", "error"))


@transform(*BOTH)
def make_async(place: Place) -> Edit | None:
    function = only_function(place)
    if not function or function.match["async"]:
        return None
    word = "def " if place.language == "python" else "function "
    return Edit(same(place, function, place.lines[function.head].replace(word, "async " + word, 1)), "async", {"where": name(function.name)})


@transform(*BOTH, weight=0.7)
def remove_async(place: Place) -> Edit | None:
    function = only_function(place)
    if not function or not function.match["async"] or "await" in place.region:
        return None
    return Edit(same(place, function, place.lines[function.head].replace("async ", "", 1)), "remove_async", {"where": name(function.name)})


@transform(*BOTH)
def change_return(place: Place) -> Edit | None:
    found = [n for n, line in enumerate(place.lines) if re.match(r" *return [\w.\"']+;?$", line)]
    if len(found) != 1 or len(re.findall(r"(?m)^ *return\b", place.region)) != 1:
        return None
    line = place.lines[found[0]]
    end = ";" if line.endswith(";") else ""
    old = line.strip().removeprefix("return ").removesuffix(";")
    value = place.words.literal(quote_of(place.region)) if place.maybe(0.6) else place.words.identifier()
    if place.language != "python":
        value = {"None": "null", "True": "true", "False": "false"}.get(value, value)
    slots = {"value": value, "old": old}
    return Edit(replaced_line(place.lines, found[0], f"{indent_of(line)}return {value}{end}"), "return_value", slots, ("value",))


@transform(*BOTH)
def add_return(place: Place) -> Edit | None:
    function = only_function(place)
    if not function or re.search(r"\breturn\b|\byield\b", place.region):
        return None
    python = place.language == "python"
    inner = inner_indent(place, function)
    last = function.end if python else function.end - 1
    if indent_of(place.lines[last - 1]) != inner and python:
        return None
    known = re.findall(rf"(?m)^{inner}(?:const |let |var )?([a-z_]\w*) ?[+]?=(?!=)", place.region)
    if not known:
        return None
    value = place.random.choice(known)
    result = inserted(place.lines, last, f"{inner}return {value}{'' if python else semicolon(place.region)}")
    return Edit(result, "add_return", {"name": name(value), "where": name(function.name)}, ("name",))
