"""What the model reads while nobody asks: the files that people look at, once they are quiet."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

from editor.warming import FILES, QUIET_S, Warming
from inference.api import Engine, ModelInfo, Source, Task


class Reader:
    """An engine that notes what it is given to read."""

    def __init__(self, form: str = "chat") -> None:
        self.info = ModelInfo("test", "ready", format=form)
        self.tasks: list[Task] = []

    def warm(self, task: Task) -> None:
        self.tasks.append(task)

    def paths(self) -> list[str]:
        paths = [task.path for task in self.tasks]
        self.tasks.clear()
        return paths


def room(texts: dict[str, str], *looking: str) -> Any:
    made = SimpleNamespace(session="room", changed_at=0.0, texts=texts, looking=list(looking))
    made.peers = SimpleNamespace(states=lambda: [json.dumps({"file": file}) for file in made.looking])
    made.document = SimpleNamespace(files=lambda: {file: f"{file}.py" for file in made.texts}, text=lambda file: made.texts[file])
    made.limits = SimpleNamespace(other_files=6)
    made.context = SimpleNamespace(others=lambda file, text, instruction, most: made.helping)
    made.helping = ()
    return made


def test_it_reads_the_other_files_that_help_as_well() -> None:
    engine, live = Reader(), room({"a": "import b"}, "a")
    live.helping = (Source("b.py", "y = 2", "imported"),)
    Warming(live, cast(Engine, engine)).look(10.0)
    assert engine.tasks[0].others == live.helping


def test_what_people_look_at_is_read_once_and_again_when_it_has_changed_and_is_quiet() -> None:
    engine, live = Reader(), room({"a": "x = 1", "b": "y = 2", "c": ""}, "b", "a", "b", "c", "gone")
    warming = Warming(live, cast(Engine, engine))
    warming.look(10.0)
    assert engine.tasks[0] == Task("room", "", "b.py", "", "", "y = 2", "")
    assert engine.paths() == ["b.py", "a.py"]
    warming.look(11.0)
    assert engine.paths() == []
    live.texts["a"], live.changed_at = "x = 2", 12.0
    warming.look(12.0 + QUIET_S / 2)
    assert engine.paths() == []
    warming.look(12.0 + QUIET_S)
    assert engine.paths() == ["a.py"]


def test_a_model_that_comes_back_reads_anew_and_the_built_in_one_reads_nothing() -> None:
    engine, live = Reader(), room({"a": "x = 1"}, "a")
    warming = Warming(live, cast(Engine, engine))
    warming.look(10.0)
    engine.info = ModelInfo("test", "loading")
    warming.look(11.0)
    engine.info = ModelInfo("test", "ready", format="chat")
    warming.look(12.0)
    assert engine.paths() == ["a.py", "a.py"]
    small = Reader("patch")
    Warming(live, cast(Engine, small)).look(10.0)
    assert small.paths() == []


def test_only_so_many_files_of_a_room_are_read() -> None:
    names = [f"file{number}" for number in range(FILES + 3)]
    engine, live = Reader(), room(dict.fromkeys(names, "x"), *names)
    Warming(live, cast(Engine, engine)).look(10.0)
    assert len(engine.paths()) == FILES
