"""Runs of a room on an engine that answers as the test says: several windows, several people, several sessions."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from editor import storage, updates
from editor.document import new_document
from editor.engines import Engines
from editor.index import Index
from editor.members import Member, Person
from editor.models import Session
from editor.pace import Pace
from editor.protocol import utf16_length
from editor.queue import Queue
from editor.room import Room
from editor.runs import Runs
from inference.api import Event, Finished, Hunk, Listener, ModelInfo, Progress, Seen, Started, Task, Text
from project.wiring import limits
from tests.property.test_malformed import Nowhere

FUNCTIONS = "\n\n".join(f"def f{number}(x):\n    return x + {number}" for number in range(6))
EVERY = "add a docstring to every function"


class Puppet:
    """An engine of the test's own. ``asked``: the requests that it has been given and that have not ended, in order."""

    info = ModelInfo("puppet", "ready", format="rewrite", region_lines=20)

    def __init__(self) -> None:
        self.asked: dict[str, tuple[Task, Listener]] = {}
        self.stopped: list[str] = []
        self.warmed: list[Task] = []

    def start(self, run: str, task: Task, listener: Listener) -> None:
        self.asked[run] = (task, listener)

    def stop(self, run: str) -> None:
        self.stopped.append(run)
        self.asked.pop(run, None)

    def warm(self, task: Task) -> None:
        self.warmed.append(task)

    def watch(self, callback: object) -> None: ...

    def forget(self, cache: str) -> None: ...

    def tell(self, run: str, *events: Event) -> None:
        if any(isinstance(event, Finished) for event in events):
            self.asked[run][1](events)
            self.asked.pop(run, None)
        else:
            self.asked[run][1](events)

    def answer(self, run: str, old: str, new: str) -> None:
        """Rewrites the region with ``new`` for ``old``."""
        text = self.asked[run][0].region
        lines = text.count("\n") + 1
        self.tell(run, Hunk(1, lines), Text(text.replace(old, new) + "\n"), Progress(7, 1.0, 9.0), Finished("done", 7, 1.0, 9.0))


class Ears:
    """A transport that keeps what the server says."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def send(self, frame: bytes | str) -> None:
        if isinstance(frame, str):
            self.messages.append(json.loads(frame))

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


class Table:
    """One room with some people in it."""

    def __init__(self, engine: Puppet, queue: Queue, text: str = FUNCTIONS, session: str = "s") -> None:
        row = Session(id=session, title="", lineage="1", expires_at=datetime.now(UTC))
        document = new_document([("a.py", text)])
        self.room = Room(row, document, Index(updates.structs(document)), {}, limits())
        self.runs = Runs(self.room, Engines(engine), [], Pace(300), queue)  # type: ignore[arg-type]
        (self.file,) = self.room.document.files()
        self.ears: dict[str, Ears] = {}

    def person(self, name: str) -> Member:
        self.ears[name] = Ears()
        member = Member(Person(name, name, "#123456", "editor", "edit"), self.ears[name])  # type: ignore[arg-type]
        self.room.join(member)
        member.hello = True
        return member

    @property
    def text(self) -> str:
        return self.room.document.text(self.file)

    def heard(self, name: str, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.ears[name].messages if message["type"] == kind]

    def start(self, member: Member, instruction: str, line: int = 0) -> str:
        at = sum(len(each) + 1 for each in self.text.split("\n")[:line])
        run = self.runs.start(member, instruction, self.file, {"anchor": at, "head": at}, 1)
        assert run
        return run.id


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Puppet:
    monkeypatch.setattr(storage, "writer", Nowhere())
    return Puppet()


def regions(engine: Puppet) -> list[str]:
    return [task.region.split("\n")[0] for task, _ in engine.asked.values()]


async def test_a_part_that_fails_or_declines_takes_nothing_from_the_others(engine: Puppet) -> None:
    table = Table(engine, Queue(4))
    ada = table.person("ada")
    run = table.start(ada, EVERY)
    assert regions(engine) == ["def f0(x):", "def f1(x):", "def f2(x):", "def f3(x):"], "four at the same time"
    keys = [f"{run}.{number}" for number in range(1, 7)]
    engine.answer(keys[1], "return", "yield")
    assert "def f4(x):" in regions(engine), "the next one begins"
    engine.tell(keys[0], Hunk(1, 2), Text("def nonsense"), Finished("failed", 3, 1.0, 2.0, "The model's context is full."))
    engine.tell(keys[2], Finished("declined", 1, 1.0, None, "The model found nothing to change."))
    engine.tell(keys[3], Hunk(1, 2), Text("BAD\nBAD\n"), Finished("failed", 3, 1.0, 2.0, "It made no sense.", revert=True))
    engine.answer(keys[4], "return", "yield")
    assert not table.heard("ada", "run.finished")
    engine.answer(keys[5], "return", "yield")
    (finished,) = table.heard("ada", "run.finished")
    assert finished["outcome"] == "done"
    assert finished["tokens"] == 7 * 3 + 3 + 1 + 3
    assert finished["reason"] == (
        "3 of 6 places changed. In 1 the model found nothing to change. Line 1: The model's context is full. Line 10: It made no sense."
    )
    expected = FUNCTIONS
    for number in (1, 4, 5):
        expected = expected.replace(f"return x + {number}", f"yield x + {number}")
    assert table.text == expected
    assert [m["places"]["done"] for m in table.heard("ada", "run.progress")] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("seed", range(40))
async def test_windows_side_by_side_with_people_in_them_do_not_disturb_each_other(engine: Puppet, seed: int) -> None:
    """Pieces of all replies in any order, people typing anywhere: each window is what its reply says, around what people typed."""
    chance = random.Random(seed)
    table = Table(engine, Queue(4))
    ada, grace = table.person("ada"), table.person("grace")
    run = table.start(ada, EVERY)
    replies: dict[str, list[str]] = {}
    expected = FUNCTIONS
    for number in range(6):
        old = f"def f{number}(x):\n    return x + {number}"
        new = chance.choice(
            [
                f'def f{number}(x):\n    """Adds é😀."""\n    return x + {number}',
                f"def g{number}(y):\n    return y + {number}",
                f"def f{number}(x):\n    assert x\n    y = x\n    return y",
                f"def f{number}(x): return x + {number}",
                old,
            ]
        )
        expected = expected.replace(old, new)
        cuts = sorted(chance.sample(range(1, len(new)), 5))
        replies[f"{run}.{number + 1}"] = [new[a:b] for a, b in zip([0, *cuts], [*cuts, len(new)], strict=True)]
    begun: set[str] = set()
    while engine.asked:
        key = chance.choice(sorted(engine.asked))
        if key not in begun:
            begun.add(key)
            engine.tell(key, Hunk(1, 2 + engine.asked[key][0].region.count("Ж\n")))
        elif replies[key]:
            engine.tell(key, Text(replies[key].pop(0)))
        else:
            engine.tell(key, Text("\n"), Finished("done", 1, 1.0, None))
        if chance.random() < 0.3:
            # Between windows and in them, but not in one that has yet to be asked for: that would be its old text.
            live = [part.live for part in table.runs.ongoing.writing[run].parts if part.asked] if engine.asked else []
            if live:
                region = chance.choice(live)
                data = table.text.encode()
                at = len(data[: chance.randint(region.start, region.end)].decode("utf-8", "ignore").encode())
                table.room.document.splice(table.file, at, 0, "Ж", grace)
    (finished,) = table.heard("ada", "run.finished")
    assert finished["outcome"] in ("done", "declined")
    bare = table.text.replace("Ж", "")
    # A line that goes while somebody has typed into it leaves their characters on a line of their own.
    assert _lines(bare) == _lines(expected)
    typed = table.text.count("Ж")
    table.runs.cards._loaded = True  # there is no database here
    await asyncio.gather(*table.runs.cards._making.values())
    table.runs.again.undo(ada, run)
    await asyncio.gather(*table.runs._undos._tasks.values())
    assert _lines(table.text.replace("Ж", "")) == _lines(FUNCTIONS)
    assert table.text.count("Ж") == typed


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


async def test_people_who_write_into_a_window_before_its_turn_are_its_old_text(engine: Puppet) -> None:
    table = Table(engine, Queue(4))
    ada, grace = table.person("ada"), table.person("grace")
    run = table.start(ada, EVERY)
    at = table.text.index("return x + 5")
    table.room.document.splice(table.file, at, 0, "assert x\n    ", grace)
    table.room.document.splice(table.file, 0, 0, "# top\n", grace)
    for number in (1, 2, 3, 4, 5):
        engine.answer(f"{run}.{number}", "return", "yield")
    assert engine.asked[f"{run}.6"][0].region == "def f5(x):\n    assert x\n    return x + 5"
    engine.answer(f"{run}.6", "return", "yield")
    (finished,) = table.heard("ada", "run.finished")
    assert "typed" not in finished["reason"], "nobody wrote into a window that was being written"
    assert table.text == "# top\n" + FUNCTIONS.replace("return", "yield").replace("    yield x + 5", "    assert x\n    yield x + 5")


async def test_a_steer_keeps_what_stands_in_all_windows_and_goes_on_in_each(engine: Puppet) -> None:
    table = Table(engine, Queue(4))
    ada, grace = table.person("ada"), table.person("grace")
    first = table.start(ada, EVERY)
    engine.answer(f"{first}.1", "return", "yield")
    engine.tell(f"{first}.2", Hunk(1, 2), Text("def g1(x):\n    ret"))
    table.room.document.splice(table.file, 0, 0, "# top\n", grace)
    second = table.runs.steer(grace, first, "in French")
    assert second
    assert sorted(engine.stopped) == [f"{first}.{number}" for number in (2, 3, 4, 5)]
    (finished,) = table.heard("ada", "run.finished")
    assert (finished["run"], finished["outcome"]) == (first, "steered")
    # What was whole stands, what was not is as before.
    stands = "# top\n" + FUNCTIONS.replace("return x + 0", "yield x + 0").replace("def f1", "def g1")
    assert table.text == stands
    started = table.heard("ada", "run.started")[-1]
    assert (started["continues"], started["by"]["name"]) == (first, "grace")
    assert [link["instruction"] for link in started["chain"]] == [EVERY]
    assert [region["first_line"] for region in started["regions"]] == [2, 5, 8, 11, 14, 17]
    assert regions(engine) == ["def f0(x):", "def g1(x):", "def f2(x):", "def f3(x):"]
    assert {task.earlier for task, _ in engine.asked.values()} == {(EVERY,)}
    for number in range(1, 7):
        engine.answer(f"{second.id}.{number}", "x", "y")
    assert table.heard("ada", "run.finished")[-1]["outcome"] == "done"
    assert table.text == stands.replace("x", "y")
    table.runs.cards._loaded = True  # there is no database here
    await asyncio.gather(*table.runs.cards._making.values())
    for run in (second.id, first):
        table.runs.again.undo(ada, run)
        await asyncio.gather(*table.runs._undos._tasks.values())
    assert table.text == "# top\n" + FUNCTIONS


async def test_what_is_typed_shows_the_lines_that_the_run_takes(engine: Puppet) -> None:
    table = Table(engine, Queue(4))
    ada, grace = table.person("ada"), table.person("grace")
    for instruction in ("make f3 faster", EVERY):
        table.runs.typed(ada, instruction, table.file, {"anchor": 0, "head": 0})
        shown = table.heard("ada", "instruction.region")[-1]["regions"]
        run = table.start(ada, instruction)
        started = table.heard("ada", "run.started")[-1]
        assert shown == started["regions"]
        assert engine.warmed[-1].region == next(iter(engine.asked.values()))[0].region
        table.runs.stop(run)
    assert not table.heard("grace", "instruction.region")
    table.runs.typed(ada, "", table.file, None)
    assert table.heard("ada", "instruction.region")[-1]["regions"] == []
    assert grace


@pytest.mark.parametrize("mode", ["run", "variants", "question", "steer"])
async def test_what_was_marked_stays_marked_while_a_run_waits(engine: Puppet, mode: str) -> None:
    """Others type above it, in it and below it, in characters of all widths."""
    table = Table(engine, Queue(1), text="# é😀\n" + FUNCTIONS)
    ada, grace = table.person("ada"), table.person("grace")
    first = table.start(ada, "make f0 faster", 1)
    marked = "def f3(x):\n    return x + 3"
    at = utf16_length(table.text[: table.text.index(marked)])
    selection = {"anchor": at + len(marked), "head": at}
    if mode == "question":
        waits: Any = table.runs.ask(grace, "why?", table.file, selection)
    else:
        waits = table.runs.start(grace, "make it faster", table.file, selection, 2 if mode == "variants" else 1)
    data = table.text.encode()
    end = data.index(marked.encode()) + len(marked)
    table.room.document.splice(table.file, end + 1, 0, "# below\n", ada)
    table.room.document.splice(table.file, data.index(b"x + 3"), 1, "y", ada)
    table.room.document.splice(table.file, 0, 0, "# ü😀 above\n" * 5, ada)
    if mode == "steer":
        waits = table.runs.steer(ada, waits.id, "make it slower")
    table.runs.stop(first)
    assert {task.region for task, _ in engine.asked.values()} == {"def f3(x):\n    return y + 3"}
    if mode not in ("variants", "question"):
        assert waits.request.selection == {"anchor": (now := utf16_length(table.text[: table.text.index("def f3")])) + len(marked), "head": now}
    table.runs.stop(None)
    table.room.document.splice(table.file, 0, 0, "nobody listens any more\n", ada)


async def test_a_file_may_go_while_a_run_waits_in_it(engine: Puppet) -> None:
    table = Table(engine, Queue(1))
    ada = table.person("ada")
    first, waits = table.start(ada, "make f0 faster"), table.start(ada, "make f3 faster")
    table.runs.start(ada, "make f2 faster", table.file, None, 2)
    table.room.document.remove_files([table.file])
    table.runs.stop(first)
    assert [(each["run"], each["outcome"]) for each in table.heard("ada", "run.finished")] == [(first, "stopped"), (waits, "failed")]
    assert table.heard("ada", "variants.gone")[-1]["outcome"] == "failed"


async def test_a_busy_session_waits_for_a_quiet_one(engine: Puppet) -> None:
    queue = Queue(2)
    busy, quiet = Table(engine, queue), Table(engine, queue, session="t")
    ada, grace = busy.person("ada"), quiet.person("grace")
    first = [busy.start(ada, f"make f{number} faster", 0) for number in range(4)]
    assert set(engine.asked) == set(first[:2])
    asked = quiet.start(grace, "make f1 faster")
    assert quiet.heard("grace", "run.queued")[-1]["position"] == 1
    assert busy.heard("ada", "run.queued")[-1]["position"] == 3
    engine.answer(first[0], "return", "yield")
    assert set(engine.asked) == {first[1], asked}
    # A steer has its run's place: nobody who waits comes before it, and nobody is moved.
    steered = quiet.runs.steer(grace, asked, "and shorter")
    assert steered
    assert set(engine.asked) == {first[1], steered.id}
    busy.runs.stop(first[2])
    assert busy.heard("ada", "run.queued")[-1]["position"] == 1
    quiet.runs.stop(None)
    assert set(engine.asked) == {first[1], first[3]}
    for table in (busy, quiet):
        table.runs.stop(None)
    assert not engine.asked


async def test_one_person_does_not_take_all_of_a_sessions_turns(engine: Puppet) -> None:
    table = Table(engine, Queue(20))
    ada, grace = table.person("ada"), table.person("grace")
    adas = [table.start(ada, f"make f{number} faster") for number in range(5)]
    assert list(engine.asked) == adas[:3]
    assert "ENSEMBLE_MAX_PARALLEL_RUNS_PER_PERSON" in table.heard("grace", "run.queued")[-1]["reason"]
    graces = table.start(grace, "make f5 faster")
    assert list(engine.asked) == [*adas[:3], graces]


async def test_a_run_whose_file_has_gone_ends_with_the_models_first_word(engine: Puppet) -> None:
    """Also where all of the reply comes at once, with something to tell before its text."""
    queue = Queue(1)
    table = Table(engine, queue)
    ada = table.person("ada")
    run = table.start(ada, "make f0 faster")
    table.room.document.remove_files([table.file])
    table.runs.tell_live(table.person("grace"))
    engine.tell(run, Started(9, 0, saw=(Seen("b.py", 1, 1, "edited"),)), Finished("declined", 3, 1.0, None, "Nothing to do."))
    assert table.heard("ada", "run.finished")[-1]["outcome"] == "failed"
    assert table.runs.idle or table.runs.cards.busy
    assert not queue._streaming
