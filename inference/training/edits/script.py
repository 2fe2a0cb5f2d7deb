"""Edits that only JavaScript and TypeScript know."""

from __future__ import annotations

import re

from inference.training.edits.code import (
    closing,
    functions,
    inserted,
    only_function,
    replaced_line,
    script_functions,
    semicolon,
    standing_lines,
)
from inference.training.edits.code import script_indent as inner_of
from inference.training.scene import Edit, Place, Said, count_word, indent_of, name, text, transform

SCRIPT = ("javascript", "typescript")
DECLARED = re.compile(r"^(?P<indent> *)(?P<word>const|let|var) (?P<name>\w+)(?P<type>: [\w\[\]<>| ]+)? = .*[\w)\]\"'`](?P<end>;?)$")


def declarations(place: Place) -> list[tuple[int, re.Match[str]]]:
    """Whole declarations on one line, each name once."""
    found = [(n, m) for n, line in enumerate(place.lines) if (m := DECLARED.match(line)) and line.count("(") == line.count(")")]
    found = [(n, m) for n, m in found if n + 1 == len(place.lines) or not re.match(r"\s*[.?:&|+*/-]", place.lines[n + 1])]
    return [(n, m) for n, m in found if sum(m["name"] == other["name"] for _, other in found) == 1]


@transform(*SCRIPT)
def change_keyword(place: Place) -> Edit | None:
    known = [word for word in ("var", "let", "const") if re.search(rf"(?m)(?<!\()\b{word} \w+ ?=", place.region)]
    if not known:
        return None
    old = place.random.choice(known)
    new = place.random.choice([word for word in ("let", "const", "const", "var") if word != old])
    result = re.sub(rf"(?m)^( *){old} (?=[\w{{\[])", rf"\1{new} ", place.region)
    return Edit(result, "keyword", {"old": name(old), "new": name(new)}, ("old", "new")) if result != place.region else None


@transform(*SCRIPT)
def arrow_function(place: Place) -> Edit | None:
    function = only_function(place)
    if not function:
        return None
    lines, match = place.lines, function.match
    head = f"{match['indent']}{match['export'] or ''}const {function.name} = {match['async'] or ''}({match['params']}){match['returns'] or ''} => {{"
    lines[function.head], lines[function.end - 1] = head, lines[function.end - 1] + semicolon(place.region)
    return Edit("\n".join(lines), "arrow", {"where": name(function.name)})


@transform(*SCRIPT, weight=2)
def log_value(place: Place) -> Edit | None:
    found = [(n, m) for n, m in declarations(place) if n in standing_lines(place) or not m["end"]]
    if not found:
        return None
    at, match = place.random.choice(found)
    result = inserted(place.lines, at + 1, f"{match['indent']}console.log({match['name']}){match['end']}")
    return Edit(result, "log_value", {"name": name(match["name"])}, ("name",))


@transform(*SCRIPT, weight=1.5)
def log_text(place: Place) -> Edit | None:
    function = only_function(place)
    if not function:
        return None
    said = place.words.message()
    quote = "'" if place.region.count("'") > place.region.count('"') else '"'
    line = f"{inner_of(place.lines, function)}console.log({quote}{said}{quote}){semicolon(place.region)}"
    return Edit(inserted(place.lines, function.body, line), "log_text", {"text": text(said), "where": name(function.name)}, ("text",))


@transform(*SCRIPT, weight=1.5)
def remove_logs(place: Place) -> Edit | None:
    spots = standing_lines(place)
    if not spots or "console" in place.region:
        return None
    lines = place.lines
    for at in sorted(place.random.sample(spots, min(len(spots), place.random.randint(1, 3))), reverse=True):
        shown = place.random.choice(
            [f'"{place.words.message()}"', place.words.identifier("aB"), f'"{place.words.word()}", {place.words.identifier("aB")}']
        )
        lines.insert(at + 1, f"{indent_of(lines[at])}console.log({shown});")
    return Edit(place.region, "remove_logs", region="\n".join(lines))


@transform(*SCRIPT)
def strict_equality(place: Place) -> Edit | None:
    if " === " not in place.region or re.search(r" ==(?!=) | != ", place.region):
        return None
    return Edit(place.region, "strict", region=place.region.replace(" === ", " == "))


@transform(*SCRIPT)
def add_listener(place: Place) -> Edit | None:
    found = [(n, m) for n, m in declarations(place) if not m["indent"]]
    if not found:
        return None
    _, match = place.random.choice(found)
    event = place.random.choice(["click", "input", "submit", "change", "keydown", "keyup", "mouseover", "load", "scroll", "blur", "focus"])
    handler = place.words.identifier("aB", 2)
    result = f'{place.region}\n{match["name"]}.addEventListener("{event}", {handler}){semicolon(place.region)}'
    slots = {"event": event, "name": name(match["name"]), "handler": name(handler)}
    return Edit(result, "listener", slots, ("event", "name", "handler")) if not place.region.endswith(("{", ",", "(")) else None


@transform(*SCRIPT)
def template_literal(place: Place) -> Edit | None:
    spots = standing_lines(place)
    known = re.findall(r"(?:const|let|var) (\w+) =", place.region)
    if not spots or not known:
        return None
    at, value = place.random.choice(spots), place.random.choice(known)
    first, last = place.words.message().rstrip("!.") + " ", place.random.choice(["", " " + place.words.word(), "!"])
    shape = place.random.choice(["console.log(%s);", "alert(%s);", f"const {place.words.identifier('aB')} = %s;"])
    space = indent_of(place.lines[at])
    old = f'"{first}" + {value}' + (f' + "{last}"' if last else "")
    before = inserted(place.lines, at + 1, space + shape.replace("%s", old))
    return Edit(inserted(place.lines, at + 1, space + shape.replace("%s", f"`{first}${{{value}}}{last}`")), "template_literal", region=before)


@transform(*SCRIPT)
def add_function(place: Place) -> Edit | None:
    if not place.region.endswith(("}", ";")) or place.region.startswith((" ", "}")) or place.lines[-1].startswith(" "):
        return None
    args = list(dict.fromkeys(place.words.identifier("aB", 1) for _ in range(place.random.randint(0, 2))))
    new = place.words.identifier("aB", 2)
    said = place.random.choice([", ".join(args), " and ".join(args)])
    slots = {"name": name(new), **({"args": said} if args else {})}
    return Edit(f"{place.region}\n\nfunction {new}({', '.join(args)}) {{\n}}", "add_function", slots, ("name", "args") if args else ("name",))


@transform(*SCRIPT)
def export_function(place: Place) -> Edit | None:
    found = [f for f in script_functions(place.lines) if not f.match["indent"]]
    if not found:
        return None
    function = place.random.choice(found)
    line = place.lines[function.head]
    if function.match["export"]:
        return Edit(replaced_line(place.lines, function.head, line.removeprefix("export ")), "unexport", {"name": name(function.name)}, ("name",))
    return Edit(replaced_line(place.lines, function.head, "export " + line), "export", {"name": name(function.name)}, ("name",))


@transform(*SCRIPT)
def await_call(place: Place) -> Edit | None:
    found = list(re.finditer(r"(?:= |return )(?P<call>(?!await |new )[a-z][\w.]*)\(", place.region))
    found = [m for m in found if sum(m["call"] == other["call"] for other in found) == 1]
    if not any(f.match["async"] for f in functions(place)) or not found:
        return None
    match = place.random.choice(found)
    result = place.region[: match.start("call")] + "await " + place.region[match.start("call") :]
    return Edit(result, "with_async_await", {"call": name(match["call"])}, ("call",))


@transform(*SCRIPT, weight=1.5)
def script_import(place: Place) -> Edit | None:
    imports = [n for n, line in enumerate(place.lines) if re.match(r"import .* from ", line)]
    wanted = place.words.identifier(place.random.choice(["aB", "Ab"]))
    module = place.random.choice(["./" + place.words.word(), place.words.word(), "../" + place.words.word()])
    if count_word(wanted, place.region) or (not imports and (place.region[:1] in " }" or place.lines[0].startswith("//"))):
        return None
    quote = "'" if place.region.count("'") > place.region.count('"') else '"'
    line = f"import {{ {wanted} }} from {quote}{module}{quote};"
    result = inserted(place.lines, imports[-1] + 1, line) if imports else f"{line}\n\n{place.region}" if place.region else line
    return Edit(result, "import_from", {"name": name(wanted), "module": name(module)}, ("name", "module"))


@transform(*SCRIPT)
def remove_declaration(place: Place) -> Edit | None:
    found = declarations(place)
    if not found or len(place.lines) < 3:
        return None
    at, match = place.random.choice(found)
    kind = place.random.choice(["line", "variable", "constant" if match["word"] == "const" else "variable"])
    return Edit(replaced_line(place.lines, at), "remove_thing", {"name": name(match["name"]), "kind": kind}, ("name",))


@transform(*SCRIPT)
def script_comment_out(place: Place) -> Edit | None:
    found = declarations(place)
    if not found:
        return None
    at, match = place.random.choice(found)
    target = place.random.choice([name(match["name"]), Said(f"the {match['name']} line"), Said(f"the line that sets {match['name']}")])
    line = place.lines[at]
    return Edit(replaced_line(place.lines, at, f"{indent_of(line)}// {line.lstrip()}"), "comment_out", {"target": target}, ("target",))


@transform("typescript", weight=2)
def type_declaration(place: Place) -> Edit | None:
    found = [(n, m) for n, m in declarations(place) if not m["type"]]
    if not found:
        return None
    at, match = place.random.choice(found)
    kind = place.random.choice(["string", "number", "boolean", "string[]", "number[]", "Date", "unknown", "string | null"])
    line = place.lines[at]
    end = match.end("name")
    return Edit(
        replaced_line(place.lines, at, f"{line[:end]}: {kind}{line[end:]}"), "type_js", {"name": name(match["name"]), "type": kind}, ("name", "type")
    )


@transform("typescript", weight=2)
def type_parameter(place: Place) -> Edit | None:
    function = only_function(place)
    if not function or not function.params:
        return None
    bare = [param for param in function.params if re.fullmatch(r"\w+", param)]
    if not bare:
        return None
    old = place.random.choice(bare)
    kind = place.random.choice(["string", "number", "boolean", "string[]", "Date", "unknown"])
    params = [f"{param}: {kind}" if param == old else param for param in function.params]
    result = replaced_line(place.lines, function.head, function.with_params(params))
    return Edit(result, "type_js", {"name": name(old), "type": kind}, ("name", "type"))


@transform("typescript", weight=3)
def add_interface_field(place: Place) -> Edit | None:
    heads = [
        (n, m)
        for n, line in enumerate(place.lines)
        if (m := re.match(r"(?:export )?(?:declare )?(?:interface (\w+)(?: extends [\w, ]+)?|type (\w+) =) \{$", line))
    ]
    if len(heads) != 1:
        return None
    at, match = heads[0]
    end = closing(place.lines, at)
    if not end or end - at < 2 or not re.match(r" +\w+\??: .*[;,]?$", place.lines[end - 1]):
        return None
    new, kind = place.words.identifier("aB"), place.random.choice(["string", "number", "boolean", "string[]", "Date"])
    last = place.lines[end - 1]
    mark = ";" if last.endswith(";") else "," if last.endswith(",") else ""
    result = inserted(place.lines, end, f"{indent_of(last)}{new}: {kind}{mark}")
    return Edit(result, "interface_field", {"name": name(new), "type": kind, "where": name(match[1] or match[2])}, ("name", "type"))


@transform("typescript")
def remove_interface_field(place: Place) -> Edit | None:
    found = [(n, m[1]) for n, line in enumerate(place.lines) if (m := re.match(r" +(?:readonly )?(\w+)\??: [\w\[\]<>| ]+[;,]$", line))]
    if len(found) < 2:
        return None
    at, old = place.random.choice(found)
    if sum(old == other for _, other in found) > 1:
        return None
    kind = place.random.choice(["field", "property", "member"])
    return Edit(replaced_line(place.lines, at), "remove_thing", {"name": name(old), "kind": kind}, ("name",))


@transform(*SCRIPT, weight=1.5)
def object_property(place: Place) -> Edit | None:
    """Adds a property to an object literal that stands over several lines."""
    heads = [n for n, line in enumerate(place.lines) if re.search(r"= \{$", line)]
    if len(heads) != 1:
        return None
    end = closing(place.lines, heads[0])
    if not end or end - heads[0] < 2 or not re.match(r" +\w+: .*[\w\"'\]],?$", place.lines[end - 1]):
        return None
    lines = place.lines
    last = lines[end - 1]
    new, value = place.words.identifier("aB"), place.random.choice([place.words.number(), "true", "false", f'"{place.words.word()}"', "null"])
    comma = "," if last.endswith(",") else ""
    lines[end - 1] = last if comma else last + ","
    owner = re.search(r"(\w+) = \{$", lines[heads[0]])
    slots = {"name": name(new), "value": value, **({"section": name(owner[1])} if owner else {})}
    return Edit(inserted(lines, end, f"{indent_of(last)}{new}: {value}{comma}"), "key_add", slots, ("name", "value"))


@transform(*SCRIPT)
def early_text(place: Place) -> Edit | None:
    """Text in calls like alert("...") or textContent = "...", by the call's name."""
    match = re.search(
        r"\b(alert|console\.log|console\.error|textContent|innerText|title|placeholder)(?:\(| = )\"(?P<inside>[^\"\n]+)\"", place.region
    )
    if not match or len(re.findall(re.escape(match[1]), place.region)) != 1:
        return None
    new = place.words.message()
    kinds = {"alert": ["alert", "alert text"], "console.log": ["log", "log message"], "textContent": ["text"], "innerText": ["text"]}
    result = place.region[: match.start("inside")] + new + place.region[match.end("inside") :]
    slots = {"new": text(new), "old": text(match["inside"]), "kind": place.random.choice(kinds.get(match[1], [match[1]]))}
    return Edit(result, "say", slots, ("new",))
