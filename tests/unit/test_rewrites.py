"""Replies of chat models as such models are known to give them, read as the engine reads them, in pieces of any size."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.api import Event, Hunk, Note, Task
from inference.prompts import ChatFormat
from inference.replies import Malformed, Unusable
from inference.templates import ChatTemplate
from tests.unit.test_replies import result

BEFORE = "import os\nimport sys\n\n\nclass Cart:\n    limit = 10\n\n"
OLD = (
    "    def total(self):\n        result = 0\n        for item in self.items:\n            result += item.price\n        return result\n"
    "\n    def count(self):\n        return len(self.items)"
)
NEW = OLD.replace("item.price", "item.price * item.amount")
AFTER = "\n\n\ndef main():\n    cart = Cart()\n    print(cart.total())\n\n\nmain()\n"
TASK = Task("room", "ada", "shop/cart.py", BEFORE, OLD, AFTER, "multiply by the amount")
FORMAT = ChatFormat(ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}", "s"), 4096)
SIZES = (1, 2, 3, 7, 40, 10_000)


def task(old: str = OLD, instruction: str = TASK.instruction, path: str = TASK.path, before: str = BEFORE, after: str = AFTER) -> Task:
    return Task("room", "ada", path, before, old, after, instruction)


def answered(reply: str, asked: Task = TASK) -> tuple[str, list[str]]:
    """The region after the reply and what is said of it, the same for pieces of every size."""
    outcomes = []
    for size in SIZES:
        notes: list[str] = []
        reader = FORMAT.reader(asked)
        pieces = [(reply[at : at + size], False) for at in range(0, len(reply), size)]
        outcomes.append((result(Noting(reader, notes), asked.region, pieces), notes))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    return outcomes[0]


def refused(reply: str, asked: Task = TASK) -> str:
    reasons = []
    for size in SIZES:
        with pytest.raises(Malformed) as fault:
            result(FORMAT.reader(asked), asked.region, [(reply[at : at + size], False) for at in range(0, len(reply), size)])
        reasons.append(fault.value.reason)
    assert len(set(reasons)) == 1 and reasons[0].endswith((".", "”"))
    return reasons[0]


class Noting:
    """A reader whose notes are kept, and whose hunks are checked: nothing is written outside of the region."""

    def __init__(self, reader: object, notes: list[str]) -> None:
        self._reader = reader
        self._notes = notes

    @property
    def complete(self) -> bool:
        return bool(self._reader.complete)  # type: ignore[attr-defined]

    def _seen(self, events: list[Event]) -> list[Event]:
        self._notes += [event.text for event in events if isinstance(event, Note)]
        return events

    def feed(self, piece: str, control: bool) -> list[Event]:
        return self._seen(self._reader.feed(piece, control))  # type: ignore[attr-defined]

    def finish(self) -> list[Event]:
        return [] if self.complete else self._seen(self._reader.finish())  # type: ignore[attr-defined]


CLEANED = {
    "clean": NEW,
    "fenced": f"```\n{NEW}\n```",
    "fenced with a language": f"```python\n{NEW}\n```",
    "a fence that is not closed": f"```python\n{NEW}\n",
    "a fence that is only closed": f"{NEW}\n```\n",
    "chatter and a fence": f"Sure! Here is the updated code:\n\n```python\n{NEW}\n```",
    "chatter on both sides": f"Here's the rewritten region:\n```py\n{NEW}\n```\n\nI multiplied the price by the amount.\n",
    "chatter without a fence": f"Here is the updated region:\n\n{NEW}",
    "two sentences before": f"Certainly!\nThe loop now multiplies the price by the amount.\n\n{NEW}\n",
    "an explanation after": f"{NEW}\n\nExplanation:\n- The price is multiplied by the amount.\n",
    "a sentence after": f"{NEW}\n\nThis code multiplies each price by the amount.\n",
    "a heading after": f"{NEW}\n\n### Explanation\n\nEach price is multiplied.\n",
    "a bold note after": f"{NEW}\n**Note:** `amount` must be a number.\n",
    "the question again": f"{NEW}\n\nInstruction: multiply by the amount\n",
    "Chinese before and after": f"以下是修改后的代码：\n\n{NEW}\n\n这段代码现在会乘以数量。\n",
    "Russian after": f"{NEW}\n\nТеперь цена умножается на количество товара.\n",
    "tagged": f"<region>\n{NEW}\n</region>",
    "tagged twice": f"<region>\n<region>\n{NEW}\n</region>\n</region>",
    "tagged in a fence": f"```python\n<region>\n{NEW}\n</region>\n```",
    "a fence in tags": f"<region>\n```python\n{NEW}\n```\n</region>",
    "in the prompt's file tag": f'<file path="shop/cart.py">\n{NEW}\n</file>',
    "whole file": BEFORE + NEW + AFTER,
    "whole file, fenced": f"Here's the file:\n```python\n{BEFORE}{NEW}{AFTER}```\nDone.",
    "whole file with a change elsewhere": BEFORE.replace("import sys\n", "import sys\nimport json\n") + NEW + AFTER,
    "the line above again": "    limit = 10\n\n" + NEW,
    "lines below again": NEW + "\n\n\ndef main():\n    cart = Cart()\n",
    "all below again": NEW + AFTER,
    "no indentation": "\n".join(line.removeprefix("    ") for line in NEW.split("\n")),
    "no indentation, fenced": "```python\n" + "\n".join(line.removeprefix("    ") for line in NEW.split("\n")) + "\n```",
    "no indentation in the first line": NEW.lstrip(),
    "rest left out": NEW.split("\n\n")[0] + "\n\n    # ... rest unchanged\n",
    "rest left out in other words": NEW.split("\n\n")[0] + "\n\n    # The rest of the class remains unchanged\n",
    "the middle left out": "    def total(self):\n        # ... existing code ...\n            result += item.price * item.amount\n        # ...\n",
    "the beginning left out": "        # ... existing code\n            result += item.price * item.amount\n        return result\n        # rest of the code\n",
    "a placeholder for nothing": NEW + "\n\n# ... rest of the file unchanged\n",
    "thoughts": f"<think>\nThe user wants\n```python\nx = 1\n```\n</think>\n\n{NEW}",
    "empty thoughts": f"<think>\n\n</think>\n\n```python\n{NEW}\n```",
    "carriage returns": NEW.replace("\n", "\r\n"),
    "broken letters": NEW.replace("result = 0", "result\ufffd = 0\x00"),
    "empty lines without end": NEW + "\n" * 900,
}
SILENT = ("clean", "fenced", "a fence", "tagged", "a fence in", "in the prompt", "carriage", "empty lines")


@pytest.mark.parametrize("name", CLEANED)
def test_what_is_not_the_regions_text_does_not_reach_the_file_and_is_said(name: str) -> None:
    text, notes = answered(CLEANED[name])
    assert text == NEW
    assert bool(notes) or name.startswith(SILENT) or name == "chatter on both sides"
    assert len(notes) == len(set(notes))


LEGITIMATE = {
    "a comment in Chinese": ("x.py", "def f():\n    # 计算总数\n    return 1\n# 这是一个注释\n"),
    "a comment that promises more": ("x.py", "# Loading existing users...\nload()\n# TODO: write the rest of the code here\n"),
    "an ellipsis in Python": ("x.py", "class A:\n    ...\n\n\n...\n"),
    "a docstring with sentences": ("x.py", '"""\nThis module does a lot of things.\n\nHere is an example of what it does.\n"""\nx = 1\n'),
    "a comment of several lines": ("x.js", "/*\nThis function adds two numbers together.\n*/\nfunction add(a, b) { return a + b; }\n"),
    "a template literal": ("x.js", "const text = `\nThis is a letter that we send to people.\n`;\n"),
    "prose in Markdown": ("a.md", "# Title\n\nSure, this is text. Here is more of it:\n\nThis code is fine.\n"),
    "text in HTML": ("a.html", "<p>\nThis is a sentence of the page that people read.\n</p>\n<code>\nx\n</code>\n"),
    "JavaScript's this": ("x.js", "this.start();\nthis.value = 1;\n"),
    "a spread": ("x.js", "const all = [\n  ...existing,\n  ...rest,\n];\n"),
    "short lines": ("x.py", "a\nb\n\nc = 1\nd\n"),
    "a sentence in CSS": ("x.css", "body {\n  margin: 0;\n}\n\na:hover,\nthe-element {\n  color: red;\n}\n"),
    "German words": ("x.txt", "Hier ist der Text, den niemand kürzen soll:\n\nViele Grüße\n"),
    "more than was there": ("x.py", "def a():\n    pass\n\n\ndef b():\n    pass\n"),
}


@pytest.mark.parametrize("name", LEGITIMATE)
@pytest.mark.parametrize("old", ["", "x = 1\ny = 2"])
def test_what_only_looks_like_it_is_kept(name: str, old: str) -> None:
    path, text = LEGITIMATE[name]
    assert answered(text, task(old, "write it", path, "", "")) == (text.rstrip("\n"), [])
    fenced = "```\n" + text + "```\n"
    assert answered(fenced, task(old, "write it", path, "", ""))[0] == text.rstrip("\n")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("I'm sorry, but I can't help with that.", "in words instead of code"),
        ("The code is already correct and needs no changes.\n\nNothing has to be done here.\n", "in words instead of code"),
        ("这段代码已经是正确的，不需要任何修改。", "in words instead of code"),
        ("```javascript\nfunction total() { return 1; }\n```", "JavaScript"),
        ("<think>\nI wonder what", "thought aloud"),
        ("    def whatever(x):\n        y = 17\n    # ... rest unchanged\n", "not clear which"),
        ("    def total(self):\n        return result\n", "would have removed 5 of the region's 7 lines"),
        ("import os\nimport sys\nprint('quite another program')\n" * 3, "whole file"),
        ("    def total(self):\n        x = 1\n" * 40, "repeat itself"),
    ],
)
def test_what_cannot_be_used_is_refused_in_plain_words(reply: str, why: str) -> None:
    assert why in refused(reply)


def test_a_region_that_holds_fences_keeps_them_in_a_fence_too() -> None:
    old = "```\ncode\n```\n\nText\n\n```sh\nls\n```"
    new = old.replace("Text", "More text")
    asked = task(old, "say more", "a.md", "", "")
    for reply in (new, f"```markdown\n{new}\n```\n", f"Here it is:\n```md\n{new}\n```"):
        assert answered(reply, asked)[0] == new


def test_another_language_is_what_was_asked_for() -> None:
    reply = "```javascript\nfunction total() { return 1; }\n```"
    assert answered(reply, task("x", "write this in JavaScript"))[0] == "function total() { return 1; }"


def test_an_empty_answer_changes_nothing_unless_all_was_to_go() -> None:
    for reply in ("", "\n\n", "```python\n```", "<region>\n</region>"):
        assert answered(reply) == (OLD, ["The model's answer was empty."])
        assert answered(reply, task(instruction="remove the limit"))[0] == OLD
        assert answered(reply, task(instruction="delete this method"))[0] == ""


def test_lines_may_go_where_somebody_asks_for_it() -> None:
    short = "    def total(self):\n        return sum(item.price for item in self.items)"
    assert answered(short, task(instruction="keep only total, as one line"))[0] == short
    # Other lines instead of many are no loss; a few of the old ones are.
    other = "    total = property(compute)\n    length = property(len)\n    size = length"
    assert answered(other)[0] == other


def test_a_placeholder_never_replaces_code() -> None:
    """Wherever a model leaves a run of lines out, the old ones stay."""
    lines = [f"line_{n} = {n}" for n in range(30)]
    old = "\n".join(lines)
    for first in range(1, 29):
        for last in range(first + 1, 30):
            written = [*lines[:first], "# ... existing code ...", *lines[last:]]
            assert result(FORMAT.reader(task(old, "x", "a.py", "", "")), old, [("\n".join(written), False)]) == old


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('<files>\n<file name="a"/>\n</files>', '<files>\n<file name="b">\n</file>\n</files>'),
        ("<map>\n</map>", "<map>\n<region>\n<name>North</name>\n</region>\n</map>"),
        ("<region>\n<a/>\n</region>", "<region>\n<a/>\n</region>\n<region>\n<b/>\n</region>"),
        ("<map>\n  <a/>\n</map>", "<map>\n  <region>\n    <a/>\n  </region>\n</map>"),
    ],
)
def test_elements_of_a_file_that_are_named_as_the_prompts_tags_are_kept(old: str, new: str) -> None:
    asked = task(old, "add one", "a.xml", "", "")
    assert answered(new, asked) == (new, [])
    assert answered(f"```xml\n{new}\n```", asked) == (new, [])


def test_the_prompts_tags_are_left_out_of_markup_too() -> None:
    asked = task("<map>\n</map>", "add one", "a.xml", "", "")
    new = "<map>\n<a/>\n</map>"
    for reply in (f"<region>\n{new}\n</region>", f"{new}\n</region>\n```", f'<file path="a.xml">\n<region>\n{new}\n</region>\n</file>\nDone.'):
        assert answered(reply, asked) == (new, [])


def test_in_a_program_the_prompts_tag_ends_the_answer_whatever_follows() -> None:
    assert answered(f'{NEW}\n</region>\n</file>\n<file path="other.py">\nsecret = 2\n</file>', task())[0] == NEW


@pytest.mark.parametrize(
    "instruction",
    [
        *("remove this comment", "remove all print statements", "delete these prints and keep the rest", "clear all caches after the loop"),
        *("remove it from the list", "delete these lines and keep the rest", "delete this method's docstring", "drop everything but the loop"),
    ],
)
def test_an_empty_answer_to_what_concerns_a_part_removes_nothing(instruction: str) -> None:
    for reply in ("", "```python\n```"):
        assert answered(reply, task(instruction=instruction)) == (OLD, ["The model's answer was empty."])


@pytest.mark.parametrize(
    "instruction",
    [
        *(
            "delete this",
            "Remove it, please.",
            "clear everything!",
            "get rid of them",
            "delete all",
            "delete these lines",
            "remove both: delete them",
        ),
        *("drop the whole method", "please delete the selected lines now", "delete the method total", "delete all lines", "remove this code block"),
    ],
)
def test_an_empty_answer_removes_what_was_to_go_as_a_whole(instruction: str) -> None:
    assert answered("", task(instruction=instruction)) == ("", [])


def test_a_thought_alone_is_no_answer() -> None:
    assert "without an answer" in refused("<think>\nAll of it?\n</think>\n", task(instruction="delete this method"))


@pytest.mark.parametrize("old", ["def f():\n    return 1\n\n", "\n  \ndef f():\n    return 1\n\t\n"])
def test_blank_lines_at_the_regions_ends_stay_as_they_are(old: str) -> None:
    asked = task(old, "return two", "a.py", "", "")
    new = old.replace("1", "2")
    for reply in (old, old.strip(), f"```python\n{old}```", f"\n\n{old.strip()}\n\n\n"):
        assert answered(reply, asked)[0] == old
        assert answered(reply.replace("1", "2"), asked)[0] == new
    assert answered("", replace(asked, instruction="delete this function"))[0] == ""
    assert answered(new.strip(), replace(asked, instruction="no blank lines at the ends"))[0] == new.strip()


def test_white_space_in_a_blank_line_of_the_region_stays() -> None:
    old = "def f():\n    a = 1\n    \n    return a"
    asked = task(old, "return two", "a.py", "", "")
    assert answered(old.replace("1", "2"), asked)[0] == old.replace("1", "2")
    assert answered(old.replace("    \n", "  \n"), asked)[0] == old.replace("    \n", "\n")


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("a.py", "def f():\n    return 1", "# previous implementation\n\ndef f():\n    return 1"),
        ("a.py", "def f():\n    return 1", "def f():\n    x = load()\n    # existing code\n    return 1"),
        ("a.js", "load();\nsave();", "load();\nsave();\n// unchanged lines"),
        ("a.md", "# Title\n\nText\n\nMore", "# Existing code\n\nText\n\n# Existing methods\n\nMore"),
    ],
)
def test_a_comment_that_only_sounds_like_a_placeholder_is_kept_where_it_would_stand_for_nothing(path: str, old: str, new: str) -> None:
    assert answered(new, task(old, "say more", path, "", "")) == (new, [])


def test_the_region_is_found_in_a_long_whole_file_at_once() -> None:
    before = "import os\n\n\n" + "".join(f"def f{n}(x):\n    return x\n\n\n" for n in range(70))
    after = "\n" + "}\n\n" * 20_000
    whole = before.replace("def f1(x)", "def f1(y)") + NEW + after[:200]
    started = time.perf_counter()
    text, notes = answered(whole, task(before=before, after=after))
    assert text == NEW and "whole file" in notes[0]
    assert time.perf_counter() - started < 3.0  # six times, in pieces of every size


def test_what_would_take_long_to_compare_is_given_up() -> None:
    before = "start()\nmain()\n" + "}\n\n" * 1500
    whole = "start()\nmain()\n" + "}\n;\n\n" * 180
    started = time.perf_counter()
    assert "where the region is in it is not clear" in refused(whole, task("x = 1", "add 900 lines", "a.js", before, ""))
    assert time.perf_counter() - started < 3.0


@pytest.mark.parametrize(("path", "placeholder"), [("a.yaml", "# ... the rest is unchanged"), ("a.html", "<!-- ... existing content ... -->")])
def test_a_placeholder_in_a_file_that_is_no_program_replaces_nothing_either(path: str, placeholder: str) -> None:
    old = "one: 1\ntwo: 2\nthree: 3\nfour: 4"
    text, notes = answered(f"one: 10\n{placeholder}\n", task(old, "ten", path, "", ""))
    assert text == old.replace("1", "10", 1) and "old lines were kept" in notes[0]


@given(st.text(st.sampled_from("ab \n`<>/.#regionthk'\"“x=:1")), st.integers(1, 9))
def test_no_reply_writes_outside_of_the_region_or_loses_its_place(reply: str, size: int) -> None:
    """What a file's text may make a model say changes the region at most: every hunk lies within its lines."""
    reader = FORMAT.reader(TASK)
    hunks = []
    try:
        for at in range(0, len(reply), size):
            if not reader.complete:
                hunks += [event for event in reader.feed(reply[at : at + size], False) if isinstance(event, Hunk)]
        hunks += [] if reader.complete else [event for event in reader.finish() if isinstance(event, Hunk)]
    except Unusable:
        pass
    assert hunks in ([], [Hunk(1, OLD.count("\n") + 1)])
