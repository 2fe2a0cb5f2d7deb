"""The streaming diff and the live region: whatever comes, in whatever pieces, the invariants hold."""

from __future__ import annotations

import difflib

from hypothesis import given, settings
from hypothesis import strategies as st

from editor.edits import Delete, Insert, RegionDiff, size
from editor.live import LiveRegion, Splice

WORDS = ["def", "row", "user", "x = 1", "é", "😀", "  ", "return", "(a, b)", "", "a\u0301", "}"]
line = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)
text = st.lists(line, min_size=1, max_size=9).map("\n".join)


def run(shadow: bytes, operations: list) -> bytes:
    for operation in operations:
        if isinstance(operation, Insert):
            shadow = shadow[: operation.at] + operation.text.encode() + shadow[operation.at :]
        else:
            assert operation.at >= 0 and operation.at + operation.length <= len(shadow)
            shadow = shadow[: operation.at] + shadow[operation.at + operation.length :]
        shadow.decode()  # never inside of a character
    return shadow


@st.composite
def rewrite(draw):
    """An old region, and a new one that shares lines with it, cut into pieces as a model would send them."""
    old = draw(text)
    lines = []
    for old_line in old.split("\n"):
        lines += draw(st.sampled_from([[old_line], [old_line], [], [draw(line)], [old_line, draw(line)], [old_line + draw(line)]]))
    new = "\n".join(lines)
    cuts = sorted(draw(st.sets(st.integers(0, len(new)), max_size=12)))
    pieces = [new[a:b] for a, b in zip([0, *cuts], [*cuts, len(new)], strict=True)]
    return old, new, pieces


@given(rewrite())
@settings(max_examples=600)
def test_a_whole_rewrite_gives_exactly_the_models_text(case):
    old, new, pieces = case
    diff = RegionDiff(old)
    shadow = run(old.encode(), diff.hunk(1, old.count("\n") + 1))
    for piece in pieces:
        shadow = run(shadow, diff.feed(piece))
    shadow = run(shadow, diff.finish())
    # A reply's last line may lack its newline; an empty last line is then no line.
    expected = new if not new.endswith("\n") else new[:-1]
    assert shadow.decode() == expected


@given(rewrite(), st.integers(0, 12))
@settings(max_examples=400)
def test_a_stop_leaves_every_line_old_or_new_and_whole(case, stop):
    old, _, pieces = case
    diff = RegionDiff(old)
    shadow = run(old.encode(), diff.hunk(1, old.count("\n") + 1))
    fed = ""
    for piece in pieces[:stop]:
        shadow = run(shadow, diff.feed(piece))
        fed += piece
    shadow = run(shadow, diff.settle())
    whole = fed.split("\n")[:-1]
    known = set(old.split("\n")) | set(whole) | {""}
    assert set(shadow.decode().split("\n")) <= known
    # What was written stands, in order.
    position = 0
    result = shadow.decode().split("\n")
    for written in whole:
        assert written in result[position:] or not result
        position = result.index(written, position) + 1


@given(text, st.data())
@settings(max_examples=400)
def test_hunks_change_their_lines_alone(old, data):
    lines = old.split("\n")
    diff = RegionDiff(old)
    shadow, expected, position = old.encode(), [], 0
    while position < len(lines) and data.draw(st.booleans()):
        first = data.draw(st.integers(position + 1, len(lines)))
        last = data.draw(st.integers(first - 1, len(lines)))
        new = data.draw(st.lists(line, max_size=3))
        expected += lines[position : first - 1] + new
        position = last
        shadow = run(shadow, diff.hunk(first, last))
        for piece in (added + "\n" for added in new):
            shadow = run(shadow, diff.feed(piece))
        if last < first:
            break
    shadow = run(shadow, diff.finish())
    assert shadow.decode() == "\n".join(expected + lines[position:])


def apply(document: bytes, splice: Splice) -> bytes:
    return document[: splice.position] + splice.text.encode() + document[splice.position + splice.deleted :]


@given(rewrite(), st.data())
@settings(max_examples=600)
def test_what_people_type_inside_survives_once_and_outside_nothing_moves(case, data):
    old, new, pieces = case
    before, after = "before\n", "\nafter"
    document = (before + old + after).encode()
    region = LiveRegion(len(before), size(old))
    diff = RegionDiff(old)
    typed = 0

    def carry(operations):
        nonlocal document
        for operation in operations:
            for splice in region.carry(operation):
                document = apply(document, splice)
        document.decode()

    carry(diff.hunk(1, old.count("\n") + 1))
    for piece in pieces:
        if data.draw(st.booleans()):
            # A person types a character that nobody else uses, between two characters of the document.
            place = len(document.decode()[: data.draw(st.integers(0, len(document.decode())))].encode())
            mark = chr(0x4E00 + typed)
            document = document[:place] + mark.encode() + document[place:]
            region.people_changed(place, 0, size(mark))
            typed += 1
        carry(diff.feed(piece))
    carry(diff.finish())
    result = document.decode()
    for number in range(typed):
        assert result.count(chr(0x4E00 + number)) == 1
    bare = "".join(c for c in result if not 0x4E00 <= ord(c) < 0x4E00 + typed)
    # Newlines that keep a person's characters on a line of their own may remain; nothing else differs.
    assert bare.replace("\n", "") == (before + new + after).replace("\n", "")
    assert bare.startswith("before") and bare.endswith("after")
    if not typed:
        assert region.start == len(before) and document[region.end :].decode() == after


@given(rewrite(), st.data())
@settings(max_examples=400)
def test_people_may_delete_anything_meanwhile(case, data):
    old, _, pieces = case
    before, after = "before\n", "\nafter"
    document = (before + old + after).encode()
    region = LiveRegion(len(before), size(old))
    diff = RegionDiff(old)
    operations = diff.hunk(1, old.count("\n") + 1)
    for piece in [*pieces, None]:
        for operation in operations:
            for splice in region.carry(operation):
                assert 0 <= splice.position <= splice.position + splice.deleted <= len(document)
                document = apply(document, splice)
        plain = document.decode()
        a = data.draw(st.integers(0, len(plain)))
        b = data.draw(st.integers(a, min(len(plain), a + 8)))
        start, length = size(plain[:a]), size(plain[a:b])
        document = document[:start] + document[start + length :]
        region.people_changed(start, length, 0)
        operations = diff.feed(piece) if piece is not None else diff.finish()
    assert region.start <= region.end <= len(document)


def test_one_changed_word_is_one_small_operation():
    old = "def get_user(id):\n    row = db.find(id)\n    return row"
    diff = RegionDiff(old)
    operations = diff.hunk(1, 3) + diff.feed("def get_user(id):\n    user = db.find(id)\n    return row\n") + diff.finish()
    assert operations == [Delete(22, 3), Insert(22, "user")]


def test_an_added_line_deletes_nothing_even_when_it_comes_in_pieces():
    old = "def f():\n    return user"
    diff = RegionDiff(old)
    operations = diff.hunk(1, 2)
    for piece in ("def f():\n    ", "log", "(user)", "\n    return", " user\n"):
        operations += diff.feed(piece)
    operations += diff.finish()
    assert not any(isinstance(operation, Delete) for operation in operations)


@given(rewrite())
@settings(max_examples=300)
def test_operations_stay_near_the_minimum(case):
    """Against difflib on the finished texts, by whole lines: never more bytes than twice its plus a line."""
    old, new, _ = case
    diff = RegionDiff(old)
    operations = diff.hunk(1, old.count("\n") + 1) + diff.feed(new + "\n") + diff.finish()
    ours = sum(size(o.text) if isinstance(o, Insert) else o.length for o in operations)
    a, b = old.split("\n"), new.split("\n")
    theirs = 0
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag != "equal":
            theirs += sum(size(x) + 1 for x in a[i1:i2]) + sum(size(x) + 1 for x in b[j1:j2])
    assert ours <= 2 * theirs + 200
