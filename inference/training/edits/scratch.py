"""Small things from nothing, in an empty region: functions, classes, pages, lists, forms, rules, settings, scripts."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from inference.training.edits.styles import PROPERTIES, called, new_selector, value_for
from inference.training.scene import Edit, Place, Said, name, text, transform


@cache
def functions() -> list[dict[str, str | list[str]]]:
    with (Path(__file__).parent.parent / "functions.toml").open("rb") as file:
        return list(tomllib.load(file)["function"])


def empty(place: Place) -> bool:
    return not place.region.strip()


@transform("python", "javascript", "typescript", weight=8)
def write_function(place: Place) -> Edit | None:
    if not empty(place):
        return None
    known = place.random.choice(functions())
    language = "python" if place.language == "python" else "javascript"
    body = known.get(language)
    if not body or place.language == "typescript":
        return None
    called_it = place.random.choice(known["names"])
    if language == "javascript":
        first, *rest = called_it.split("_")
        called_it = first + "".join(word.capitalize() for word in rest)
    standard = str(known["names"][0])
    if language == "javascript":
        first, *rest = standard.split("_")
        standard = first + "".join(word.capitalize() for word in rest)
    what = place.random.choice(known["what"])
    # Without a name in the request, the first is the one to take.
    if place.maybe(0.5):
        return Edit(str(body).replace("NAME", standard), "from_nothing", {"what": what}, ("what",))
    return Edit(str(body).replace("NAME", called_it), "from_nothing", {"what": what, "name": name(called_it)}, ("name",))


def listed(things: list[str], place: Place) -> str:
    if len(things) == 1:
        return things[0]
    style = place.random.choice(["comma", "and", "and", "blank"])
    if style == "blank" and all(" " not in thing for thing in things):
        return " ".join(things)
    return ", ".join(things) if style == "comma" else ", ".join(things[:-1]) + " and " + things[-1]


def some(place: Place, made: list[str]) -> list[str]:
    return list(dict.fromkeys(made))[: place.random.randint(1, 4)]


@transform("python", weight=3)
def write_class(place: Place) -> Edit | None:
    if not empty(place):
        return None
    fields = some(place, [place.words.identifier(parts=1) for _ in range(4)])
    new = place.words.identifier("Name", 1)
    slots = {"name": name(new), "fields": listed(fields, place)}
    if place.maybe(0.3):
        kinds = [place.random.choice(["int", "str", "float"]) for _ in fields]
        body = "\n".join(f"    {field}: {kind}" for field, kind in zip(fields, kinds, strict=True))
        slots["fields"] = listed([f"{field}: {kind}" for field, kind in zip(fields, kinds, strict=True)], place).replace(" and ", ", ")
        return Edit(f"@dataclass\nclass {new}:\n{body}", "dataclass_from_nothing", slots, ("name", "fields"))
    body = "\n".join(f"        self.{field} = {field}" for field in fields)
    return Edit(f"class {new}:\n    def __init__(self, {', '.join(fields)}):\n{body}", "class_from_nothing", slots, ("name", "fields"))


@transform("javascript", weight=1.5)
def write_script_class(place: Place) -> Edit | None:
    if not empty(place):
        return None
    fields = some(place, [place.words.identifier("aB", 1) for _ in range(4)])
    new = place.words.identifier("Name", 1)
    body = "\n".join(f"    this.{field} = {field};" for field in fields)
    result = f"class {new} {{\n  constructor({', '.join(fields)}) {{\n{body}\n  }}\n}}"
    return Edit(result, "class_from_nothing", {"name": name(new), "fields": listed(fields, place)}, ("name", "fields"))


@transform("python", "javascript", weight=1)
def write_hello(place: Place) -> Edit | None:
    if not empty(place):
        return None
    return Edit('print("Hello, world!")' if place.language == "python" else 'console.log("Hello, world!");', "hello_from_nothing")


@transform("html", weight=3)
def write_page(place: Place) -> Edit | None:
    if not empty(place):
        return None
    title = place.words.label()
    heading = place.words.label() if place.maybe(0.4) else title
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '  <meta charset="utf-8">',
        f"  <title>{title}</title>",
        "</head>",
        "<body>",
        f"  <h1>{heading}</h1>",
        "</body>",
        "</html>",
    ]
    slots = {"text": text(title), "heading": text(heading)}
    intent, must = ("page_from_nothing", ("text",)) if heading == title else ("page_heading_from_nothing", ("text", "heading"))
    return Edit("\n".join(lines), intent, slots, must)


@transform("html", weight=3)
def write_part(place: Place) -> Edit | None:
    if not empty(place):
        return None
    wanted = some(place, [place.words.word() for _ in range(4)])
    slots: dict[str, Said | str] = {"items": listed(wanted, place)}
    kind = place.random.choice(["list", "form", "nav"])
    if kind == "list":
        lines = ["<ul>", *(f"  <li>{item}</li>" for item in wanted), "</ul>"]
    elif kind == "nav":
        lines = ["<nav>", *(f'  <a href="/{item}">{item.capitalize()}</a>' for item in wanted), "</nav>"]
    else:
        lines = [
            "<form>",
            *(line for item in wanted for line in (f'  <label for="{item}">{item.capitalize()}</label>', f'  <input id="{item}" name="{item}">')),
        ]
        lines += ['  <button type="submit">Submit</button>', "</form>"]
    return Edit("\n".join(lines), f"{kind}_from_nothing", slots, ("items",))


@transform("css", weight=3)
def write_rule(place: Place) -> Edit | None:
    if not empty(place):
        return None
    selector, prop = new_selector(place), place.random.choice(PROPERTIES)
    value = value_for(prop, place)
    slots = {"selector": name(selector), "property": called(prop, place) if prop != "background-color" else prop, "value": value}
    return Edit(f"{selector} {{\n  {prop}: {value};\n}}", "rule_from_nothing", slots, ("selector", "property", "value"))


@transform("json", "yaml", "toml", weight=3)
def write_settings(place: Place) -> Edit | None:
    if not empty(place):
        return None
    keys = some(place, [place.words.identifier(parts=1) for _ in range(4)])
    values = [place.random.choice([place.words.number(), "true", "false", f'"{place.words.word()}"']) for _ in keys]
    said = [f"{key} {value.strip(chr(34))}" for key, value in zip(keys, values, strict=True)]
    if place.language == "json":
        result = "{\n" + ",\n".join(f'  "{key}": {value}' for key, value in zip(keys, values, strict=True)) + "\n}"
    else:
        mark = ": " if place.language == "yaml" else " = "
        shown = [value.strip('"') if place.language == "yaml" else value for value in values]
        result = "\n".join(f"{key}{mark}{value}" for key, value in zip(keys, shown, strict=True))
    return Edit(result, "config_from_nothing", {"items": listed(said, place)}, ("items",))


@transform("markdown", weight=3)
def write_document(place: Place) -> Edit | None:
    if not empty(place):
        return None
    if place.maybe(0.5):
        title = place.words.label()
        return Edit(f"# {title}", "readme_from_nothing", {"text": text(title)}, ("text",))
    wanted = some(place, [place.words.word() for _ in range(4)])
    return Edit("\n".join(f"- [ ] {item}" for item in wanted), "todo_list_from_nothing", {"items": listed(wanted, place)}, ("items",))


@transform("shell", weight=3)
def write_script(place: Place) -> Edit | None:
    if not empty(place):
        return None
    words = place.words
    said = words.message()
    folder, file = words.word(), words.word()
    what, line = place.random.choice(
        [
            (f'prints "{said}"', f'echo "{said}"'), (f"makes a folder {folder}", f"mkdir -p {folder}"), (f"runs {file}.py", f"python {file}.py"),
            (f"deletes {file}.txt", f"rm {file}.txt"), (f"copies {file} to {folder}", f"cp {file} {folder}"), ("lists all files", "ls -la"),
            (f"goes to {folder} and runs make", f"cd {folder}\nmake"), ("prints the date", "date"), (f"installs {file} with pip", f"pip install {file}"),
        ]
    )  # fmt: skip
    return Edit(f"#!/bin/bash\nset -e\n{line}", "script_from_nothing", {"what": what}, ("what",))
