"""Edits of Markdown: headings, lists, tasks, words, links."""

from __future__ import annotations

import re

from inference.training.edits.code import inserted, replaced_line
from inference.training.scene import Edit, Place, name, text, transform

HEADING = re.compile(r"^(?P<level>#{1,4}) (?P<inside>[^#\n]+)$")
BULLET = re.compile(r"^(?P<head> *[-*] )(?P<inside>(?!\[[ x]\])[^\n]+)$")
TASK = re.compile(r"^(?P<space> *)- \[(?P<mark>[ x])\] (?P<inside>[^\n]+)$")
NUMBERED = re.compile(r"^(?P<number>\d+)\. (?P<inside>[^\n]+)$")


def matching(place: Place, pattern: re.Pattern[str]) -> list[tuple[int, re.Match[str]]]:
    if "```" in place.region:
        return []
    return [(n, m) for n, line in enumerate(place.lines) if (m := pattern.match(line))]


@transform("markdown", weight=3)
def change_heading(place: Place) -> Edit | None:
    found = matching(place, HEADING)
    if not found:
        return None
    at, match = place.random.choice(found)
    new = place.words.label()
    slots = {"old": text(match["inside"]), "new": text(new)}
    return Edit(replaced_line(place.lines, at, f"{match['level']} {new}"), "heading_change", slots, ("new",) if len(found) == 1 else ("old", "new"))


@transform("markdown", weight=2)
def add_heading(place: Place) -> Edit | None:
    if not place.region.strip() or place.after.strip():
        return None
    level, called = place.random.choice(
        [
            ("##", "heading"),
            ("##", "section"),
            ("##", "h2"),
            ("###", "h3"),
            ("##", "heading"),
            ("#", "h1"),
            ("###", "subheading"),
            ("##", "level 2 heading"),
        ]
    )
    said = place.words.label()
    return Edit(f"{place.region.rstrip()}\n\n{level} {said}", "heading_add", {"text": text(said), "level": called}, ("text", "level"))


@transform("markdown")
def heading_level(place: Place) -> Edit | None:
    found = matching(place, HEADING)
    if not found:
        return None
    at, match = place.random.choice(found)
    level = place.random.choice([n for n in (1, 2, 3) if n != len(match["level"])])
    target = text("the heading") if len(found) == 1 and place.maybe(0.5) else text(match["inside"])
    return Edit(
        replaced_line(place.lines, at, f"{'#' * level} {match['inside']}"), "heading_level", {"text": target, "level": f"h{level}"}, ("text", "level")
    )


@transform("markdown", weight=3)
def add_bullet(place: Place) -> Edit | None:
    found = matching(place, BULLET)
    blocks = [n for n, _ in found if n + 1 == len(place.lines) or not place.lines[n + 1].strip()]
    if len(blocks) != 1:
        return None
    match = dict(found)[blocks[0]]
    new = place.words.label() if place.maybe(0.6) else place.words.phrase(5)
    return Edit(inserted(place.lines, blocks[0] + 1, f"{match['head']}{new}"), "list_item", {"item": text(new)}, ("item",))


@transform("markdown", weight=1.5)
def remove_bullet(place: Place) -> Edit | None:
    found = matching(place, BULLET)
    if len(found) < 2:
        return None
    at, match = place.random.choice(found)
    said = match["inside"] if len(match["inside"].split()) < 5 or place.maybe(0.3) else match["inside"].split()[0]
    if sum(said in other["inside"] for _, other in found) != 1:
        return None
    return Edit(replaced_line(place.lines, at), "remove_item", {"item": text(said)}, ("item",))


@transform("markdown", weight=2)
def change_task(place: Place) -> Edit | None:
    found = matching(place, TASK)
    if not found:
        return None
    at, match = place.random.choice(found)
    done = match["mark"] == " "
    said = match["inside"].lower() if place.maybe(0.3) else match["inside"]
    result = replaced_line(place.lines, at, f"{match['space']}- [{'x' if done else ' '}] {match['inside']}")
    return Edit(result, "task_done" if done else "task_open", {"item": text(said)}, ("item",))


@transform("markdown", weight=1.5)
def add_task(place: Place) -> Edit | None:
    found = matching(place, TASK)
    if not found:
        return None
    at, match = found[-1]
    new = place.words.phrase(5)
    return Edit(inserted(place.lines, at + 1, f"{match['space']}- [ ] {new}"), "task_add", {"item": text(new)}, ("item",))


@transform("markdown")
def number_list(place: Place) -> Edit | None:
    found = matching(place, BULLET)
    if len(found) < 2 or found[-1][0] - found[0][0] != len(found) - 1 or any(m["head"] not in ("- ", "* ") for _, m in found):
        return None
    lines = place.lines
    for count, (at, match) in enumerate(found, 1):
        lines[at] = f"{count}. {match['inside']}"
    return Edit("\n".join(lines), "numbered")


@transform("markdown")
def bullet_list(place: Place) -> Edit | None:
    found = matching(place, NUMBERED)
    if len(found) < 2 or found[-1][0] - found[0][0] != len(found) - 1:
        return None
    lines = place.lines
    for at, match in found:
        lines[at] = f"- {match['inside']}"
    return Edit("\n".join(lines), "bulleted")


@transform("markdown", weight=2)
def mark_words(place: Place) -> Edit | None:
    if "```" in place.region:
        return None
    known = [word for word in re.findall(r"(?<![\w`*_\[(/.#-])[A-Za-z]{4,}(?![\w`*_\])/-])", place.region) if place.region.count(word) == 1]
    if not known:
        return None
    word = place.random.choice(known)
    if place.maybe(0.4):
        url = place.words.url()
        return Edit(place.region.replace(word, f"[{word}]({url})"), "make_link", {"text": text(word), "url": url}, ("text", "url"))
    look, mark = place.random.choice([("bold", "**"), ("bold", "**"), ("italic", "*"), ("italics", "*"), ("code", "`")])
    return Edit(place.region.replace(word, f"{mark}{word}{mark}"), "make_bold", {"text": text(word), "look": look}, ("text", "look"))


@transform("markdown", weight=3)
def replace_word(place: Place) -> Edit | None:
    known = [
        word
        for word in re.findall(r"(?<![\w/.`])[A-Za-z]{3,}(?![\w/`])", place.region)
        if len(re.findall(rf"(?<!\w){word}(?!\w)", place.region)) == 1
    ]
    if not known:
        return None
    old = place.random.choice(known)
    new = place.words.word()
    new = new.capitalize() if old[0].isupper() else new
    return Edit(re.sub(rf"(?<!\w){old}(?!\w)", new, place.region), "replace", {"old": text(old), "new": text(new), "kind": "word"}, ("old", "new"))


@transform("markdown", weight=1.5)
def add_paragraph(place: Place) -> Edit | None:
    if not place.region.strip() or place.after.strip() or "```" in place.region:
        return None
    said = place.words.phrase(9)
    return Edit(f"{place.region.rstrip()}\n\n{said}", "paragraph_add", {"text": text(said)}, ("text",))


@transform("markdown")
def change_link(place: Place) -> Edit | None:
    found = re.findall(r"\[[^\]\n]+\]\(([^()\s]+)\)", place.region)
    if len(found) != 1 or place.region.count(found[0]) != 1:
        return None
    url = place.words.url()
    result = place.region.replace(found[0], url)
    if place.maybe(0.5):
        return Edit(result, "link_target", {"url": url}, ("url",))
    return Edit(result, "replace", {"old": name(found[0]), "new": name(url), "kind": "link"}, ("old", "new"))
