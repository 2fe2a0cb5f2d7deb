"""Requests that the right answer to is a refusal: too large, no edit at all, or about something that is not there."""

from __future__ import annotations

import re

from inference.training.scene import Edit, Place, Said, count_word, name, text, transform

ALL = ("python", "javascript", "typescript", "html", "css", "json", "yaml", "toml", "markdown", "shell")


@transform(*ALL, weight=2.5)
def decline_large(place: Place) -> Edit | None:
    return Edit(None, "beyond_large")


@transform(*ALL, weight=1.5)
def decline_question(place: Place) -> Edit | None:
    return Edit(None, "beyond_explain")


@transform(*ALL, weight=0.7)
def decline_chat(place: Place) -> Edit | None:
    return Edit(None, "beyond_chat")


def absent(place: Place, like: str = "") -> str | None:
    """A name that neither the region nor what a person sees beside it knows."""
    made = place.words.identifier(like)
    around = f"{place.before[-600:]}{place.region}{place.after[:400]}".lower()
    return None if any(part in around for part in re.split(r"[_-]", made.lower())) or len(made) < 3 else made


@transform(*ALL, weight=2)
def decline_rename_absent(place: Place) -> Edit | None:
    """Something to rename, change or remove that is not in the region: better nothing than a guess."""
    old = absent(place)
    if not old or not place.region.strip():
        return None
    new = place.words.identifier()
    if place.maybe(0.5):
        kind = place.random.choice(["variable", "name", "function", "class", "key", "parameter"])
        return Edit(None, "rename", {"old": name(old), "new": name(new), "kind": kind}, ("old", "new"))
    return Edit(None, "remove_thing", {"name": name(old), "kind": place.random.choice(["line", "function", "entry"])}, ("name",))


@transform(*ALL, weight=2)
def decline_replace_absent(place: Place) -> Edit | None:
    if not place.region.strip():
        return None
    if place.maybe(0.5):
        old = absent(place)
        slots: dict[str, Said | str] = {"old": text(old or ""), "new": text(place.words.message()), "kind": "text"}
        return Edit(None, "say", slots, ("old", "new")) if old else None
    number = place.words.number()
    if count_word(number, place.region) or number in place.region:
        return None
    return Edit(None, "replace", {"old": number, "new": place.words.number(number), "kind": "number"}, ("old", "new"))


@transform("python", "javascript", "typescript", "json", "yaml", "toml", weight=1)
def decline_set_absent(place: Place) -> Edit | None:
    old = absent(place)
    if not old or not place.region.strip():
        return None
    if place.maybe(0.5) and place.language == "python":
        return Edit(None, "default", {"name": name(old), "value": place.words.literal()}, ("name", "value"))
    return Edit(None, "increase" if place.maybe(0.3) else "double", {"name": name(old), "count": place.words.number()}, ("name",))
