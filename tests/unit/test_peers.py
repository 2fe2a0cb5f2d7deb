"""Clocks of awareness states, where something was said for somebody: renamed, gone, back."""

from __future__ import annotations

from unittest.mock import Mock

from editor import wire
from editor.members import Member, Person
from editor.peers import Peers


def member() -> Member:
    return Member(Person("p", "Ada", "#000000", "editor", "edit"), Mock())


def said(peers: Peers, of: Member, clock: int, file: str) -> None:
    peers.take(of, [wire.AwarenessEntry(7, clock, f'{{"file":"{file}"}}')], 4096)


def entries(frame: bytes | None) -> list[tuple[int, bool]]:
    found = wire.decode(frame or wire.awareness([]))
    assert isinstance(found, wire.Awareness)
    return [(entry.clock, "one" in entry.state) for entry in found.entries if entry.client == 7]


def test_one_who_was_renamed_and_hears_of_it_by_another_tab_is_not_sent_round_for_ever() -> None:
    peers, ada, other = Peers(lambda: None), member(), member()
    other.person = Person("q", "Bob", "#000000", "editor", "edit")
    assert peers.bind(ada, 7, [ada])
    said(peers, ada, 5, "one")
    peers.renamed(ada.person)
    moved = peers.take_moved()
    assert moved and entries(moved(other)) == [(6, True)]
    assert moved(ada) is not None and entries(moved(ada)) == [], "nothing of their own comes back"
    # Told by another tab: its own state, at the clock that the others have.
    said(peers, ada, 6, "one")
    assert peers.take_moved() is None, "that is no news"
    said(peers, ada, 7, "two")
    moved = peers.take_moved()
    assert moved and entries(moved(other)) == [(7, False)]


def test_a_move_that_meets_the_clock_of_what_was_said_for_one_is_not_lost() -> None:
    peers, ada, other = Peers(lambda: None), member(), member()
    assert peers.bind(ada, 7, [ada])
    said(peers, ada, 5, "one")
    peers.renamed(ada.person)
    peers.take_moved()
    said(peers, ada, 6, "two")
    moved = peers.take_moved()
    assert moved and entries(moved(other)) == [(7, False)]
    peers.left(ada)
    moved = peers.take_moved()
    assert moved and entries(moved(other)) == [(7, False)]
    said(peers, ada, 6, "one")
    moved = peers.take_moved()
    assert moved and entries(moved(other)) == [(8, True)], "back, and newer than the news that they had gone"


def test_who_comes_gets_nothing_of_their_own() -> None:
    peers, ada, tab = Peers(lambda: None), member(), member()
    tab.person = ada.person
    assert peers.bind(ada, 7, [ada])
    said(peers, ada, 5, "one")
    assert entries(peers.frame(tab)) == []
    assert peers.bind(tab, 8, [ada, tab])
    assert entries(peers.frame(tab)) == [(5, True)], "the other tab's, once it is known which is which"
