"""Drafts and variants of a room on an engine that answers as the test says: what it is asked, and what it is spared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from editor import storage
from editor.members import Member
from editor.pace import FEWEST
from editor.protocol import ProtocolError
from editor.queue import Queue
from editor.variants import SHOW_S
from inference.api import Finished, Hunk, Progress, Text
from tests.property.test_malformed import Nowhere
from tests.unit.test_run_parts import Puppet, Table

GREET = "def greet(name):\n    return name"
WANTED = "return the name in capitals"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Puppet:
    monkeypatch.setattr(storage, "writer", Nowhere())
    return Puppet()


def table(engine: Puppet) -> Table:
    made = Table(engine, Queue(8), GREET)
    made.room.drafts = True
    return made


def typed(at: Table, member: Member, text: str) -> None:
    at.runs.typed(member, text, at.file, {"anchor": 0, "head": 0})


def enter(at: Table, member: Member, text: str, variants: int = 1) -> None:
    at.runs.start(member, text, at.file, {"anchor": 0, "head": 0}, variants)


def rewrite(new: str) -> tuple[Hunk, Text, Finished]:
    return Hunk(1, 2), Text(new + "\n"), Finished("done", 7, 1.0, 9.0)


async def test_a_keystroke_stops_the_draft_before_it_and_enter_computes_nothing_again(engine: Puppet) -> None:
    at = table(engine)
    ada, _ = at.person("ada"), at.person("grace")
    typed(at, ada, WANTED[:-1])
    (first,) = engine.asked
    assert engine.asked[first][0].draft
    typed(at, ada, WANTED)
    assert engine.stopped == [first]
    (second,) = engine.asked
    engine.answer(second, "return name", "return name.upper()")
    (shown,) = at.heard("grace", "draft.shown")
    assert shown["instruction"] == WANTED and at.text == GREET
    enter(at, ada, WANTED)
    assert not engine.asked and not engine.warmed, "the reply is there already"
    assert at.text == GREET.replace("return name", "return name.upper()")
    assert at.heard("grace", "run.finished")[-1]["outcome"] == "done"
    assert len(at.heard("grace", "draft.gone")) == 1


async def test_enter_before_the_draft_is_there_begins_a_run(engine: Puppet) -> None:
    at = table(engine)
    ada = at.person("ada")
    typed(at, ada, WANTED)
    (draft,) = engine.asked
    enter(at, ada, WANTED)
    (run,) = engine.asked
    assert engine.stopped == [draft] and not engine.asked[run][0].draft
    typed(at, ada, "something else again")
    assert list(engine.asked) == [run], "while the model writes, keystrokes are evaluated ahead and no more"
    assert engine.warmed


async def test_the_text_around_may_change_and_what_was_drawn_is_taken(engine: Puppet) -> None:
    at = table(engine)
    ada = at.person("ada")
    typed(at, ada, WANTED)
    (draft,) = engine.asked
    with at.room.document.transaction("people"):
        at.room.document.insert(at.file, 0, "# above\n")
    engine.answer(draft, "return name", "return name.upper()")
    at.runs.start(ada, WANTED, at.file, {"anchor": 8, "head": 8 + len(GREET)}, 1)
    assert not engine.asked
    assert at.text == "# above\n" + GREET.replace("return name", "return name.upper()")


async def test_no_more_drafts_than_the_limit_and_none_for_a_letter_or_two(engine: Puppet) -> None:
    at = table(engine)
    at.room.limits = replace(at.room.limits, drafts=2)
    people = [at.person(name) for name in ("ada", "grace", "alan")]
    for member in people:
        typed(at, member, WANTED)
    assert len(engine.asked) == 2 and [task.who for task in engine.warmed] == ["alan"]
    typed(at, people[0], "r")
    assert len(engine.asked) == 1


# Too long to be one region.
TWO = GREET + "\n\n" + GREET.replace("greet", "hail") + "\n\n" + "\n".join(f"a{number} = {number}" for number in range(13))
EVERY = "add a comment to every function"


async def test_several_places_are_drafted_as_one_and_taken_as_a_run_of_so_many_parts(engine: Puppet) -> None:
    at = Table(engine, Queue(8), TWO)
    at.room.drafts = True
    at.room.limits = replace(at.room.limits, parallel_windows=1)
    ada, grace = at.person("ada"), at.person("grace")
    at.room.document.splice(at.file, 0, 0, "# 😀\n\n", grace)
    text = at.text
    typed(at, ada, EVERY)
    assert not engine.asked, "before anything is measured, no more places than are asked for at the same time"
    at.room.limits = replace(at.room.limits, parallel_windows=2)
    typed(at, ada, EVERY)
    one, two = engine.asked
    assert [task.region.split("(")[0] for task, _ in engine.asked.values()] == ["def greet", "def hail"]
    assert all(task.draft for task, _ in engine.asked.values())
    engine.answer(two, "return", "yield")
    assert not at.heard("grace", "draft.shown"), "all of it or nothing"
    engine.answer(one, "name", "who")
    (shown,) = at.heard("grace", "draft.shown")
    assert len(shown["regions"]) == 2
    assert (shown["region"]["from"], shown["region"]["to"]) == (shown["regions"][0]["from"], shown["regions"][1]["to"])
    units = text.encode("utf-16-le")
    for edit in reversed(shown["edits"]):
        units = units[: 2 * edit["from"]] + edit["text"].encode("utf-16-le") + units[2 * edit["to"] :]
    enter(at, ada, EVERY)
    assert not engine.asked, "the replies are there already"
    assert at.text == units.decode("utf-16-le")
    assert "def greet(who):" in at.text and "yield name" in at.text
    (started,) = at.heard("grace", "run.started")
    assert started["regions"] == shown["regions"]
    (finished,) = at.heard("grace", "run.finished")
    assert (finished["outcome"], finished["tokens"]) == ("done", 14)
    assert finished["reason"] == "2 of 2 places changed."


async def test_a_draft_of_several_places_goes_with_a_change_between_them_or_one_that_fails(engine: Puppet) -> None:
    at = Table(engine, Queue(8), TWO)
    at.room.drafts = True
    ada, grace = at.person("ada"), at.person("grace")
    typed(at, ada, EVERY)
    one, two = engine.asked
    with at.room.document.transaction(grace):
        at.room.document.insert(at.file, len(GREET) + 1, "between = 1")
    await turned(lambda: at.heard("ada", "draft.gone"))
    assert at.heard("ada", "draft.gone")[-1]["why"] == "changed"
    assert not engine.asked and engine.stopped == [one, two]
    typed(at, ada, EVERY)
    one, two = engine.asked
    engine.tell(one, Hunk(1, 2), Text("def"), Finished("failed", 3, 1.0, 2.0, "It made no sense."))
    assert not engine.asked and engine.stopped[-1] == two
    assert not at.heard("ada", "draft.shown")


async def test_no_more_places_than_come_within_the_bound(engine: Puppet) -> None:
    at = Table(engine, Queue(8), TWO)
    at.room.drafts = True
    ada = at.person("ada")
    pace = at.runs.drafts._pace
    for ms, drafted in ((pace.bound_ms / 2 - 1, True), (pace.bound_ms / 2 + 1, False)):
        pace.reset()
        pace.took(ms)
        typed(at, ada, EVERY)
        assert bool(engine.asked) is drafted
        assert drafted or engine.warmed[-1].region == GREET, "the first of them is evaluated"
        typed(at, ada, "")
        assert not engine.asked


async def turned(condition: Callable[[], object]) -> None:
    """What the loop does next has done it."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("not met")


async def shown(at: Table, count: int) -> list[dict[str, object]]:
    """The newest of each variant, once so many have ended."""
    for _ in range(1000):
        newest = {message["variant"]: message for message in at.heard("ada", "variants.shown")}
        if sum(message["state"] != "streaming" for message in newest.values()) >= count:
            return [newest[number] for number in sorted(newest)]
        await asyncio.sleep(SHOW_S / 10)
    raise AssertionError(at.ears["ada"].messages)


async def test_variants_are_samples_of_one_task_and_equal_ones_are_one(engine: Puppet) -> None:
    at = table(engine)
    ada, grace = at.person("ada"), at.person("grace")
    enter(at, ada, WANTED, 3)
    tasks = [task for task, _ in engine.asked.values()]
    assert [task.variant for task in tasks] == [0, 1, 2]
    assert {replace(task, variant=0) for task in tasks} == {tasks[0]}
    one, two, three = engine.asked
    engine.tell(three, *rewrite(GREET.replace("name", "NAME")))
    engine.tell(two, *rewrite(GREET + ".upper()"))
    engine.tell(one, *rewrite(GREET + ".upper()"))
    states = [(each["state"], each["same_as"]) for each in await shown(at, 3)]
    assert states == [("done", None), ("same", 0), ("done", None)]
    assert at.text == GREET
    offer = at.heard("ada", "variants.started")[0]["run"]

    # The same instruction again: other samples. Another one: from the first.
    at.runs.steer(grace, offer, WANTED)
    assert [task.variant for task, _ in engine.asked.values()] == [3, 4, 5]
    again = at.heard("ada", "variants.started")[-1]["run"]
    at.runs.steer(ada, again, "otherwise")
    assert [task.variant for task, _ in engine.asked.values()] == [0, 1, 2]
    assert [task.earlier for task, _ in engine.asked.values()] == [(WANTED,)] * 3
    assert at.text == GREET


async def test_one_is_taken_while_others_are_still_written_and_people_have_typed_in_the_lines(engine: Puppet) -> None:
    at = table(engine)
    ada, grace = at.person("ada"), at.person("grace")
    enter(at, ada, WANTED, 2)
    one, two = engine.asked
    engine.tell(two, Hunk(1, 2), Text("def"), Progress(1, 1.0, None))
    engine.tell(one, Hunk(1, 2), Text(GREET + ".upper()\n"), Finished("done", 7, 1.0, 9.0))
    offer = at.heard("ada", "variants.started")[0]["run"]
    with pytest.raises(ProtocolError, match="still being written"):
        at.runs.keep(grace, offer, 1)
    place = GREET.index("(name") + 5
    with at.room.document.transaction(grace):
        at.room.document.insert(at.file, place, ", loud")
    at.runs.keep(grace, offer, 0)
    assert engine.stopped == [two], "nobody waits for it any more"
    assert at.text == "def greet(name, loud):\n    return name.upper()"
    gone = at.heard("ada", "variants.gone")[-1]
    assert (gone["outcome"], gone["by"]["name"]) == ("taken", "grace")
    reason = at.heard("ada", "run.finished")[-1]["reason"]
    assert "taken by grace" in reason and "kept" in reason
    with pytest.raises(ProtocolError):
        at.runs.keep(grace, offer, 0)


async def test_variants_of_several_places_are_taken_as_one_run_around_what_people_typed(engine: Puppet) -> None:
    at = Table(engine, Queue(8), TWO)
    at.room.limits = replace(at.room.limits, parallel_windows=1)
    ada, grace = at.person("ada"), at.person("grace")
    enter(at, ada, EVERY, 2)
    offer = at.heard("ada", "variants.started")[-1]
    assert len(offer["regions"]) == 2 and offer["region"]["to"] == offer["regions"][1]["to"]
    assert [(task.variant, task.region.split("(")[0]) for task, _ in engine.asked.values()] == [(0, "def greet"), (1, "def greet")]
    run = offer["run"]
    engine.answer(f"{run}.0.1", "return", "yield")
    engine.answer(f"{run}.0.2", "return", "print")
    engine.answer(f"{run}.1.1", "name", "who")
    engine.tell(f"{run}.1.2", Hunk(1, 2), Text("def nonsense"), Finished("failed", 3, 1.0, 2.0, "It made no sense."))
    assert not engine.asked
    one, two = await shown(at, 2)
    assert (one["state"], two["state"], two["reason"]) == ("done", "done", "Line 4: It made no sense.")
    assert [line["op"] for line in one["diff"]] == [" ", "-", "+", "@", " ", "-", "+"]  # type: ignore[attr-defined]
    assert one["tokens"] == 14 and len(two["diff"]) == 4  # type: ignore[arg-type]
    drawn = TWO
    for edit in reversed(two["edits"]):  # type: ignore[call-overload]
        drawn = drawn[: edit["from"]] + edit["text"] + drawn[edit["to"] :]
    greet, _, rest = TWO.partition("\n\n")
    assert drawn == greet.replace("name", "who") + "\n\n" + rest

    # Between the places and in one of them.
    for place, letters in ((len(greet) + 1, "# between\n"), (TWO.index("(name") + 5, ", loud")):
        with at.room.document.transaction(grace):
            at.room.document.insert(at.file, place, letters)
    await turned(lambda: at.heard("ada", "variants.started")[-1]["changed"] == "typed")
    at.runs.keep(grace, run, 0)
    assert at.text == TWO.replace("return", "yield", 1).replace("return", "print").replace("(name", "(name, loud", 1).replace(
        "\n\n", "\n# between\n\n", 1
    )
    (finished,) = at.heard("ada", "run.finished")
    assert finished["reason"].startswith(
        "Variant 1 of 2, taken by grace. What people had changed in these lines meanwhile was kept. 2 of 2 places changed."
    )
    assert len(at.heard("ada", "run.started")[-1]["regions"]) == 2

    # One place that failed takes nothing from the other; a steer stays in these places.
    enter(at, ada, EVERY, 2)
    run = at.heard("ada", "variants.started")[-1]["run"]
    at.runs.steer(grace, run, "shorter")
    assert engine.stopped[-2:] == [f"{run}.0.1", f"{run}.1.1"]
    again = at.heard("ada", "variants.started")[-1]
    assert [region["first_line"] for region in again["regions"]] == [1, 5]
    run = again["run"]
    for number in range(2):
        engine.tell(f"{run}.{number}.1", Hunk(1, 2), Text("def nonsense"), Finished("failed", 3, 1.0, 2.0, "It made no sense."))
        engine.answer(f"{run}.{number}.2", "hail", "hi")
    before = at.text
    at.runs.keep(ada, run, 0)
    assert at.text == before.replace("hail", "hi")
    assert "1 of 2 places changed. Line 1: It made no sense." in at.heard("ada", "run.finished")[-1]["reason"]


async def test_who_leaves_a_draft_that_makes_all_pause_is_gone_all_the_same(engine: Puppet) -> None:
    at = table(engine)
    ada, grace = at.person("ada"), at.person("grace")
    pace = at.runs.drafts._pace
    for _ in range(FEWEST - 1):
        pace.took(pace.bound_ms + 1)
    typed(at, ada, WANTED)
    typed(at, grace, WANTED)
    first, second = engine.asked
    # From here on every draft has been too slow.
    pace.bound_ms = 0.0
    at.room.leave(ada)
    at.runs.drafts.left(ada.person)
    assert pace.paused and engine.stopped == [first, second]
    assert sorted(message["participant"] for message in at.heard("grace", "draft.gone")) == ["ada", "grace"]


async def test_a_draft_whose_file_goes_keeps_nobody_out(engine: Puppet) -> None:
    at = table(engine)
    ada, grace = at.person("ada"), at.person("grace")
    typed(at, ada, WANTED)
    (shown,) = engine.asked
    engine.answer(shown, "return name", "return name.upper()")
    typed(at, grace, "say hello")
    (late,) = engine.asked
    at.room.document.remove_files([at.file])
    engine.answer(late, "return name", "return hello")
    assert [message["participant"] for message in at.heard("ada", "draft.gone")] == ["grace"]
    bob = at.person("bob")
    at.runs.drafts.tell(bob)
    assert [message["type"] for message in at.ears["bob"].messages] == ["drafts"]
