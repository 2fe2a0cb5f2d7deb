"""The judge: what is right, what leaves the file alone, what damages; and the requests by hand are well made."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.training import evaluate, requests
from inference.training.evaluate import Answer, Report, judge
from inference.training.requests import Request, Unclear
from inference.training.scene import Example

REGION = "a = 1\nb = 2\nc = 3"


def request(*right: str | None) -> Request:
    return Request(Example("t", "python", "a.py", "", REGION, "", "b should be 5", right[0]), right)


RIGHT = "a = 1\nb = 5\nc = 3"


def test_the_right_answer_is_right_but_for_blank_lines_around_it() -> None:
    assert judge(request(RIGHT), Answer(RIGHT + "\n")).right == 1


def test_an_answer_that_changes_nothing_is_unchanged() -> None:
    for answer in (Answer(None, declined=True), Answer(None, malformed=True)):
        tally = judge(request(RIGHT), answer)
        assert (tally.edits, tally.unchanged, tally.damaging) == (1, 1, 0)


def test_a_wrong_value_in_the_right_line_is_wrong_and_no_damage() -> None:
    tally = judge(request(RIGHT), Answer("a = 1\nb = 7\nc = 3"))
    assert (tally.right, tally.unchanged, tally.damaging) == (0, 0, 0)


def test_another_line_lost_is_damage() -> None:
    assert judge(request(RIGHT), Answer("a = 1\nb = 5")).damaging == 1
    assert judge(request(RIGHT), Answer("a = 5\nb = 2\nc = 3")).damaging == 1


def test_what_should_be_declined_is_right_when_declined() -> None:
    assert judge(request(None), Answer(None, declined=True)).refused == 1
    assert judge(request(None), Answer(RIGHT)).refused == 0
    # Where doing it is right as well, doing it counts as an edit.
    assert judge(request(None, RIGHT), Answer(RIGHT)).right == 1


def test_there_are_three_hundred_requests_by_hand_and_each_asks_for_something() -> None:
    known = requests.read()
    assert len(known) >= 300
    for known_request in known:
        assert known_request.right and known_request.example.region not in known_request.right
    assert sum(known_request.right[0] is None for known_request in known) >= 30


def test_a_change_that_could_mean_two_places_is_refused() -> None:
    with pytest.raises(Unclear):
        requests.changed("x = 1\ny = 1", ["1", "2"], everywhere=False)
    assert requests.changed("a b", ["a", "b", "b", "a"], everywhere=False) == "b a"


def test_the_rules_do_what_their_patterns_say_and_else_nothing() -> None:
    def answered(instruction: str) -> str | None:
        return evaluate.by_rules(Example("t", "python", "a.py", "", REGION, "", instruction, None)).result

    assert answered("please set b to 5") == RIGHT
    assert answered("rename a to first") == REGION.replace("a", "first")
    assert answered("remove c") == "a = 1\nb = 2"
    assert answered("make it nicer") is None


def test_a_report_survives_its_file(tmp_path: Path) -> None:
    report = evaluate.evaluate(evaluate.by_rules, "rules", {"group": [request(RIGHT), request(None)]})
    report.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json") == report
    assert report.total("group").right == 1 and "group" in evaluate.summary(report)
