"""The outline of what a file defines: in its languages, within its tokens, and where it stands in a prompt."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.api import Source, Task
from inference.outline import LONGEST_FILE, LONGEST_LINE, definitions, outline
from inference.prompts import ChatFormat, Prompt
from inference.snapshots import Snapshots, estimate
from inference.templates import ChatTemplate

SAMPLES = {
    "a.py": (
        "import os\nx = 1\n\n@cache\ndef top(a: int) -> str:\n    if a:\n        return defer(a)\n\n\nclass Thing(Base):\n"
        "    async def run(self,\n        b: int) -> None:\n        class_name = 1\n        for each in self: pass\n",
        ["5: def top(a: int) -> str:", "10: class Thing(Base):", "11:     async def run(self,"],
    ),
    "a.ts": (
        "import { a } from './a'\nexport const LIMIT = 3;\nexport default class View extends Base {\n  #held: string;\n  constructor(private a: A) {\n"
        "    if (a) {\n      while (b(a)) {\n        call(a);\n      }\n    }\n  }\n  async load(path: string): Promise<void> {\n    const x = 1;\n"
        "    return new Map(x);\n  }\n}\nexport function* walk<T>(a: T) {\n}\ninterface Shape {\n}\nexport type Name = string;\n",
        [
            *["2: export const LIMIT = 3;", "3: export default class View extends Base {", "5:   constructor(private a: A) {"],
            *["12:   async load(path: string): Promise<void> {", "17: export function* walk<T>(a: T) {", "19: interface Shape {"],
            *["21: export type Name = string;"],
        ],
    ),
    "a.rs": (
        "use std;\npub struct A;\nimpl A {\n    pub(crate) fn new() -> Self {\n        let x = 1;\n    }\n}\n",
        ["2: pub struct A;", "3: impl A {", "4:     pub(crate) fn new() -> Self {"],
    ),
    "a.go": (
        "package a\nfunc (s *T) Run(a int) error {\n\treturn nil\n}\ntype T struct {\n",
        ["2: func (s *T) Run(a int) error {", "5: type T struct {"],
    ),
    "A.java": (
        "public class A extends B {\n  private final int x = 1;\n  public static void main(String[] args) {\n    call(x);\n  }\n}\n",
        ["1: public class A extends B {", "3:   public static void main(String[] args) {"],
    ),
    "a.c": (
        "#include <a.h>\nstatic int read(char *a) {\n    return open(a);\n}\nint x = 2;\nvoid run(int a,\n  int b)\n",
        ["2: static int read(char *a) {", "6: void run(int a,"],
    ),
    "a.md": ("# Title\ntext\n#hashtag\n\n## Part one\n", ["1: # Title", "5: ## Part one"]),
    "a.css": (".a:hover,\n.b {\n  color: red;\n}\n@media (x) {\n  .c { d: e; }\n}\n", ["2: .b {", "5: @media (x) {"]),
}


def shown(path: str, text: str) -> list[str]:
    return [f"{found.line + 1}: {found.text}" for found in definitions(path, text)]


@pytest.mark.parametrize("path", SAMPLES)
def test_definitions_are_found_by_their_first_lines(path: str) -> None:
    text, expected = SAMPLES[path]
    assert shown(path, text) == expected


@given(st.lists(st.sampled_from(["def a(x):", "    def b():", "", "x = 1", "class C:", "é = '👋'", "\r"]), max_size=40), st.data())
def test_it_stays_within_its_tokens_and_shows_the_lines_as_they_are(lines: list[str], data: st.DataObject) -> None:
    text = "\n".join(lines)
    start = data.draw(st.integers(0, len(lines)))
    end = data.draw(st.integers(start, len(lines)))
    room = data.draw(st.integers(0, 80))
    made = outline("a.py", text, (start, end), room, estimate)
    assert made.tokens == estimate(made.text) <= room
    unseen = [number for number, line in enumerate(text.split("\n")) if ("def " in line or "class " in line) and not start <= number < end]
    numbers = [int(line.partition(":")[0]) - 1 for line in made.lines]
    assert numbers == sorted(numbers) and set(numbers) <= set(unseen)
    assert not numbers or len(numbers) + made.more == len(unseen)
    assert made.names == tuple(text.split("\n")[number] for number in numbers)
    # An inner definition is not there without all outer ones.
    if any(line.startswith(" ") for line in made.names):
        assert {number for number in unseen if not lines[number].startswith(" ")} <= set(numbers)


def test_what_is_data_has_no_outline_and_a_long_line_is_cut() -> None:
    assert definitions("a.js", "function a() {}" * 1000) == ()
    assert definitions("a.py", "def a():\n" * (LONGEST_FILE // 9 + 1)) == ()
    assert [found.text for found in definitions("a.py", f"def a({'x, ' * 100}):\n")] == [f"def a({'x, ' * 100}):"[:LONGEST_LINE]]


FILE = "".join(f"def step_{n}(value):\n    a = {n}\n    b = a * value\n    return a + b\n\n\n" for n in range(300))
PLAIN = ChatTemplate.__new__(ChatTemplate)
PLAIN.head = PLAIN.tail = PLAIN.end_of_turn = ""


def about(text: str, line: str, **more: object) -> Task:
    start = text.index(line)
    return replace(Task("room", "ada", "a.py", text[:start], line, text[start + len(line) :], "do it"), **more)  # type: ignore[arg-type]


def prompt(task: Task, snapshots: Snapshots, context: int = 3000) -> Prompt:
    form = ChatFormat(PLAIN, context)
    return form.prompt(task, snapshots.follow(task, form.room(task)))


def test_of_lines_that_do_not_fit_the_prompt_shows_what_they_define_and_says_so() -> None:
    task = about(FILE, "    a = 150")
    made = prompt(task, Snapshots())
    text = "".join(segment.text for segment in made.segments)
    above, _, below = text.partition("What the other lines of a.py define, with their numbers:\n")
    assert "def step_150(value):" in above and "def step_50(value):" not in above
    listed = below.partition("\n\n")[0].split("\n")
    assert len(listed) > 10 and listed[-1].startswith("... and ")
    lines = FILE.split("\n")
    for line in listed[:-1]:
        number, _, shown = line.partition(": ")
        assert lines[int(number) - 1] == shown and shown not in above
    assert f"it saw the outline ({len(listed) - 1} definitions)" in made.left_out
    assert made.saw[0].tokens <= ChatFormat(PLAIN, 3000).room(task)


def test_typing_elsewhere_leaves_the_prompts_beginning_until_idle_time_takes_a_new_definition_in() -> None:
    snapshots, form = Snapshots(), ChatFormat(PLAIN, 3000)
    task = about(FILE, "    a = 150")
    first = prompt(task, snapshots)
    # A line above, and one at the end: numbers have moved, and no token is evaluated for it.
    moved = about("import os\n" + FILE + "x = 1\n", "    a = 150")
    second = prompt(moved, snapshots)
    assert second.segments[: second.stable] == first.segments[: first.stable]
    assert snapshots.refreshed(moved, form.room(moved)) is None
    held = snapshots.held("room", "a.py")
    assert held and held.outline.lines
    renamed = about(moved.before.replace(held.outline.names[0], "def renamed(value):") + moved.region + moved.after, "    a = 150")
    assert prompt(renamed, snapshots).segments[: second.stable] == second.segments[: second.stable]
    fresh = snapshots.refreshed(renamed, form.room(renamed))
    assert fresh is not None and "def renamed(value):" in fresh.outline.names
    # The lines that are shown come first, and stay evaluated.
    assert form.prompt(renamed, fresh).segments[:4] == first.segments[:4] and fresh.text in first.segments[2].text
    snapshots.keep(renamed, fresh)
    assert snapshots.refreshed(renamed, form.room(renamed)) is None


def test_other_files_that_do_not_fit_are_shown_with_their_outline() -> None:
    task = replace(about("import steps\n" * 80, "import steps"), others=(Source("steps.py", FILE, "imported"),))
    made = prompt(task, Snapshots(), 8000)
    text = "".join(segment.text for segment in made.segments)
    assert "What the other lines of steps.py define, with their numbers:\n" in text
    assert "steps.py from line" in made.left_out and "but for its outline" in made.left_out
    steps = next(seen for seen in made.saw if seen.path == "steps.py")
    assert steps.tokens <= 1500
