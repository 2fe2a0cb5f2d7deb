"""Edits of JSON, YAML and TOML, line by line; each result is checked by a parser where the region is a whole document."""

from __future__ import annotations

import re

from inference.training.edits.code import inserted, replaced_line
from inference.training.scene import Edit, Place, Said, indent_of, name, spliced, text, transform

KINDS = ("json", "yaml", "toml")
SCALAR = r"\"[^\"\n]*\"|'[^'\n]*'|-?\d+(?:\.\d+)?|true|false|null|[A-Za-z][\w ./@-]*"
ENTRY = {
    "json": re.compile(rf"^(?P<space> *)\"(?P<key>[\w.@/-]+)\": (?P<value>{SCALAR})(?P<end>,?)$"),
    "yaml": re.compile(rf"^(?P<space> *)(?P<key>[\w-]+): (?P<value>{SCALAR})(?P<end>)$"),
    "toml": re.compile(r"^(?P<space> *)(?P<key>[\w-]+) = (?P<value>\"[^\"\n]*\"|-?\d+(?:\.\d+)?|true|false)(?P<end>)$"),
}


def entries(place: Place) -> list[tuple[int, re.Match[str]]]:
    found = [(n, m) for n, line in enumerate(place.lines) if (m := ENTRY[place.language].match(line))]
    return [(n, m) for n, m in found if sum(m["key"] == other["key"] for _, other in found) == 1]


def written(key: str, value: str, language: str) -> str:
    return {"json": f'"{key}": {value}', "yaml": f"{key}: {value}", "toml": f"{key} = {value}"}[language]


def new_value(old: str, place: Place) -> str:
    """Of the old one's kind; quoted as it was."""
    if old in ("true", "false"):
        return "false" if old == "true" else "true"
    if re.fullmatch(r"-?\d+(\.\d+)?", old):
        return place.words.number(old)
    bare = old.strip("\"'")
    if re.fullmatch(r"[\^~]?\d+\.\d+(\.\d+)?", bare):
        made = f"{bare[0] if bare[0] in '^~' else ''}{place.random.randint(0, 9)}.{place.random.randint(0, 20)}.{place.random.randint(0, 9)}"
    elif bare.startswith(("http", "/", "./")):
        made = place.words.url()
    else:
        made = place.words.word() if " " not in bare else place.words.message().rstrip(".!")
    if old[0] in "\"'":
        return old[0] + made + old[0]
    return made if place.language == "yaml" and made not in ("yes", "no", "on", "off", "true", "false", "null") else f'"{made}"'


def any_value(place: Place) -> str:
    return place.random.choice([place.words.number(), "true", "false", f'"{place.words.word()}"', f'"{place.words.message().rstrip("!.")}"'])


def said_value(value: str, place: Place) -> Said | str:
    return text(value[1:-1]) if value[0] in "\"'" and place.maybe(0.7) else value


@transform(*KINDS, weight=5)
def set_key(place: Place) -> Edit | None:
    found = entries(place)
    if not found:
        return None
    at, match = place.random.choice(found)
    new = new_value(match["value"], place)
    if new == match["value"]:
        return None
    line = spliced(place.lines[at], match, new, "value")
    result = replaced_line(place.lines, at, line)
    key = match["key"]
    said = re.sub(r"[_-]", " ", key) if place.maybe(0.3) else key
    if new in ("true", "false") and place.maybe(0.5):
        return Edit(result, "toggle_on" if new == "true" else "toggle_off", {"name": name(said)}, ("name",))
    slots = {"name": name(said), "value": said_value(new, place), "old": said_value(match["value"], place)}
    return Edit(result, "set", slots, ("name", "value"))


@transform(*KINDS, weight=4)
def add_key(place: Place) -> Edit | None:
    """After the last entry of a block; in JSON with the comma where it belongs."""
    found = entries(place)
    if not found:
        return None
    lines = place.lines
    # The last entry of its block: what follows is a bracket, another block or nothing.
    last = [(n, m) for n, m in found if n + 1 == len(lines) or not lines[n + 1].strip() or len(indent_of(lines[n + 1])) < len(m["space"])]
    last = [(n, m) for n, m in last if place.language != "json" or not m["end"]]
    if not last:
        return None
    at, match = place.random.choice(last)
    if len(last) > 1 and place.language != "toml":
        outermost = min(len(m["space"]) for _, m in last)
        last = [(n, m) for n, m in last if len(m["space"]) == outermost]
        if len(last) != 1:
            return None
        at, match = last[0]
    section = owner(place, at, match) if place.language == "toml" else ""
    if len(last) > 1 and not section:
        return None
    new = place.words.identifier(match["key"] if "_" not in match["key"] else "", place.random.choice([1, 1, 2]))
    value = any_value(place)
    if any(m["key"] == new for _, m in found):
        return None
    if place.language == "json":
        lines[at] += ","
    bare = value[1:-1] if value[0] == '"' and place.language == "yaml" and re.fullmatch(r"\"[A-Za-z]+\"", value) and place.maybe(0.7) else value
    slots: dict[str, Said | str] = {"name": name(new), "value": said_value(value, place)}
    if section:
        slots["section"] = name(section)
    result = inserted(lines, at + 1, match["space"] + written(new, bare, place.language))
    return Edit(result, "key_add", slots, ("name", "value", "section") if len(last) > 1 else ("name", "value"))


def owner(place: Place, at: int, match: re.Match[str]) -> str:
    for line in reversed(place.lines[:at]):
        head = re.fullmatch(r"\[([\w.-]+)\]", line)
        if head:
            return head[1]
    return ""


@transform(*KINDS, weight=3)
def remove_key(place: Place) -> Edit | None:
    found = entries(place)
    if len(found) < 2:
        return None
    at, match = place.random.choice(found)
    lines = place.lines
    if place.language == "json" and not match["end"]:
        # The last of its object: the comma before it goes, too.
        if not at or not lines[at - 1].endswith(","):
            return None
        lines[at - 1] = lines[at - 1][:-1]
    kind = place.random.choice(["key", "setting", "entry", "line", "field"])
    if place.maybe(0.5):
        return Edit(replaced_line(lines, at), "key_remove", {"name": name(match["key"])}, ("name",))
    return Edit(replaced_line(lines, at), "remove_thing", {"name": name(match["key"]), "kind": kind}, ("name",))


@transform(*KINDS, weight=2)
def rename_key(place: Place) -> Edit | None:
    found = entries(place)
    if not found:
        return None
    at, match = place.random.choice(found)
    new = place.words.identifier(match["key"])
    if any(m["key"] == new for _, m in found):
        return None
    line = spliced(place.lines[at], match, new, "key")
    slots = {"old": name(match["key"]), "new": name(new), "kind": place.random.choice(["key", "setting", "field"])}
    return Edit(replaced_line(place.lines, at, line), "rename", slots, ("old", "new"))


@transform("yaml", weight=3)
def yaml_item(place: Place) -> Edit | None:
    found = [(n, m) for n, line in enumerate(place.lines) if (m := re.match(r"( *)- ([\w./@-]+(?: [\w./@-]+)*)$", line))]
    if not found:
        return None
    ends = [(n, m) for n, m in found if n + 1 == len(place.lines) or not re.match(rf"{m[1]}- ", place.lines[n + 1])]
    at, match = place.random.choice(ends)
    heads = [re.match(r" *([\w-]+):$", line) for line in place.lines[:at]]
    keys = [head[1] for head in heads if head]
    new = place.words.identifier("a-b" if "-" in match[2] else "", place.random.choice([1, 1, 2]))
    slots = {"item": text(new), "value": text(new), "name": name(keys[-1] if keys else "list")}
    result = inserted(place.lines, at + 1, f"{match[1]}- {new}")
    if len(ends) > 1 or place.maybe(0.4):
        return Edit(result, "append_to", slots, ("value", "name")) if keys and keys.count(keys[-1]) == 1 else None
    return Edit(result, "list_item", slots, ("item",))


@transform("yaml", weight=2)
def remove_yaml_item(place: Place) -> Edit | None:
    found = [(n, m[2]) for n, line in enumerate(place.lines) if (m := re.match(r"( *)- ([\w./@-]+(?: [\w./@-]+)*)$", line))]
    found = [(n, item) for n, item in found if sum(item == other for _, other in found) == 1]
    if len(found) < 2:
        return None
    at, item = place.random.choice(found)
    return Edit(replaced_line(place.lines, at), "remove_item", {"item": text(item)}, ("item",))


INLINE = re.compile(r"(?m)^ *\"?(?P<key>[\w-]+)\"?(?:: | = )\[(?P<inside>[^\[\]\n{}]+)\],?$")


@transform(*KINDS, weight=2)
def inline_list(place: Place) -> Edit | None:
    found = list(INLINE.finditer(place.region))
    if not found:
        return None
    match = place.random.choice(found)
    known = [item.strip() for item in match["inside"].split(",")]
    if place.maybe(0.4) and len(known) > 1:
        old = place.random.choice(known)
        rest = ", ".join(item for item in known if item != old)
        slots = {"value": text(old.strip("\"'")), "name": name(match["key"])}
        return Edit(spliced(place.region, match, rest, "inside"), "take_from", slots, ("value", "name")) if rest else None
    bare = place.words.number() if known[-1].isdigit() else place.words.word()
    quote = known[-1][0] if known[-1][0] in "\"'" else ""
    result = spliced(place.region, match, f"{match['inside'].rstrip()}, {quote}{bare}{quote}", "inside")
    return Edit(result, "append_to", {"value": text(bare), "name": name(match["key"])}, ("value", "name"))


@transform("toml", weight=1.5)
def add_section(place: Place) -> Edit | None:
    if not place.region.strip() or "[" not in place.region or place.region.endswith("\n"):
        return None
    section, key, value = place.words.identifier(parts=1), place.words.identifier(parts=1), any_value(place)
    if f"[{section}]" in place.region:
        return None
    slots = {"section": name(section), "name": name(key), "value": value}
    return Edit(f"{place.region}\n\n[{section}]\n{key} = {value}", "section_add", slots, ("section", "name", "value"))


@transform("yaml", "toml")
def comment_setting(place: Place) -> Edit | None:
    found = entries(place)
    if not found:
        return None
    at, match = place.random.choice(found)
    if place.maybe(0.5):
        target = place.random.choice([name(match["key"]), Said(f"the {match['key']} line")])
        return Edit(replaced_line(place.lines, at, f"{match['space']}# {place.lines[at].lstrip()}"), "comment_out", {"target": target}, ("target",))
    said = place.words.phrase(8)
    return Edit(
        inserted(place.lines, at, f"{match['space']}# {said}"), "comment_at", {"text": text(said), "target": name(match["key"])}, ("text", "target")
    )
