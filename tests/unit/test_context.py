"""Which other files help with an instruction, why, and in which order."""

from __future__ import annotations

import json

import pytest

from editor.context import DEFINES, REFRESH_S, SELECTORS, Context, Known, helpful, imported
from editor.document import Document, new_document

PATHS = ("app/main.py", "app/util.py", "app/shop/__init__.py", "app/shop/cart.py", "lib/names.py", "web/index.html", "web/style.css", "web/theme.css")
SCRIPTS = ("src/main.ts", "src/dom.ts", "src/ui/index.tsx", "src/ui/button.tsx", "src/data.json", "web/app.js", "dom.ts")


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("app/main.py", "import util\nimport os, sys\n", ["app/util.py"]),
        ("app/main.py", "from shop import cart\n", ["app/shop/__init__.py", "app/shop/cart.py"]),
        ("app/main.py", "import app.util as u, lib.names\n", ["app/util.py", "lib/names.py"]),
        (
            "app/shop/cart.py",
            "from . import x\nfrom ..util import helper\nfrom .. import main\n",
            ["app/shop/__init__.py", "app/util.py", "app/main.py"],
        ),
        ("app/shop/cart.py", "    from app.shop import (cart, other)\n", ["app/shop/__init__.py"]),
        ("app/main.py", "text = 'import util'\n# import nothing\n", []),
        ("web/index.html", '<link rel=stylesheet href="style.css?v=2"><a href="https://x.org/theme.css">', ["web/style.css"]),
        ("web/style.css", '@import "theme.css";\n@import url(./nothing.css);', ["web/theme.css"]),
        ("src/main.ts", 'import { h } from "./dom";\nimport "./ui";\nimport react from "react";', ["src/dom.ts", "src/ui/index.tsx"]),
        ("src/ui/button.tsx", 'import x from "../dom.js";\nexport * from "@/data.json";', ["src/dom.ts", "src/data.json"]),
        ("src/main.ts", "const a = require('./ui/button'); await import('../web/app.js')", ["src/ui/button.tsx", "web/app.js"]),
        ("web/index.html", '<script type="module">import "../src/main.ts"</script>', ["src/main.ts"]),
        ("README.md", "import util", []),
    ],
)
def test_imports_are_resolved_within_the_session(path: str, text: str, expected: list[str]) -> None:
    assert imported(path, text, (*PATHS, *SCRIPTS)) == expected


KNOWN = Known(
    paths=PATHS,
    opened=("web/index.html", "app/main.py", "web/style.css"),
    recent=("lib/names.py", "web/style.css"),
    defined={"app/shop/cart.py": frozenset({"Cart", "total"}), "app/main.py": frozenset({"main"}), "web/theme.css": frozenset({"dark"})},
)


def test_the_most_helpful_come_first_each_once_with_its_reason() -> None:
    chosen = helpful("app/main.py", "import util\n", "make total use theme.css", KNOWN, 10)
    assert chosen == [
        ("web/theme.css", "named in the instruction"),
        ("app/util.py", "imported"),
        ("app/shop/cart.py", "defines total"),
        ("web/index.html", "open"),
        ("web/style.css", "open"),
        ("lib/names.py", "edited lately"),
    ]
    assert helpful("app/main.py", "import util\n", "make total use theme.css", KNOWN, 2) == chosen[:2]


def test_common_words_and_names_of_its_own_call_no_other_file() -> None:
    assert helpful("app/main.py", "", "rename main to start and add a class", Known(PATHS, defined=KNOWN.defined), 10) == []
    assert helpful("app/shop/cart.py", "", "make total faster", Known(PATHS, defined=KNOWN.defined), 10) == []


def test_a_room_knows_what_is_open_edited_and_defined() -> None:
    files = [("a.py", "import b\n"), ("b.py", "def helper():\n    pass\n"), ("c.py", "def other():\n    pass\n"), ("d.py", ""), ("e.py", "x = 1\n")]
    document = Document((new_document(files),), lambda update, origin: None)
    ids = {path: file for file, path in document.files().items()}
    now = 0.0
    context = Context(document, lambda: [json.dumps({"file": ids["e.py"]}), "{}"], lambda: now)

    def others(instruction: str, most: int = 6) -> list[tuple[str, str]]:
        return [(source.path, source.why) for source in context.others(ids["a.py"], "import b\n", instruction, most)]

    assert others("use other") == [("b.py", "imported"), ("c.py", "defines other"), ("e.py", "open")]
    assert others("use other", 0) == []
    # What is told of a file is its text of now; that it was edited is noticed after a while.
    document.insert(ids["c.py"], 0, "# new\n")
    assert others("use other")[1] == ("c.py", "defines other")
    assert context.others(ids["a.py"], "", "use other", 6)[0].text.startswith("# new\n")
    assert ("c.py", "edited lately") not in others("")
    now += REFRESH_S
    assert ("c.py", "edited lately") in others("")


@pytest.mark.parametrize("path", ["a.py", "a.ts", "a.html", "a.css"])
@pytest.mark.parametrize(
    "text", ["from " + "." * 50_000, "from" + " " * 50_000, "import" + " " * 50_000, "import(" * 7_000, ".aaa" * 50_000, "src=" * 12_000]
)
def test_a_long_line_takes_no_longer_than_it_is_long(path: str, text: str) -> None:
    """Some of these took a minute, at every keystroke."""
    assert imported(path, text, ["b.py"]) == []
    assert not SELECTORS.findall(text) and not DEFINES.findall(text)
