"""Edits that only Python knows: imports, prints, classes, f-strings, decorators, constants, comments."""

from __future__ import annotations

import re

from inference.training.edits.code import (
    NUMBER,
    bound_names,
    inserted,
    names_in,
    only_function,
    python_functions,
    quote_of,
    replaced_line,
    standing_lines,
)
from inference.training.scene import Edit, Place, Said, count_word, indent_of, name, text, transform
from inference.training.words import RESERVED

MODULES = (
    "json os sys re math time random logging asyncio datetime pathlib typing collections itertools functools subprocess "
    "shutil csv uuid hashlib threading socket argparse requests numpy pandas flask sqlite3 string copy io tempfile textwrap "
    "enum dataclasses contextlib"
).split()
FROM = [
    ("pathlib", "Path"), ("collections", "defaultdict"), ("collections", "Counter"), ("datetime", "datetime"), ("datetime", "timedelta"),
    ("typing", "Any"), ("typing", "Optional"), ("dataclasses", "dataclass"), ("functools", "partial"), ("functools", "lru_cache"),
    ("itertools", "chain"), ("flask", "request"), ("django.db", "models"), ("contextlib", "contextmanager"), ("enum", "Enum"),
    ("random", "choice"), ("math", "sqrt"), ("os", "path"), ("time", "sleep"), ("abc", "ABC"), ("flask", "Flask"), ("json", "dumps"),
]  # fmt: skip
IMPORT = re.compile(r"^(?:import|from) [\w.]+(?: import [^(\\]+)?$")


def with_import(place: Place, line: str) -> str | None:
    """After the last import of the region; else on top, with the blank lines that Python style wants."""
    lines = place.lines
    imports = [number for number, old in enumerate(lines) if IMPORT.match(old)]
    if imports:
        return inserted(lines, imports[-1] + 1, line)
    if not place.region:
        return line
    if not lines[0] or lines[0].startswith((" ", "#", '"', "'", ")", "from __future__")):
        return None
    blank = ["", ""] if re.match(r"def |class |@|async def ", lines[0]) else [""]
    return inserted(lines, 0, line, *blank)


@transform("python", weight=2)
def add_import(place: Place) -> Edit | None:
    module = place.random.choice(MODULES) if place.maybe(0.6) else place.words.identifier(parts=1)
    result = None if re.search(rf"import {module}\b", place.region) else with_import(place, f"import {module}")
    return Edit(result, "import", {"module": name(module)}, ("module",)) if result else None


@transform("python", weight=1.5)
def add_from_import(place: Place) -> Edit | None:
    module, wanted = (
        place.random.choice(FROM) if place.maybe(0.5) else (place.words.identifier(parts=1), place.words.identifier(place.random.choice(["A", "a"])))
    )
    if re.search(rf"\bfrom {re.escape(module)} import|import {wanted}\b", place.region):
        return None
    result = with_import(place, f"from {module} import {wanted}")
    return Edit(result, "import_from", {"module": name(module), "name": name(wanted)}, ("module", "name")) if result else None


@transform("python")
def extend_from_import(place: Place) -> Edit | None:
    found = [(n, m) for n, line in enumerate(place.lines) if (m := re.fullmatch(r"from ([\w.]+) import (\w+(?:, \w+)*)", line))]
    if not found:
        return None
    at, match = place.random.choice(found)
    new = place.words.identifier(match[2])
    result = replaced_line(place.lines, at, f"{place.lines[at]}, {new}")
    return Edit(result, "import_from", {"module": name(match[1]), "name": name(new)}, ("module", "name"))


@transform("python", weight=0.7)
def import_as(place: Place) -> Edit | None:
    module, alias = place.random.choice([("numpy", "np"), ("pandas", "pd"), ("datetime", "dt"), (place.words.word(), place.words.word()[:3])])
    result = None if count_word(module, place.region) or alias in RESERVED else with_import(place, f"import {module} as {alias}")
    return Edit(result, "import_as", {"module": name(module), "name": name(alias)}, ("module", "name")) if result else None


@transform("python", weight=1.5)
def remove_import(place: Place) -> Edit | None:
    found = [(n, m[1]) for n, line in enumerate(place.lines) if (m := re.match(r"(?:import|from) ([\w.]+)(?: import \w+(?:, \w+)*)?$", line))]
    found = [(n, module) for n, module in found if sum(module == other for _, other in found) == 1]
    if not found or len(place.lines) < 3:
        return None
    at, module = place.random.choice(found)
    return Edit(replaced_line(place.lines, at), "remove_import", {"module": name(module)}, ("module",))


@transform("python", weight=2)
def print_text(place: Place) -> Edit | None:
    function = only_function(place)
    if not function:
        return None
    said = place.words.message()
    line = f'{function.inner}print("{said}")'
    slots = {"text": text(said), "where": name(function.name)}
    if place.maybe(0.75):
        return Edit(inserted(place.lines, function.body, line), "print_text", slots, ("text",))
    if re.search(r"\b(return|raise|yield)\b", place.lines[function.end - 1]):
        return None
    return Edit(inserted(place.lines, function.end, line), "print_text_end", slots, ("text",))


@transform("python", weight=2)
def print_value(place: Place) -> Edit | None:
    found = [(n, m) for n in standing_lines(place) if (m := re.match(r"( *)([a-z_]\w*)(?:: \w+)? [+-]?= ", place.lines[n]))]
    found = [(n, m) for n, m in found if len(re.findall(rf"(?m)^ *{m[2]}(?:: \w+)? [+-]?= ", place.region)) == 1]
    if not found:
        return None
    at, match = place.random.choice(found)
    return Edit(inserted(place.lines, at + 1, f"{match[1]}print({match[2]})"), "print_value", {"name": name(match[2])}, ("name",))


@transform("python", weight=2)
def remove_prints(place: Place) -> Edit | None:
    """Puts prints in first: the wish is to have the region as it was."""
    spots = standing_lines(place)
    known = names_in(place.region)
    if not spots or not known or "print" in place.region:
        return None
    lines = place.lines
    for at in sorted(place.random.sample(spots, min(len(spots), place.random.randint(1, 3))), reverse=True):
        said, value = place.words.message(), place.random.choice(known)
        shown = place.random.choice([f'print("{said}")', f"print({value})", f'print("{said}", {value})', f'print(f"{said} {{{value}}}")'])
        lines.insert(at + 1, indent_of(lines[at]) + shown)
    return Edit(place.region, "remove_prints", region="\n".join(lines))


@transform("python")
def print_to_log(place: Place) -> Edit | None:
    if not re.search(r"(?m)^ *print\(", place.region):
        return None
    logged = place.random.choice(["logger.info", "logging.info", "logger.debug", "log.info"])
    result = re.sub(r"(?m)^( *)print\(", rf"\1{logged}(", place.region)
    return Edit(result, "replace_text_call", {"old": name("print"), "new": name(logged)}, ("old", "new"))


@transform("python", weight=1.5)
def log_line(place: Place) -> Edit | None:
    function = only_function(place)
    if not function:
        return None
    said = place.words.message()
    level = place.random.choice(["info", "info", "debug", "warning", "error"])
    slots = {"text": text(said), "where": name(function.name), "level": level}
    must = ("text",) if level == "info" else ("text", "level")
    return Edit(inserted(place.lines, function.body, f'{function.inner}logger.{level}("{said}")'), "log_line", slots, must)


@transform("python", weight=1.5)
def use_fstring(place: Place) -> Edit | None:
    """Writes the old form in first, and asks for the new one."""
    spots = standing_lines(place)
    known = sorted({word for word in names_in(place.region) if word.islower()})
    if not spots or not known:
        return None
    at = place.random.choice(spots)
    count = place.random.choice([1, 1, 2])
    values = [place.random.choice(known) for _ in range(count)]
    texts = [place.words.message().rstrip(".!") + " " for _ in values] + [place.random.choice(["", "", "!", " " + place.words.word()])]
    quote = quote_of(place.region)

    def built(holes: list[str]) -> str:
        return quote + "".join(t + h for t, h in zip(texts, [*holes, ""], strict=True)) + quote

    style = place.random.choice(["percent", "format", "plus"])
    if style == "percent":
        old = built(["%s"] * count) + " % " + (values[0] if count == 1 else f"({', '.join(values)})")
    elif style == "format":
        old = built(["{}"] * count) + f".format({', '.join(values)})"
    else:
        parts = [f"{quote}{t}{quote}" if t else "" for t in texts]
        old = " + ".join(part for pair in zip(parts, [*values, ""], strict=True) for part in pair if part)
    new = "f" + built([f"{{{value}}}" for value in values])
    shape = place.random.choice(["print(%s)", "msg = %s", "raise ValueError(%s)", "logger.info(%s)", place.words.identifier() + " = %s"])
    space = indent_of(place.lines[at])
    before = inserted(place.lines, at + 1, space + shape.replace("%s", old))
    return Edit(inserted(place.lines, at + 1, space + shape.replace("%s", new)), "fstring", region=before)


@transform("python")
def remove_comments(place: Place) -> Edit | None:
    rest = [line for line in place.lines if not line.strip().startswith("#")]
    if len(rest) == len(place.lines) or not "".join(rest).strip() or '"""' in place.region or len(place.lines) - len(rest) > 6:
        return None
    return Edit("\n".join(rest), "remove_comments")


def plain_assignments(place: Place) -> list[tuple[int, str]]:
    """Lines ``name = value`` whose name is assigned once."""
    found = [(n, m[1]) for n in standing_lines(place) if (m := re.match(r" *([A-Za-z_][\w.]*) = ", place.lines[n]))]
    return [(n, found_name) for n, found_name in found if len(re.findall(rf"(?m)^ *{re.escape(found_name)} = ", place.region)) == 1]


@transform("python", weight=2)
def remove_assignment(place: Place) -> Edit | None:
    found = plain_assignments(place)
    if not found or len(place.lines) < 3:
        return None
    at, old = place.random.choice(found)
    kind = place.random.choice(["line", "assignment", "variable", "setting"])
    return Edit(replaced_line(place.lines, at), "remove_thing", {"name": name(old), "kind": kind}, ("name",))


@transform("python")
def comment_out(place: Place) -> Edit | None:
    found = plain_assignments(place)
    if not found:
        return None
    at, old = place.random.choice(found)
    line = place.lines[at]
    target = place.random.choice([name(old), Said(f"the {old} line"), Said(f"the line that sets {old}")])
    return Edit(replaced_line(place.lines, at, f"{indent_of(line)}# {line.lstrip()}"), "comment_out", {"target": target}, ("target",))


@transform("python")
def uncomment(place: Place) -> Edit | None:
    found = plain_assignments(place)
    if not found:
        return None
    at, old = place.random.choice(found)
    line = place.lines[at]
    before = replaced_line(place.lines, at, f"{indent_of(line)}# {line.lstrip()}")
    target = place.random.choice([name(old), Said(f"the {old} line"), Said("it")]) if before.count("# ") == 1 else name(old)
    return Edit(place.region, "uncomment", {"target": target}, ("target",), region=before)


@transform("python", weight=1.5)
def remove_function(place: Place) -> Edit | None:
    found = python_functions(place.lines)
    if len(found) < 2:
        return None
    function = place.random.choice(found)
    if count_word(function.name, place.region) != 1:
        return None
    start = function.head
    while start and place.lines[start - 1].strip().startswith("@"):
        start -= 1
    above, below = place.lines[:start], place.lines[function.end :]
    while below and not below[0].strip():
        below.pop(0)
    while above and not above[-1].strip() and not below:
        above.pop()
    kind = "method" if function.match["indent"] else "function"
    result = "\n".join(above + below)
    return Edit(result, "remove_thing", {"name": name(function.name), "kind": kind}, ("name",)) if result.strip() else None


@transform("python")
def extract_constant(place: Place) -> Edit | None:
    first = place.lines[0]
    found = [m for m in re.finditer(NUMBER, place.region) if len(m[0]) > 1 and place.region.count(m[0]) == 1]
    if not found or not re.match(r"def |class |@", first):
        return None
    match = place.random.choice(found)
    constant = place.words.identifier("AA")
    used = place.region[: match.start()] + constant + place.region[match.end() :]
    return Edit(f"{constant} = {match[0]}\n\n\n{used}", "extract_constant", {"value": match[0], "name": name(constant)}, ("value", "name"))


@transform("python")
def add_decorator(place: Place) -> Edit | None:
    function = only_function(place)
    if not function:
        return None
    inside = bool(function.match["indent"])
    known = (
        ["staticmethod", "property", "classmethod", "abstractmethod"]
        if inside
        else ["lru_cache", "cache", "contextmanager", "pytest.fixture", "wraps"]
    )
    chosen = place.random.choice([*known, place.words.identifier()])
    if f"@{chosen}" in place.region:
        return None
    at = function.head
    while at and place.lines[at - 1].strip().startswith("@"):
        at -= 1
    result = inserted(place.lines, at, f"{function.match['indent']}@{chosen}")
    return Edit(result, "decorator", {"name": chosen, "where": name(function.name)}, ("name",))


@transform("python")
def add_main_guard(place: Place) -> Edit | None:
    found = python_functions(place.lines)
    if len(found) != 1 or found[0].match["indent"] or found[0].match["params"].strip() or found[0].end != len(place.lines) or place.after.strip():
        return None
    if "__main__" in place.region or found[0].match["async"]:
        return None
    result = f'{place.region}\n\n\nif __name__ == "__main__":\n    {found[0].name}()'
    return Edit(result, "main_guard", {"name": name(found[0].name)})


@transform("python", weight=1.5)
def add_argument(place: Place) -> Edit | None:
    found = list(re.finditer(r"(?<!def )(?<!class )\b([a-z_][\w.]*)\(([^()\n]*)\)(?![:\w])", place.region))
    found = [m for m in found if sum(m[1] == other[1] for other in found) == 1 and not m[2].rstrip().endswith(",") and m[1] not in RESERVED]
    if not found:
        return None
    match = place.random.choice(found)
    key = (
        place.words.identifier(parts=1)
        if place.maybe(0.6)
        else place.random.choice(["timeout", "verbose", "encoding", "key", "default", "check", "indent", "mode"])
    )
    value = place.words.literal(quote_of(place.region))
    if re.search(rf"\b{key}=", match[2]) or "**" in match[2]:
        return None
    inside = f"{match[2]}, {key}={value}" if match[2].strip() else f"{key}={value}"
    result = place.region[: match.start(2)] + inside + place.region[match.end(2) :]
    call = place.random.choice([match[1], match[1].rsplit(".", 1)[-1], f"{match[1]}()"])
    return Edit(result, "add_argument", {"name": key, "value": value, "call": name(call)}, ("name", "value", "call"))


@transform("python", weight=0.7)
def add_await(place: Place) -> Edit | None:
    if "async def" not in place.region:
        return None
    found = list(re.finditer(r"(?:= |return |^ +)(?P<call>(?!await )[a-z_][\w.]*)\(", place.region, re.MULTILINE))
    found = [m for m in found if sum(m["call"] == other["call"] for other in found) == 1 and m["call"] not in RESERVED]
    if not found:
        return None
    match = place.random.choice(found)
    result = place.region[: match.start("call")] + "await " + place.region[match.start("call") :]
    return Edit(result, "with_async_await", {"call": name(match["call"])}, ("call",))


def class_head(place: Place) -> re.Match[str] | None:
    return re.match(r"class (?P<name>\w+)(?P<bases>\([\w., =]*\))?:$", place.lines[0])


@transform("python", weight=2)
def add_method(place: Place) -> Edit | None:
    head = class_head(place)
    if not head or not python_functions(place.lines) or not place.lines[-1].startswith(" "):
        return None
    method = place.words.identifier(parts=place.random.choice([1, 2]))
    if count_word(method, place.region):
        return None
    where = name(head["name"])
    kind = place.random.choice(["print", "return", "empty"])
    slots: dict[str, object] = {"name": name(method), "where": where}
    if kind == "print":
        said = place.words.message()
        body, intent = f'print("{said}")', "add_method_print"
        slots["text"] = text(said)
        must: tuple[str, ...] = ("name", "text")
        params = "self"
    elif kind == "return":
        known = re.findall(r"self\.([a-z]\w*)\b(?!\()", place.region)
        value = place.random.choice([f"self.{k}" for k in known] + [place.words.literal()])
        body, intent = f"return {value}", "add_method_return"
        slots["value"] = value
        must, params = ("name", "value"), "self"
    else:
        args = list(dict.fromkeys(place.words.identifier(parts=1) for _ in range(place.random.randint(0, 2))))
        params = ", ".join(["self", *args])
        said = place.random.choice([", ".join(args), " and ".join(args)])
        slots |= {"args": said} if args else {}
        body, intent, must = "pass", "add_method", ("name", "args") if args else ("name",)
    return Edit(f"{place.region}\n\n    def {method}({params}):\n        {body}", intent, slots, must)


@transform("python", weight=2)
def add_attribute(place: Place) -> Edit | None:
    found = [f for f in python_functions(place.lines) if f.name == "__init__"]
    if len(found) != 1 or not found[0].params:
        return None
    function = found[0]
    if indent_of(place.lines[function.end - 1]) != function.inner or re.search(r"[(\[{,]$", place.lines[function.end - 1]):
        return None
    head = class_head(place)
    new = place.words.identifier(parts=place.random.choice([1, 1, 2]))
    if count_word(new, place.region):
        return None
    where = name(head["name"] if head else "class")
    if place.maybe(0.5) or any("=" in p or p.startswith("*") for p in function.params or []):
        value = place.words.literal(quote_of(place.region))
        result = inserted(place.lines, function.end, f"{function.inner}self.{new} = {value}")
        return Edit(result, "attribute", {"name": name(new), "value": value, "where": where}, ("name", "value"))
    lines = inserted(place.lines, function.end, f"{function.inner}self.{new} = {new}").split("\n")
    lines[function.head] = function.with_params([*(function.params or []), new])
    return Edit("\n".join(lines), "init_parameter", {"name": name(new), "where": where}, ("name",))


@transform("python", weight=0.7)
def add_base_class(place: Place) -> Edit | None:
    head = class_head(place)
    if not head or head["bases"]:
        return None
    base = place.words.identifier("Base")
    result = replaced_line(place.lines, 0, f"class {head['name']}({base}):")
    return Edit(result, "base_class", {"name": name(head["name"]), "base": name(base)}, ("base",))


@transform("python")
def add_list_entry(place: Place) -> Edit | None:
    """An assignment after another one, named by its neighbour."""
    if not bound_names(place.region):
        return None
    found = plain_assignments(place)
    found = [(n, old) for n, old in found if "." not in old]
    if not found:
        return None
    at, old = place.random.choice(found)
    new, value = place.words.identifier(old), place.words.literal(quote_of(place.region))
    if count_word(new, place.region):
        return None
    target = place.random.choice([name(old), Said(f"the {old} line")])
    slots = {"name": name(new), "value": value, "target": target}
    return Edit(inserted(place.lines, at + 1, f"{indent_of(place.lines[at])}{new} = {value}"), "assign_after", slots, ("name", "value", "target"))
