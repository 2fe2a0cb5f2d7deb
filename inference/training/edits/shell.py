"""Edits of shell scripts: variables, lines, flags, safety."""

from __future__ import annotations

import re

from inference.training.edits.code import inserted, replaced_line
from inference.training.scene import Edit, Place, Said, count_word, indent_of, name, text, transform, whole_word
from inference.training.scene import spliced as replaced

VARIABLE = re.compile(r"^(?P<space> *)(?P<export>export )?(?P<name>[A-Za-z_]\w*)=(?P<value>\"[^\"$`\n]*\"|[\w./:@-]+)$")
COMMAND = re.compile(r"^ *(?P<name>[a-z][a-z0-9-]+)(?P<rest>(?: [^|&;<>()\n]*)?)$")
KEYWORDS = {
    "if",
    "then",
    "else",
    "elif",
    "fi",
    "for",
    "do",
    "done",
    "while",
    "case",
    "esac",
    "function",
    "echo",
    "set",
    "export",
    "return",
    "exit",
    "local",
    "cd",
}


def variables(place: Place) -> list[tuple[int, re.Match[str]]]:
    found = [(n, m) for n, line in enumerate(place.lines) if (m := VARIABLE.match(line))]
    return [(n, m) for n, m in found if sum(m["name"] == other["name"] for _, other in found) == 1]


def commands(place: Place) -> list[tuple[int, re.Match[str]]]:
    found = [(n, m) for n, line in enumerate(place.lines) if (m := COMMAND.match(line)) and m["name"] not in KEYWORDS and not line.endswith("\\")]
    return [(n, m) for n, m in found if sum(m["name"] == other["name"] for _, other in found) == 1]


@transform("shell", weight=4)
def set_variable(place: Place) -> Edit | None:
    found = variables(place)
    if not found:
        return None
    at, match = place.random.choice(found)
    old = match["value"]
    bare = old.strip('"')
    new = (
        place.words.number(bare)
        if bare.isdigit()
        else place.random.choice([place.words.word(), f"/{place.words.word()}/{place.words.word()}", f"{place.words.word()}.txt"])
    )
    value = f'"{new}"' if old[0] == '"' else new
    slots = {"name": name(match["name"].lower() if place.maybe(0.2) else match["name"]), "value": text(new), "old": text(bare)}
    return Edit(replaced_line(place.lines, at, replaced(place.lines[at], match, value, "value")), "set", slots, ("name", "value"))


@transform("shell", weight=2)
def rename_shell_variable(place: Place) -> Edit | None:
    found = variables(place)
    if not found:
        return None
    _, match = place.random.choice(found)
    old = match["name"]
    new = place.words.identifier(old)
    if count_word(new, place.region) or re.search(rf"(?<![$\w{{]){old}(?![=\w])", place.region):
        return None
    result = re.sub(rf"(?<![\w]){old}(?!\w)", new, place.region)
    return Edit(result, "rename", {"old": name(old), "new": name(new), "kind": "variable"}, ("old", "new"))


@transform("shell", weight=2)
def add_echo(place: Place) -> Edit | None:
    said = place.words.message()
    lines = place.lines
    if not place.region.strip() or "<<" in place.region:
        return None
    if place.maybe(0.6):
        if place.after.strip() or lines[-1].startswith(" ") or lines[-1].endswith("\\") or re.match(r"exit|return", lines[-1]):
            return None
        return Edit(f'{place.region}\necho "{said}"', "shell_echo", {"text": text(said)}, ("text",))
    start = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith(("#", "set "))), None)
    if start is None or place.before.strip() or lines[start].startswith(" "):
        return None
    return Edit(inserted(lines, start, f'echo "{said}"'), "shell_echo_start", {"text": text(said)}, ("text",))


@transform("shell", weight=2)
def add_command(place: Place) -> Edit | None:
    if place.after.strip() or not place.region.strip() or place.lines[-1].startswith(" ") or place.lines[-1].endswith("\\") or "<<" in place.region:
        return None
    words = place.words
    line = place.random.choice(
        [
            f"npm run {words.word()}", f"mkdir -p {words.word()}", f"rm -rf {words.word()}", f"python {words.word()}.py", "git status", "ls -la",
            f"cp {words.word()} {words.word()}", f"cd {words.word()}", f"make {words.word()}", f"chmod +x {words.word()}.sh",
        ]
    )  # fmt: skip
    return Edit(f"{place.region}\n{line}", "shell_line", {"text": text(line)}, ("text",))


@transform("shell")
def set_strict(place: Place) -> Edit | None:
    if place.before.strip() or re.search(r"(?m)^set -", place.region) or not place.region.strip():
        return None
    at = 1 if place.lines[0].startswith("#!") else 0
    return Edit(inserted(place.lines, at, "set -e"), "shell_strict")


@transform("shell")
def add_shebang(place: Place) -> Edit | None:
    if place.before.strip() or place.lines[0].startswith("#!") or not place.region.strip():
        return None
    shell, line = place.random.choice([("bash", "#!/bin/bash"), ("sh", "#!/bin/sh"), ("bash", "#!/usr/bin/env bash")])
    if line.endswith("env bash"):
        return Edit(f"{line}\n{place.region}", "shebang", {"name": "env bash"}, ("name",))
    return Edit(f"{line}\n{place.region}", "shebang", {"name": shell}, ("name",))


@transform("shell")
def export_variable(place: Place) -> Edit | None:
    found = [(n, m) for n, m in variables(place) if not m["export"]]
    if not found:
        return None
    at, match = place.random.choice(found)
    line = place.lines[at]
    return Edit(replaced_line(place.lines, at, f"{indent_of(line)}export {line.lstrip()}"), "shell_export", {"name": name(match["name"])}, ("name",))


@transform("shell", weight=2)
def add_flag(place: Place) -> Edit | None:
    found = commands(place)
    if not found:
        return None
    at, match = place.random.choice(found)
    flag = place.random.choice(
        ["-v", "-f", "--verbose", "--force", "-r", "--quiet", "-y", f"--{place.words.word()}", f"--{place.words.word()}={place.words.number()}"]
    )
    if re.search(rf"(?<!\S){re.escape(flag)}(?!\S)", match["rest"]):
        return None
    end = match.end("name")
    line = place.lines[at][:end] + f" {flag}" + place.lines[at][end:]
    return Edit(replaced_line(place.lines, at, line), "shell_flag", {"flag": flag, "name": name(match["name"])}, ("flag", "name"))


@transform("shell", weight=1.5)
def remove_command(place: Place) -> Edit | None:
    found = [(n, m["name"]) for n, m in commands(place) if not place.lines[n].startswith(" ")] + [(n, m["name"]) for n, m in variables(place)]
    if len(place.lines) < 3 or not found:
        return None
    at, old = place.random.choice(found)
    if len(re.findall(whole_word(old), place.region)) != 1:
        return None
    return Edit(replaced_line(place.lines, at), "remove_thing", {"name": name(old), "kind": place.random.choice(["line", "command"])}, ("name",))


@transform("shell", weight=1.5)
def shell_comment(place: Place) -> Edit | None:
    found = [(n, m["name"]) for n, m in [*commands(place), *variables(place)]]
    if not found:
        return None
    at, old = place.random.choice(found)
    line = place.lines[at]
    if place.maybe(0.5):
        target = place.random.choice([name(old), Said(f"the {old} line")])
        return Edit(replaced_line(place.lines, at, f"{indent_of(line)}# {line.lstrip()}"), "comment_out", {"target": target}, ("target",))
    said = place.words.phrase(8)
    target = place.random.choice([name(old), Said(f"the {old} line")])
    return Edit(inserted(place.lines, at, f"{indent_of(line)}# {said}"), "comment_at", {"text": text(said), "target": target}, ("text", "target"))


@transform("shell")
def only_if_exists(place: Place) -> Edit | None:
    found = [(n, m) for n, m in commands(place) if not place.lines[n].startswith(" ")]
    if not found:
        return None
    at, match = place.random.choice(found)
    file = place.random.choice([f"{place.words.word()}.txt", f"{place.words.word()}.json", f"{place.words.word()}.py"])
    result = replaced_line(place.lines, at, f"if [ -f {file} ]; then", f"  {place.lines[at]}", "fi")
    return Edit(result, "shell_if", {"name": name(match["name"]), "file": file}, ("name", "file"))


@transform("shell")
def quote_use(place: Place) -> Edit | None:
    found = list(re.finditer(r"(?<= )\$(?P<name>[A-Za-z_]\w*)(?= |$)", place.region, re.MULTILINE))
    found = [m for m in found if len(re.findall(rf"\${m['name']}\b", place.region)) == 1]
    if not found:
        return None
    match = place.random.choice(found)
    said = place.random.choice(["$", ""]) + match["name"]
    return Edit(replaced(place.region, match, f'"{match[0]}"'), "quote_variable", {"name": name(said)}, ("name",))
