"""The log of edits says exactly what changed, costs little, and gives way to a fresh snapshot where it would not."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from inference.api import Source, Task
from inference.snapshots import GROUPS, LOG_LEAST, Snapshot, Snapshots, difference, estimate, fresh, whole_text

FILE = "".join(f"def function_{n}(value):\n    return value + {n}\n\n" for n in range(200))
ROOM = 100_000


def task(text: str, start: int = 0, end: int | None = None, **more: str) -> Task:
    end = text.find("\n", start) if end is None else end
    return replace(Task("room", "ada", "a.py", text[:start], text[start:end], text[end:], "do it"), **more)  # type: ignore[arg-type]


def replay(snapshot: Snapshot) -> str:
    """What a careful reader makes of the snapshot and its log."""
    lines = snapshot.base.split("\n")
    for part in re.split(r"(?m)^(?=@@ line \d+ @@$)", "".join(group.log for group in snapshot.log)):
        head, _, body = part.partition("\n")
        if not head:
            continue
        at = int(re.findall(r"\d+", head)[0]) - 1
        marked = body.split("\n")[:-1]
        assert not at or lines[at - 1] == marked[0][1:]
        old, new = [m[1:] for m in marked if m[0] == "-"], [m[1:] for m in marked if m[0] == "+"]
        assert lines[at : at + len(old)] == old
        lines[at : at + len(old)] = new
    return "\n".join(lines)


LINES = st.lists(st.sampled_from(["", "a", "b", "c", "x = 1", "    y"]), max_size=12).map("\n".join)


@given(LINES, LINES)
def test_edits_make_the_new_text_of_the_old(old: str, new: str) -> None:
    lines = old.split("\n")
    for edit in difference(old, new):
        assert tuple(lines[edit.first : edit.first + len(edit.old)]) == edit.old
        assert edit.above == (lines[edit.first - 1] if edit.first else None)
        lines[edit.first : edit.first + len(edit.old)] = edit.new
    assert "\n".join(lines) == new


@given(st.lists(st.tuples(st.integers(0, len(FILE)), st.integers(0, 40), st.sampled_from(["", "x", "\n", "new = 1\n", "ö👋"])), max_size=25))
def test_whatever_people_type_snapshot_and_log_say_the_text_of_now(edits: list[tuple[int, int, str]]) -> None:
    snapshots, text = Snapshots(), FILE
    snapshots.follow(task(text), ROOM)
    for at, deleted, added in edits:
        text = text[:at] + added + text[at + deleted :]
        snapshot = snapshots.follow(task(text), ROOM)
        assert snapshot.now == text and replay(snapshot) == text
        assert len(snapshot.log) <= GROUPS and snapshot.log_tokens <= max(LOG_LEAST, snapshot.tokens // 4)


def typed(snapshots: Snapshots, text: str, at: int, added: str) -> tuple[str, Snapshot]:
    for letter in added:
        text = text[:at] + letter + text[at:]
        at += 1
        snapshot = snapshots.follow(task(text), ROOM)
    return text, snapshot


def test_typing_a_line_at_the_top_is_one_edit_in_the_log() -> None:
    snapshots = Snapshots()
    first = snapshots.follow(task(FILE), ROOM)
    _, snapshot = typed(snapshots, FILE, 0, "import os\nimport re\n")
    assert snapshot.text == first.text == FILE
    assert [group.log for group in snapshot.log] == ["@@ line 1 @@\n+import os\n+import re\n"]


def test_two_people_typing_far_apart_do_not_fill_the_log() -> None:
    snapshots = Snapshots()
    snapshots.follow(task(FILE), ROOM)
    text = FILE
    for n in range(100):
        for at in (20, FILE.index("def function_50") + 20 + n):
            text, snapshot = typed(snapshots, text, at, "x")
    assert snapshot.base == FILE and snapshot.log_tokens < 150
    assert replay(snapshot) == text


def test_an_edit_taken_back_leaves_no_log() -> None:
    snapshots = Snapshots()
    snapshots.follow(task(FILE), ROOM)
    typed(snapshots, FILE, 500, "zzz")
    assert snapshots.follow(task(FILE), ROOM).log == ()


def test_at_the_end_of_the_file_a_fresh_snapshot_is_cheaper_than_a_log() -> None:
    snapshots = Snapshots()
    snapshots.follow(task(FILE), ROOM)
    text, snapshot = typed(snapshots, FILE, len(FILE), "x = 1")
    assert snapshot.text == text and not snapshot.log


def test_a_file_pasted_anew_is_a_fresh_snapshot() -> None:
    snapshots = Snapshots()
    snapshots.follow(task(FILE), ROOM)
    other = FILE.replace("value", "number")
    snapshot = snapshots.follow(task(other), ROOM)
    assert snapshot.text == other and not snapshot.log


def test_of_a_file_that_does_not_fit_the_lines_around_the_region_are_shown() -> None:
    snapshots, start = Snapshots(), FILE.index("def function_100(")
    wanted = task(FILE, start)
    snapshot = snapshots.follow(wanted, 1000)
    assert snapshot.tokens <= 1000 and estimate(snapshot.text) > 900
    assert snapshot.text == "\n".join(FILE.split("\n")[slice(*snapshot.lines)])
    assert snapshot.lines[0] <= 300 < snapshot.lines[1]
    # Nobody sees an edit outside of them; what is shown has moved.
    unseen = snapshots.follow(task("import os\n" + FILE, start + 10), 1000)
    assert unseen.log == () and unseen.text == snapshot.text and unseen.shown == (snapshot.lines[0] + 1, snapshot.lines[1] + 1)
    # A region outside of them needs others.
    top = snapshots.follow(task("import os\n" + FILE), 1000)
    assert top.lines[0] == 0 and top.text.startswith("import os\n")


def test_caches_are_kept_apart_and_forgotten() -> None:
    snapshots = Snapshots()
    snapshots.follow(task(FILE), ROOM)
    assert snapshots.held("room", "a.py") and not snapshots.held("other", "a.py")
    snapshots.follow(task("x\n", cache="other"), ROOM)
    snapshots.forget("room")
    assert not snapshots.held("room", "a.py") and snapshots.held("other", "a.py")


def test_idle_time_can_replace_snapshot_and_log() -> None:
    snapshots = Snapshots()
    snapshots.follow(task(FILE), ROOM)
    text, old = typed(snapshots, FILE, 0, "import os\n")
    assert old.log
    snapshots.keep(task(text), fresh(task(text), ROOM))
    assert snapshots.follow(task(text), ROOM).log == ()
    assert whole_text(task(text)) == snapshots.follow(task(text), ROOM).text


def test_other_files_keep_their_places_and_have_logs_of_their_own() -> None:
    snapshots, start = Snapshots(), FILE.index("def function_100(")
    util, names = Source("util.py", "a = 1\n" * 100, "imported"), Source("names.py", "b = 2\n", "open")
    first = snapshots.follow(replace(task(FILE, start), others=(util,)), ROOM)
    assert [other.path for other in first.others] == ["util.py"]
    # Somebody edits it, and another one is named: it comes behind, though it is the more helpful one now.
    edited = replace(util, text="import os\n" + util.text)
    second = snapshots.follow(replace(task(FILE, start), others=(names, edited)), ROOM)
    assert [other.path for other in second.others] == ["util.py", "names.py"]
    assert second.others[0].snapshot.text == util.text
    assert [group.log for group in second.others[0].snapshot.log] == ["@@ line 1 @@\n+import os\n"]
    # One that is no candidate any more goes.
    third = snapshots.follow(replace(task(FILE, start), others=(names,)), ROOM)
    assert [other.path for other in third.others] == ["names.py"]


def test_other_files_stay_within_their_tokens() -> None:
    sources = tuple(Source(f"{n}.py", "value = 1\n" * 60, "open") for n in range(20))
    for room, most in ((ROOM, 1500), (1000, 1500), (ROOM, 300), (0, 1500)):
        snapshot = Snapshots(other_tokens=most).follow(replace(task("x = 1\n"), others=sources), room)
        assert sum(other.snapshot.seen for other in snapshot.others) <= min(room, most)
        assert bool(snapshot.others) == (room > 0)
    assert [other.path for other in snapshot.others] == []


def test_a_file_of_one_endless_line_is_left_out() -> None:
    minified = Source("min.js", "x=1;" * 10_000, "imported")
    assert Snapshots().follow(replace(task("x = 1\n"), others=(minified,)), ROOM).others == ()
