"""Small everyday files made up from words, for each language: what beginners and web pages look like, which installed packages do not.

Each maker returns blocks; a file is some blocks with the language's blank lines between them.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from inference.training.edits.styles import PROPERTIES, value_for
from inference.training.scene import Place
from inference.training.words import Words

Maker = Callable[[random.Random, Words], str]
VERBS = (
    "get load save read show send check update find make build parse count compute print start stop move draw add remove create delete fetch format"
).split()


def expression(dice: random.Random, words: Words, known: list[str]) -> str:
    a, b = dice.choice([*known, words.word()]), dice.choice([*known, words.number()])
    return dice.choice(
        [
            f"{a} {dice.choice('+-*/')} {b}", f"{a} {dice.choice('+-*')} {words.number()}", f"{words.word()}({a})", f"{words.word()}({a}, {b})", f"len({a})",
            f"{a}.{words.word()}()", f"{a}.{words.word()}", f"{a}[{dice.choice([words.number(), chr(34) + words.word() + chr(34)])}]", words.number(),
            f'"{words.message()}"', a, f"[{a}, {b}]", f"{words.word()}.{words.word()}({a})", f'{words.word()}("{words.word()}")',
        ]
    )  # fmt: skip


def python_value(dice: random.Random, words: Words) -> str:
    items = ", ".join(f'"{words.word()}"' for _ in range(dice.randint(2, 5)))
    numbers = ", ".join(words.number() for _ in range(dice.randint(2, 5)))
    return dice.choice(
        [
            words.number(),
            words.number(),
            f'"{words.message()}"',
            f'"{words.message()}"',
            "True",
            "False",
            "None",
            f"[{items}]",
            f"[{numbers}]",
            f"{dice.random() * 10:.2f}",
            "[]",
            "{}",
        ]
    )


def python_body(dice: random.Random, words: Words, known: list[str], space: str) -> list[str]:
    """Some statements; ``known`` grows with the names they give."""
    out: list[str] = []
    for _ in range(dice.choice([1, 1, 2, 2, 3, 4])):
        kind = dice.random()
        new = words.identifier()
        if kind < 0.4:
            out.append(f"{space}{new} = {expression(dice, words, known)}")
            known.append(new)
        elif kind < 0.55:
            out.append(
                f"{space}print({dice.choice([chr(34) + words.message() + chr(34), dice.choice([*known, new]), f'f{chr(34)}{words.message()} {{{dice.choice([*known, new])}}}{chr(34)}'])})"
            )
        elif kind < 0.68:
            test = dice.choice(
                [
                    f"{dice.choice([*known, new])} {dice.choice(['==', '!=', '<', '>', '<=', '>='])} {words.number()}",
                    f"not {dice.choice([*known, new])}",
                    f'{dice.choice([*known, new])} == "{words.word()}"',
                ]
            )
            out += [
                f"{space}if {test}:",
                f"{space}    {dice.choice(['return ' + words.literal(), f'{new} = {expression(dice, words, known)}', f'print({chr(34)}{words.message()}{chr(34)})', 'return'])}",
            ]
        elif kind < 0.8:
            each = words.word()
            over = dice.choice([*known, f"range({words.number()})", words.identifier()])
            out += [
                f"{space}for {each} in {over}:",
                f"{space}    {dice.choice([f'print({each})', f'{new} += {each}', f'{words.word()}({each})', f'{dice.choice([*known, new])}.append({each})'])}",
            ]
        elif kind < 0.88:
            out += [f"{space}with open({dice.choice([*known, chr(34) + words.word() + '.txt' + chr(34)])}) as f:", f"{space}    {new} = f.read()"]
            known.append(new)
        else:
            out.append(f"{space}{words.word()}.{words.word()}({expression(dice, words, known)})")
    return out


def python_function(dice: random.Random, words: Words, space: str = "", method: bool = False) -> str:
    params = list(dict.fromkeys(words.identifier(parts=dice.choice([1, 1, 2])) for _ in range(dice.randint(0, 3))))
    title = "_".join([dice.choice(VERBS), *(words.word() for _ in range(dice.choice([0, 1, 1, 2])))])
    written = [p + (dice.choice([": int", ": str", ""]) if dice.random() < 0.15 else "") for p in params]
    if written and dice.random() < 0.3:
        written[-1] += f"={words.literal()}" if ":" not in written[-1] else f" = {words.number()}"
    head = f"{space}def {title}({', '.join((['self'] if method else []) + written)}):"
    lines = [f'{space}    """{words.phrase()}"""'] if dice.random() < 0.15 else []
    known = [*params, *(["self." + words.word()] if method else [])]
    lines += python_body(dice, words, known, space + "    ")
    if dice.random() < 0.6:
        lines.append(f"{space}    return {dice.choice([*known, expression(dice, words, known)]) if known else words.literal()}")
    decorated = (
        [f"{space}@{dice.choice(['property', 'staticmethod', 'app.route(' + chr(34) + '/' + words.word() + chr(34) + ')', 'cache'])}"]
        if dice.random() < 0.1
        else []
    )
    return "\n".join([*decorated, head, *lines])


def python_class(dice: random.Random, words: Words) -> str:
    fields = list(dict.fromkeys(words.identifier(parts=1) for _ in range(dice.randint(1, 3))))
    title = words.identifier("Name", dice.choice([1, 1, 2]))
    head = f"class {title}{dice.choice(['', '', '', f'({words.identifier(chr(65), 1)})'])}:"
    if dice.random() < 0.15:
        return "\n".join(["@dataclass", head, *(f"    {field}: {dice.choice(['int', 'str', 'float', 'bool'])}" for field in fields)])
    lines = [head, f"    def __init__(self, {', '.join(fields)}):", *(f"        self.{field} = {field}" for field in fields)]
    for _ in range(dice.choice([0, 0, 1, 1, 2])):
        lines += ["", python_function(dice, words, "    ", method=True)]
    return "\n".join(lines)


def python_constants(dice: random.Random, words: Words) -> str:
    like = dice.choice(["AA", "AA", "a"])
    return "\n".join(f"{words.identifier(like)} = {python_value(dice, words)}" for _ in range(dice.randint(2, 6)))


def python_imports(dice: random.Random, words: Words) -> str:
    known = ["os", "sys", "re", "json", "math", "time", "random", "logging", "datetime", "requests"]
    lines = [f"import {module}" for module in dice.sample(known, dice.randint(1, 4))]
    lines += [
        f"from {words.word()} import {', '.join(words.identifier(dice.choice(['a', 'A'])) for _ in range(dice.randint(1, 2)))}"
        for _ in range(dice.randint(0, 2))
    ]
    return "\n".join(lines)


def python_script(dice: random.Random, words: Words) -> str:
    return "\n".join(python_body(dice, words, [words.word()], "") + python_body(dice, words, [words.word()], ""))


def script_value(dice: random.Random, words: Words, quote: str) -> str:
    items = ", ".join(f"{quote}{words.word()}{quote}" for _ in range(dice.randint(2, 4)))
    picked = f"document.{dice.choice(['querySelector', 'getElementById'])}({quote}{dice.choice(['.', '#', ''])}{words.word()}{quote})"
    return dice.choice(
        [
            words.number(),
            words.number(),
            f"{quote}{words.message()}{quote}",
            "true",
            "false",
            "null",
            f"[{items}]",
            picked,
            f"{words.word()}({words.word()})",
            f"{words.word()}.{words.word()}",
            "[]",
        ]
    )


def script_body(dice: random.Random, words: Words, known: list[str], space: str, step: str, quote: str, end: str) -> list[str]:
    out: list[str] = []
    for _ in range(dice.choice([1, 1, 2, 2, 3])):
        kind = dice.random()
        new = words.identifier("aB")
        if kind < 0.5:
            out.append(f"{space}{dice.choice(['const', 'const', 'let', 'var'])} {new} = {script_value(dice, words, quote)}{end}")
            known.append(new)
        elif kind < 0.6:
            out.append(f"{space}{words.word()}.{dice.choice(['textContent', 'innerText', 'value', 'title'])} = {quote}{words.message()}{quote}{end}")
        elif kind < 0.75:
            test = f"{dice.choice([*known, new])} {dice.choice(['===', '==', '!==', '<', '>', '<=', '>='])} {words.number()}"
            inside = dice.choice(
                [f"return {script_value(dice, words, quote)}", f"alert({quote}{words.message()}{quote})", f"{new} = {words.number()}", "return"]
            )
            out += [f"{space}if ({test}) {{", f"{space}{step}{inside}{end}", f"{space}}}"]
        elif kind < 0.85:
            each = words.word()
            out += [f"{space}for (const {each} of {dice.choice([*known, new])}) {{", f"{space}{step}{words.word()}({each}){end}", f"{space}}}"]
        else:
            out.append(f"{space}{words.word()}.{words.word()}({dice.choice([*known, quote + words.word() + quote])}){end}")
    return out


def script_function(dice: random.Random, words: Words, typed: bool = False) -> str:
    quote, step, end = dice.choice('""\''), dice.choice(["  ", "  ", "    "]), dice.choice([";", ";", ";", ""])
    params = list(dict.fromkeys(words.identifier("aB", dice.choice([1, 1, 2])) for _ in range(dice.randint(0, 3))))
    title = dice.choice(VERBS) + words.identifier("Name", dice.choice([1, 1, 2]))
    known = list(params)
    written = [p + (": " + dice.choice(["string", "number", "boolean"]) if typed and dice.random() < 0.6 else "") for p in params]
    returns = ": " + dice.choice(["string", "number", "void"]) if typed and dice.random() < 0.5 else ""
    lines = script_body(dice, words, known, step, step, quote, end)
    if dice.random() < 0.6 and known:
        lines.append(f"{step}return {dice.choice([*known, f'{known[0]} {dice.choice(chr(43) + chr(42) + chr(45))} {words.number()}'])}{end}")
    head = f"{dice.choice(['', '', '', 'export '])}{dice.choice(['', '', '', 'async '])}function {title}({', '.join(written)}){returns} {{"
    return "\n".join([head, *lines, "}"])


def script_statements(dice: random.Random, words: Words) -> str:
    quote, end = dice.choice('""\''), dice.choice([";", ";", ";", ""])
    return "\n".join(script_body(dice, words, [], "", "  ", quote, end) + script_body(dice, words, [], "", "  ", quote, end))


def script_object(dice: random.Random, words: Words) -> str:
    fields = [
        f"  {words.identifier('aB', 1)}: {dice.choice([words.number(), f'{chr(34)}{words.word()}{chr(34)}', 'true', 'false'])}"
        for _ in range(dice.randint(2, 4))
    ]
    return f"const {words.identifier('aB')} = {{\n" + ",\n".join(fields) + dice.choice([",", ""]) + "\n};"


def script_interface(dice: random.Random, words: Words) -> str:
    fields = [
        f"  {words.identifier('aB')}{dice.choice(['', '', '?'])}: {dice.choice(['string', 'number', 'boolean', 'string[]', 'Date'])};"
        for _ in range(dice.randint(2, 5))
    ]
    head = dice.choice(["interface %s {", "export interface %s {", "type %s = {"]) % words.identifier("Name")
    return "\n".join([head, *fields, "};" if head.startswith("type") else "}"])


def script_imports(dice: random.Random, words: Words) -> str:
    quote = dice.choice("\"'")
    return "\n".join(
        f"import {{ {words.identifier('aB')} }} from {quote}{dice.choice(['./', '', '../'])}{words.word()}{quote};" for _ in range(dice.randint(1, 3))
    )


def attributes(dice: random.Random, words: Words) -> str:
    return dice.choice(
        [
            "",
            "",
            "",
            f' class="{words.word()}"',
            f' id="{words.word()}"',
            f' class="{words.word()} {words.word()}"',
            f' class="{words.word()}-{words.word()}"',
        ]
    )


def html_block(dice: random.Random, words: Words, space: str = "") -> list[str]:
    kind = dice.choice("h1 h2 h3 p p p button a img ul ul ol form nav table select div section span input".split())
    own = attributes(dice, words)
    if kind in ("h1", "h2", "h3", "span", "button"):
        return [f"{space}<{kind}{own}>{words.label()}</{kind}>"]
    if kind == "p":
        return [f"{space}<p{own}>{words.phrase()}</p>"]
    if kind == "a":
        return [f'{space}<a href="{words.url()}"{own}>{words.label()}</a>']
    if kind == "img":
        return [f'{space}<img src="{words.word()}.{dice.choice(["png", "jpg"])}" alt="{words.label()}">']
    if kind == "input":
        return [
            f'{space}<input type="{dice.choice(["text", "email", "number"])}" name="{words.word()}"{dice.choice(["", f" placeholder={chr(34)}{words.label()}{chr(34)}"])}>'
        ]
    if kind in ("ul", "ol"):
        linked = dice.random() < 0.2
        items = [words.label() for _ in range(dice.randint(2, 5))]
        return [
            f"{space}<{kind}{own}>",
            *(f"{space}  <li>{f'<a href={chr(34)}{words.url()}{chr(34)}>{item}</a>' if linked else item}</li>" for item in items),
            f"{space}</{kind}>",
        ]
    if kind == "form":
        field = words.word()
        lines = [
            f'{space}  <label for="{field}">{field.capitalize()}</label>',
            f'{space}  <input type="{dice.choice(["text", "email", "password"])}" id="{field}" name="{field}">',
        ]
        return [
            f"{space}<form{dice.choice(['', f' action={chr(34)}/{words.word()}{chr(34)}'])}>",
            *lines,
            f'{space}  <button type="submit">{words.label()}</button>',
            f"{space}</form>",
        ]
    if kind == "nav":
        return [f"{space}<nav{own}>", *(f'{space}  <a href="{words.url()}">{words.label()}</a>' for _ in range(dice.randint(2, 4))), f"{space}</nav>"]
    if kind == "table":
        head = [f"{space}    <th>{words.label()}</th>" for _ in range(dice.randint(2, 3))]
        cells = [f"{space}    <td>{words.label()}</td>" for _ in head]
        return [f"{space}<table>", f"{space}  <tr>", *head, f"{space}  </tr>", f"{space}  <tr>", *cells, f"{space}  </tr>", f"{space}</table>"]
    if kind == "select":
        return [
            f'{space}<select name="{words.word()}">',
            *(f"{space}  <option>{words.label()}</option>" for _ in range(dice.randint(2, 4))),
            f"{space}</select>",
        ]
    inside = [line for _ in range(dice.randint(1, 3)) for line in html_block(dice, words, space + "  ")]
    return [f"{space}<{kind}{own}>", *inside, f"{space}</{kind}>"][:24] if len(inside) < 22 else [f"{space}<{kind}{own}>", f"{space}</{kind}>"]


def html_page(dice: random.Random, words: Words) -> str:
    title = words.label()
    head = ["<!DOCTYPE html>", dice.choice(["<html>", '<html lang="en">']), "<head>", f"  <title>{title}</title>", "</head>", "<body>"]
    inside = [line for _ in range(dice.randint(1, 3)) for line in html_block(dice, words, "  ")]
    return "\n".join([*head, *inside[:20], "</body>", "</html>"] if len(inside) <= 20 else [*head, f"  <h1>{title}</h1>", "</body>", "</html>"])


def html_part(dice: random.Random, words: Words) -> str:
    return "\n".join(line for _ in range(dice.randint(1, 3)) for line in html_block(dice, words))


def html_body(dice: random.Random, words: Words) -> str:
    inside = [line for _ in range(dice.randint(1, 3)) for line in html_block(dice, words, "  ")]
    return "\n".join(["<body>", *inside, "</body>"])


def css_rules(dice: random.Random, words: Words) -> str:
    step = dice.choice(["  ", "  ", "    "])
    place = Place("", "css", "", "", "", dice, words)
    out = []
    for _ in range(dice.choice([1, 1, 2, 3])):
        tag = dice.choice("h1 h2 p a button body nav ul li img table input footer header main".split())
        selector = dice.choice(
            [
                tag,
                tag,
                f".{words.word()}",
                f".{words.word()}",
                f".{words.word()}-{words.word()}",
                f"#{words.word()}",
                f".{words.word()} {tag}",
                f"{tag}:hover",
            ]
        )
        properties = dice.sample(PROPERTIES, dice.randint(1, 5))
        out.append("\n".join([f"{selector} {{", *(f"{step}{prop}: {value_for(prop, place)};" for prop in properties), "}"]))
    return "\n\n".join(out)


def json_object(dice: random.Random, words: Words, space: str = "", depth: int = 0) -> str:
    lines = []
    for key in list(dict.fromkeys(words.identifier(dice.choice(["a", "a", "aB"]), dice.choice([1, 1, 2])) for _ in range(dice.randint(2, 6)))):
        value = dice.choice(
            [
                words.number(),
                "true",
                "false",
                "null",
                f'"{words.word()}"',
                f'"{words.message()}"',
                f'"{dice.randint(0, 5)}.{dice.randint(0, 20)}.{dice.randint(0, 9)}"',
                "list",
                "object",
            ]
        )
        if value == "list":
            value = "[" + ", ".join(f'"{words.word()}"' for _ in range(dice.randint(1, 4))) + "]"
        if value == "object":
            value = json_object(dice, words, space + "  ", depth + 1) if depth < 1 else "{}"
        lines.append(f'{space}  "{key}": {value}')
    return "{\n" + ",\n".join(lines) + f"\n{space}}}"


def yaml_block(dice: random.Random, words: Words) -> str:
    def entry(space: str) -> str:
        value = dice.choice(
            [words.number(), "true", "false", words.word(), words.word(), f'"{words.message()}"', f"[{words.word()}, {words.word()}]"]
        )
        return f"{space}{words.identifier(dice.choice(['a', 'a', 'a-b']), dice.choice([1, 1, 2]))}: {value}"

    lines = []
    for _ in range(dice.randint(1, 3)):
        kind = dice.random()
        if kind < 0.4:
            lines += [entry("") for _ in range(dice.randint(1, 4))]
        elif kind < 0.7:
            lines += [f"{words.identifier(parts=1)}:", *(entry("  ") for _ in range(dice.randint(1, 4)))]
        else:
            lines += [f"{words.identifier(parts=1)}:", *(f"  - {words.identifier('a-b', dice.choice([1, 1, 2]))}" for _ in range(dice.randint(2, 4)))]
    return "\n".join(lines)


def toml_block(dice: random.Random, words: Words) -> str:
    def entries(count: int) -> list[str]:
        keys = dict.fromkeys(words.identifier(dice.choice(["a", "a", "a-b"]), dice.choice([1, 1, 2])) for _ in range(count))
        values = [words.number(), "true", "false", f'"{words.word()}"', f'"{words.message()}"', f'["{words.word()}", "{words.word()}"]']
        return [f"{key} = {dice.choice([*values, words.number(), chr(34) + words.word() + chr(34)])}" for key in keys]

    out = ["\n".join(entries(dice.randint(1, 4)))] if dice.random() < 0.4 else []
    out += ["\n".join([f"[{words.identifier(parts=1)}]", *entries(dice.randint(1, 5))]) for _ in range(dice.randint(1, 2))]
    return "\n\n".join(out)


def markdown_block(dice: random.Random, words: Words) -> str:
    kind = dice.choice(["heading", "heading", "text", "text", "bullets", "bullets", "tasks", "numbers", "code"])
    count = dice.randint(2, 5)
    if kind == "heading":
        return f"{'#' * dice.choice([1, 2, 2, 3])} {words.label()}\n\n{words.phrase()}."
    if kind == "text":
        linked = f" See [{words.label()}]({words.url()})." if dice.random() < 0.25 else ""
        return f"{words.phrase().capitalize()}. {words.phrase().capitalize()}.{linked}"
    if kind == "bullets":
        mark = dice.choice(["-", "-", "*"])
        return "\n".join(f"{mark} {words.label() if dice.random() < 0.6 else words.phrase(5)}" for _ in range(count))
    if kind == "tasks":
        return "\n".join(f"- [{dice.choice(' x')}] {words.phrase(4)}" for _ in range(count))
    if kind == "numbers":
        return "\n".join(f"{number}. {words.phrase(5)}" for number in range(1, count + 1))
    return f"```\n{words.word()} {words.word()}\n```"


def shell_block(dice: random.Random, words: Words) -> str:
    lines = []
    known = [words.identifier("AA", dice.choice([1, 1, 2])) for _ in range(2)]
    if dice.random() < 0.35:
        lines.append(dice.choice(["#!/bin/bash", "#!/bin/sh", "#!/usr/bin/env bash"]))
    lines += [
        f"{new}={dice.choice([words.number(), words.word(), chr(34) + words.message().rstrip('!') + chr(34), '/' + words.word() + '/' + words.word()])}"
        for new in known[: dice.randint(0, 2)]
    ]
    for _ in range(dice.randint(1, 4)):
        kind, new = dice.random(), dice.choice(known)
        if kind < 0.6:
            tool = dice.choice("mkdir cp mv rm tar curl python npm git docker make grep chmod rsync ssh pip cat ls".split())
            lines.append(
                f"{tool} {dice.choice(['-p ', '-r ', '', '', f'--{words.word()} '])}{dice.choice([words.word(), '$' + new, chr(34) + '$' + new + chr(34), words.word() + '.txt'])}"
            )
        elif kind < 0.8:
            lines.append(f'echo "{words.message()}"')
        else:
            lines += [f"for {words.word()} in {dice.choice(['*.txt', '$' + new, '*.py'])}; do", f"  {words.word()} {words.word()}", "done"]
    return "\n".join(lines)


MAKERS: dict[str, list[Maker]] = {
    "python": [python_function, python_function, python_function, python_class, python_class, python_constants, python_imports, python_script],
    "javascript": [script_function, script_function, script_function, script_statements, script_statements, script_object, script_imports],
    "typescript": [lambda dice, words: script_function(dice, words, typed=True), script_interface, script_statements, script_object, script_imports],
    "html": [html_page, html_part, html_part, html_body],
    "css": [css_rules],
    "json": [json_object],
    "yaml": [yaml_block],
    "toml": [toml_block],
    "markdown": [markdown_block],
    "shell": [shell_block],
}
FILES = {
    "python": "main.py app.py utils.py game.py models.py test.py views.py script.py", "javascript": "app.js script.js main.js index.js server.js utils.js",
    "typescript": "app.ts main.ts types.ts index.ts api.ts", "html": "index.html about.html page.html contact.html", "css": "style.css main.css styles.css",
    "json": "package.json config.json data.json settings.json", "yaml": "config.yml docker-compose.yml ci.yaml settings.yaml", "toml": "pyproject.toml config.toml Cargo.toml",
    "markdown": "README.md notes.md todo.md CHANGELOG.md", "shell": "run.sh build.sh deploy.sh setup.sh",
}  # fmt: skip


def path_for(language: str, dice: random.Random, words: Words) -> str:
    usual = FILES[language].split()
    made = dice.choice(usual) if dice.random() < 0.6 else f"{words.identifier(parts=1)}.{usual[0].rsplit('.', 1)[1]}"
    return f"{words.word()}/{made}" if dice.random() < 0.2 else made
