"""Changing what is there: numbers, strings, operators, values of names; in Python, JavaScript and other files alike."""

from __future__ import annotations

import re

from inference.training.edits.code import NUMBER, STRING
from inference.training.scene import Edit, Place, count_word, name, only, spliced, text, transform

CODE = ("python", "javascript", "typescript")
LITERAL = r"\d+(?:\.\d+)?|True|False|None|true|false|null|\"[^\"\n{}%\\]*\"|'[^'\n{}%\\]*'"
ASSIGNED = re.compile(rf"(?m)(?<![\w.$])(?:self\.|this\.)?(?P<name>[A-Za-z_]\w*)(?P<eq> ?= ?)(?P<value>{LITERAL})(?=[\n,);]|$)")


@transform(*CODE, "css", "shell", weight=2)
def change_number(place: Place) -> Edit | None:
    found = list(re.finditer(NUMBER, place.region))
    texts = [match[0] for match in found]
    found = [match for match in found if texts.count(match[0]) == 1 and place.region.count(match[0]) == 1]
    if not found:
        return None
    match = place.random.choice(found)
    new = place.words.number(match[0])
    slots = {"old": match[0], "new": new, "kind": place.random.choice(["number", "value"])}
    return Edit(spliced(place.region, match, new), "replace", slots, ("old", "new"))


def spoken(value: str, place: Place) -> str:
    """How a person names a value: strings often without quotes, True in small letters."""
    if value[:1] in "\"'":
        return value if place.maybe(0.5) or not value[1:-1] else value[1:-1]
    if value in ("True", "False", "None") and place.maybe(0.4):
        return value.lower()
    return value


def other_value(old: str, place: Place) -> str:
    python = place.language == "python"
    if old[0] in "\"'":
        return old[0] + place.words.message().replace(old[0], "") + old[0]
    flips = {"True": "False", "False": "True", "true": "false", "false": "true"}
    if old in flips:
        return flips[old]
    if old in ("None", "null"):
        return place.words.literal() if python else place.random.choice([place.words.number(), '""', "[]", "true", "false"])
    return place.words.number(old)


@transform(*CODE, weight=5)
def set_value(place: Place) -> Edit | None:
    """A value by the name it is given to: a variable, a default, a keyword argument, an attribute."""
    found = [match for match in ASSIGNED.finditer(place.region) if len(re.findall(rf"\b{match['name']} ?=(?!=)", place.region)) == 1]
    if not found:
        return None
    match = place.random.choice(found)
    new = other_value(match["value"], place)
    if new == match["value"]:
        return None
    result = spliced(place.region, match, new, "value")
    said = match["name"]
    if "_" in said and place.maybe(0.25):
        # "max_size" is "max size" to people; "MAX_SIZE" too.
        said = said.replace("_", " ").strip().lower()
    elif said.isupper() and place.maybe(0.3):
        said = said.lower()
    if new in ("True", "true", "False", "false") and place.maybe(0.5):
        return Edit(result, "toggle_on" if new.lower() == "true" else "toggle_off", {"name": name(said)}, ("name",))
    slots = {"name": name(said), "value": text(spoken(new, place)) if new[0] in "\"'" else spoken(new, place), "old": spoken(match["value"], place)}
    return Edit(result, "set", slots, ("name", "value"))


@transform(*CODE, weight=3)
def change_string(place: Place) -> Edit | None:
    found = [
        m for m in re.finditer(STRING, place.region) if len(m["inside"]) > 1 and place.region.count(m["inside"]) == 1 and "\n" not in m["inside"]
    ]
    found = [m for m in found if '""' not in place.region[max(0, m.start() - 2) : m.end() + 2]]
    if not found:
        return None
    match = place.random.choice(found)
    new = place.words.message() if place.maybe(0.7) else place.words.identifier(match["inside"])
    if match["quote"] in new or new == match["inside"]:
        return None
    slots = {"old": text(match["inside"]), "new": text(new), "kind": place.random.choice(["text", "string", "message"])}
    if len(list(re.finditer(STRING, place.region))) == 1 and place.maybe(0.5):
        return Edit(spliced(place.region, match, new, "inside"), "say", slots, ("new",))
    return Edit(spliced(place.region, match, new, "inside"), "say", slots, ("old", "new"))


@transform(*CODE, weight=2)
def change_word_in_string(place: Place) -> Edit | None:
    """One word of a longer text."""
    found = [m for m in re.finditer(STRING, place.region) if m["inside"].count(" ") >= 1]
    if not found:
        return None
    match = place.random.choice(found)
    known = [w for w in re.findall(r"[A-Za-z]{3,}", match["inside"]) if count_word(w, place.region) == 1]
    if not known:
        return None
    old = place.random.choice(known)
    new = place.words.word()
    new = new.capitalize() if old[0].isupper() else new
    result = re.sub(rf"\b{old}\b", new, place.region)
    return Edit(result, "replace", {"old": text(old), "new": text(new), "kind": "word"}, ("old", "new"))


@transform(*CODE, weight=2)
def change_operator(place: Place) -> Edit | None:
    python = place.language == "python"
    found = list(
        re.finditer(r" (==|!=|<=|>=|<|>|===|!==|\+|-|\*|/|and|or|&&|\|\||\+=|-=) ", re.sub(r"(#|//).*", lambda m: " " * len(m[0]), place.region))
    )
    signs = [match[1] for match in found]
    found = [match for match in found if signs.count(match[1]) == 1]
    if not found:
        return None
    match = place.random.choice(found)
    old = match[1]
    groups = (["==", "!=", "<", "<=", ">", ">="], ["+", "-", "*", "/"], ["and", "or"], ["===", "!=="], ["&&", "||"], ["+=", "-="])
    group = next(g for g in groups if old in g)
    new = place.random.choice([sign for sign in group if sign != old])
    spoken_signs = {">=": "greater or equal", "<=": "less or equal", ">": "greater than", "<": "less than", "!=": "not equal", "==": "equal"}
    said = spoken_signs.get(new, new) if place.maybe(0.15) and python else new
    only_comparison = len(found) == 1 and old in groups[0]
    return Edit(spliced(place.region, match, new, 1), "operator", {"old": old, "new": said}, ("new",) if only_comparison else ("old", "new"))


@transform(*CODE)
def scale_value(place: Place) -> Edit | None:
    """Double, halve, more or less by some: the one arithmetic that people ask for."""
    found = [m for m in ASSIGNED.finditer(place.region) if re.fullmatch(r"[1-9]\d{0,3}", m["value"])]
    found = [m for m in found if len(re.findall(rf"\b{m['name']} ?=(?!=)", place.region)) == 1]
    if not found:
        return None
    match = place.random.choice(found)
    number = int(match["value"])
    kind = place.random.choice(["double", "double", "halve", "increase", "decrease"])
    step = place.random.choice([1, 2, 5, 10])
    new = {"double": number * 2, "halve": number // 2, "increase": number + step, "decrease": number - step}[kind]
    if (kind == "halve" and number % 2) or new < 0:
        return None
    return Edit(spliced(place.region, match, str(new), "value"), kind, {"name": name(match["name"]), "count": str(step)}, ("name",))


@transform(*CODE)
def change_range(place: Place) -> Edit | None:
    pattern = r"range\((?P<count>\d+)\)" if place.language == "python" else r"[a-z] <=? (?P<count>\d+);"
    match = only(pattern, place.region)
    if not match:
        return None
    new = place.words.number(match["count"])
    return Edit(spliced(place.region, match, new, "count"), "range", {"count": new, "old": match["count"]}, ("count",))


@transform(*CODE, weight=0.7)
def swap_lines(place: Place) -> Edit | None:
    lines = place.lines
    pattern = re.compile(r"^( *)(?:const |let |var )?([A-Za-z_]\w*) = [^\n]*[\w)\]\"';]$")
    pairs = []
    for number in range(len(lines) - 1):
        first, second = pattern.match(lines[number]), pattern.match(lines[number + 1])
        if first and second and first[1] == second[1] and first[2] != second[2]:
            if count_word(first[2], lines[number + 1]) or lines[number].count("(") != lines[number].count(")"):
                continue
            pairs.append((number, first[2], second[2]))
    if not pairs:
        return None
    number, old, new = place.random.choice(pairs)
    lines[number], lines[number + 1] = lines[number + 1], lines[number]
    return Edit("\n".join(lines), "swap", {"old": name(old), "new": name(new)}, ("old", "new"))


LIST = re.compile(r"(?m)(?P<name>\w+)(?: = |: |=)\[(?P<inside>[^\[\]\n(){}]+)\]")


@transform(*CODE, weight=2)
def append_to_list(place: Place) -> Edit | None:
    found = [m for m in LIST.finditer(place.region) if not m["inside"].rstrip().endswith(",")]
    if not found:
        return None
    match = place.random.choice(found)
    items = [item.strip() for item in match["inside"].split(",")]
    if items[-1][:1] in "\"'" and items[-1][-1:] == items[-1][:1]:
        bare = place.words.word()
        new = items[-1][0] + bare + items[-1][0]
        said = text(bare)
    elif re.fullmatch(r"\d+", items[-1]):
        new = place.words.number()
        said = text(new)
    else:
        new = place.words.identifier(items[-1])
        said = name(new)
    result = spliced(place.region, match, match["inside"] + ", " + new, "inside")
    names = [match["name"]] + (["list", "the list"] if len(found) == 1 else [])
    return Edit(result, "append_to", {"value": said, "name": name(place.random.choice(names))}, ("value", "name"))


@transform(*CODE, weight=2)
def take_from_list(place: Place) -> Edit | None:
    found = [m for m in LIST.finditer(place.region) if m["inside"].count(",") >= 1 and not m["inside"].rstrip().endswith(",")]
    if not found:
        return None
    match = place.random.choice(found)
    items = [item.strip() for item in match["inside"].split(",")]
    old = place.random.choice(items)
    bare = old.strip("\"'")
    if items.count(old) != 1 or not bare:
        return None
    rest = ", ".join(item for item in items if item != old)
    result = spliced(place.region, match, rest, "inside")
    names = [match["name"]] + (["list", "the list"] if len(found) == 1 else [])
    return Edit(result, "take_from", {"value": text(bare), "name": name(place.random.choice(names))}, ("value", "name"))
