"""Endless repetition is found soon, what repeats itself for good reason is not it; broken letters; thoughts in tokens."""

from __future__ import annotations

import codecs

import pytest

from inference.api import Note, Task, Text
from inference.guards import Guard, Repetition, Thoughts
from inference.replies import PatchReader, Unusable
from inference.rewrites import RewriteReader


def circles(text: str, known: str = "", asked: str = "") -> int | None:
    """How many characters came before the repetition was found, in pieces of a token's length."""
    repetition = Repetition(known, asked)
    return next((at for at in range(0, len(text), 3) if repetition.found(text[at : at + 3])), None)


FUNCTION = "def f(x):\n    y = x + 1\n    return y\n\n"


@pytest.mark.parametrize(
    ("text", "within"),
    [
        ("same line\n" * 1000, 400),
        (FUNCTION * 1000, 1200),
        ("a = 1\nb = 2\n" * 1000, 400),
        ("the the the " * 1000, 1500),
        ("x = [" + "1, 2, " * 2000, 4000),
        ("=" * 9000, 4000),
        ("\n" * 2000, 1300),
        ("".join(f"value_{n} = {n}\n" for n in range(3000)), 7000),
        ("|      |\n" * 1000, 1500),
    ],
)
def test_what_goes_round_in_circles_is_found_soon(text: str, within: int) -> None:
    found = circles("import os\n" + text)
    assert found is not None and found < within


LEGITIMATE = {
    "a table": "| name | value |\n| --- | --- |\n" + "".join(f"| row {n} | {n * n} |\n" for n in range(200)),
    "an empty table": "<table>\n" + "  <tr>\n    <td></td>\n  </tr>\n" * 15 + "</table>\n",
    "a long list of similar lines": "".join(f"    'key_{n}': compute({n}),\n" for n in range(250)),
    "a list of words": "".join(f"  - item {chr(97 + n % 26)}{n}\n" for n in range(400)),
    "a drawing": "+" + "-" * 78 + "+\n" + ("|" + " " * 78 + "|\n") * 40 + "+" + "-" * 78 + "+\n",
    "a chess board": ("# # # # \n # # # #\n") * 40,
    "a matrix": "matrix = [\n" + "    [0, 0, 0, 0, 0, 0, 0, 0],\n" * 50 + "]\n",
    "a long matrix row": "row = [" + "0, " * 500 + "]\n",
    "rulers": ("# " + "=" * 78 + "\n# part\n") * 12,
    "closing braces": "}\n" * 20,
    "blank lines": "a\n\n\n\nb\n" * 10,
    "a byte string": "data = b'" + "\\x00" * 150 + "'\n",
    "hex": "data = '" + "0" * 1500 + "'\n",
    "asserts": "    assert f()\n" * 20,
}


@pytest.mark.parametrize("name", LEGITIMATE)
def test_what_repeats_itself_for_good_reason_is_not_endless(name: str) -> None:
    assert circles(LEGITIMATE[name]) is None


def test_as_much_repetition_as_the_region_holds_or_was_asked_for_is_allowed() -> None:
    rows = "<td></td>\n" * 60
    assert circles(rows) is not None
    assert circles(rows, known=rows) is None
    assert circles(rows, asked="add 60 empty cells") is None
    many = "".join(f"value_{n} = {n}\n" for n in range(1000))
    assert circles(many) is not None and circles(many, asked="numbers from 0 to 999") is None and circles(many, known=many) is None
    long = "x = '" + "ab, " * 400 + "'\n"
    assert circles(long) is not None and circles(long, known=long) is None
    assert circles("x = '" + "ab, " * 400 + "'\n", asked="repeat ab 400 times") is None
    # The region again and again is a circle.
    assert circles(FUNCTION * 100, known=FUNCTION) is not None


def task(region: str, instruction: str = "add one") -> Task:
    return Task("room", "ada", "a.py", "", region, "", instruction)


def test_letters_cut_by_the_border_of_tokens_come_whole_and_broken_ones_not_at_all() -> None:
    reader = Guard(RewriteReader(task("x = 1")), task("x = 1"))
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    data = "s = 'Zoë 👋 日本'\n".encode() + b"t = '\xf0\x9f'\n" + "end = '👋".encode()[:-1]
    events = [event for at in range(len(data)) for event in reader.feed(decoder.decode(data[at : at + 1]), False)]
    events += reader.feed(decoder.decode(b"", True), False) + reader.finish()
    text = "".join(event.text for event in events if isinstance(event, Text))
    assert text == "s = 'Zoë 👋 日本'\nt = ''\nend = '\n"
    assert [event.text for event in events if isinstance(event, Note)] == ["Letters that the model wrote broken were left out."]


def test_half_a_letter_reaches_no_file() -> None:
    reader = Guard(RewriteReader(task("x = 1")), task("x = 1"))
    events = reader.feed("x = '\ud83d", False) + reader.feed("\ude00'\n", False) + reader.finish()
    assert "".join(event.text for event in events if isinstance(event, Text)) == "x = ''\n"


def test_a_region_that_is_about_broken_letters_keeps_them() -> None:
    asked = task("BAD = '\ufffd'")
    reader = Guard(RewriteReader(asked), asked)
    events = reader.feed("BAD = '\ufffd'\n", False) + reader.finish()
    assert not any(isinstance(event, Note) for event in events)
    assert "\ufffd" in "".join(event.text for event in events if isinstance(event, Text))


def said(pieces: list[tuple[str, bool]], region: str = "x = 1") -> str:
    reader = Thoughts(RewriteReader(task(region)), region)
    events = [event for piece, control in pieces for event in reader.feed(piece, control)] + reader.finish()
    return "".join(event.text for event in events if isinstance(event, Text))


def test_thoughts_in_tokens_of_their_own_and_in_channels() -> None:
    assert said([("<think>", True), ("so ", False), ("```", False), ("</think>", True), ("\n\nx = 2", False)]) == "x = 2\n"
    assert said([("[THINK]", True), ("hm", False), ("[/THINK]", True), ("x = 2", False)]) == "x = 2\n"
    channels = [
        *[("<|channel|>", True), ("analysis", False), ("<|message|>", True), ("We must", False), (" see", False), ("<|end|>", True)],
        *[("<|start|>", True), ("assistant", False), ("<|channel|>", True), ("final", False), ("<|message|>", True), ("x = 2", False)],
    ]
    assert said(channels) == "x = 2\n"
    assert said([("x = 2", False)]) == "x = 2\n"


def test_a_file_about_such_tags_keeps_them() -> None:
    assert said([("<think>\nx\n</think>", False)], "<think>\n</think>") == "<think>\nx\n</think>\n"


def test_a_patch_that_deletes_most_of_a_region_unasked_is_refused() -> None:
    region = "\n".join(f"line {n}" for n in range(10))
    pieces = [("<|L1|>", True), ("<|L8|>", True), ("line 9\n", False)]

    def patched(instruction: str) -> list[object]:
        reader = Guard(PatchReader(region.split("\n")), task(region, instruction))
        return [*(event for piece, control in pieces for event in reader.feed(piece, control)), *reader.finish()]

    with pytest.raises(Unusable, match=r"7 of the region's 10 lines"):
        patched("rename line 9")
    assert patched("remove the first lines")


def test_the_same_replacement_in_many_lines_is_no_repetition() -> None:
    lines = ["console.log(i, ai)"] * 45
    reader = Guard(PatchReader(lines), task("\n".join(lines)))
    pieces = [
        piece
        for number in range(1, 46)
        for piece in [(f"<|L{number}|>", True), ("<|sub|>", True), ("console.log", False), ("<|to|>", True), ("logger.info", False)]
    ]
    assert len([*(event for piece in pieces for event in reader.feed(*piece)), *reader.finish()]) == 90


def test_a_patch_that_repeats_itself_is_stopped() -> None:
    reader = Guard(PatchReader(["x = 1"]), task("x = 1"))
    pieces = iter([("<|L1|>", True), ("<|ins|>", True), *[("x = 1\n", False)] * 100])
    with pytest.raises(Unusable, match="repeat itself"):
        all(reader.feed(*piece) is not None for piece in pieces)
    assert len(list(pieces)) > 50
