"""Edits of HTML. Elements are spoken of by tag or by what people call them."""

from __future__ import annotations

import re

from inference.training.edits.code import inserted, replaced_line
from inference.training.scene import Edit, Place, Said, indent_of, name, spliced, text, transform

CALLED = {
    "h1": ["heading", "h1", "main heading", "headline", "header"], "h2": ["h2", "subheading", "second heading", "subtitle"], "h3": ["h3"],
    "title": ["title", "page title", "tab title"], "button": ["button", "button label", "button text"], "p": ["paragraph", "p", "text"],
    "a": ["link", "link text"], "label": ["label"], "th": ["table header", "th"], "option": ["option"], "span": ["span"], "td": ["cell", "td"],
    "legend": ["legend"], "figcaption": ["caption"], "summary": ["summary"], "footer": ["footer", "footer text"], "caption": ["caption"],
}  # fmt: skip
THINGS = {
    "h1": "heading", "h2": "h2", "ul": "list", "ol": "list", "form": "form", "button": "button", "p": "paragraph", "img": "image", "input": "input",
    "body": "body", "nav": "nav", "table": "table", "section": "section", "header": "header", "footer": "footer", "div": "div", "main": "main",
    "a": "link", "select": "dropdown", "label": "label", "span": "span", "textarea": "text area",
}  # fmt: skip
CONTAINER = r"(body|main|section|div|form|header|footer|article|nav|aside|fieldset)"


def leaves(region: str, tag: str) -> list[re.Match[str]]:
    """Elements that hold nothing but text, on one line."""
    return list(re.finditer(rf"<(?P<tag>{tag})(?P<attributes>(?: [^<>]*)?)>(?P<inside>[^<>\n{{}}]+)</{tag}>", region))


def once(region: str, tags: dict[str, str]) -> list[str]:
    return [tag for tag in tags if len(re.findall(rf"<{tag}[ >]", region)) == 1]


def called(place: Place, tag: str) -> str:
    return place.random.choice([tag, THINGS[tag], THINGS[tag]])


@transform("html", weight=4)
def element_text(place: Place) -> Edit | None:
    tags = [tag for tag in CALLED if len(leaves(place.region, tag)) == 1]
    if not tags:
        return None
    tag = place.random.choice(tags)
    match = leaves(place.region, tag)[0]
    new = place.words.phrase() if tag == "p" else place.words.label()
    slots = {"kind": place.random.choice(CALLED[tag]), "new": text(new), "old": text(match["inside"])}
    return Edit(spliced(place.region, match, new, "inside"), "say", slots, ("kind", "new"))


@transform("html", weight=3)
def text_from(place: Place) -> Edit | None:
    found = [m for m in re.finditer(r">(?P<inside>[A-Za-z][^<>\n{}]{1,40})</", place.region) if place.region.count(m["inside"]) == 1]
    if not found:
        return None
    match = place.random.choice(found)
    new = place.words.label()
    return Edit(spliced(place.region, match, new, "inside"), "say", {"old": text(match["inside"]), "new": text(new), "kind": "text"}, ("old", "new"))


@transform("html", weight=2)
def word_in_text(place: Place) -> Edit | None:
    inside = " ".join(re.findall(r">([^<>{}\n]+)<", place.region))
    known = [word for word in re.findall(r"[A-Za-z]{3,}", inside) if len(re.findall(rf"(?<!\w){word}(?!\w)", place.region)) == 1]
    if not known:
        return None
    old = place.random.choice(known)
    new = place.words.word()
    new = new.capitalize() if old[0].isupper() else new
    result = re.sub(rf"(?<!\w){old}(?!\w)", new, place.region)
    return Edit(result, "replace", {"old": text(old), "new": text(new), "kind": "word"}, ("old", "new"))


def items(place: Place) -> list[tuple[int, re.Match[str]]]:
    return [(n, m) for n, line in enumerate(place.lines) if (m := re.match(r"(?P<head> *<li[^<>]*>)(?P<inside>[^<>\n{}]+)</li>$", line))]


@transform("html", weight=4)
def add_item(place: Place) -> Edit | None:
    found = items(place)
    if not found or len(re.findall(r"<[uo]l", place.region)) > 1:
        return None
    new = place.words.label()
    style = found[-1][1]["inside"]
    new = new[:1].upper() + new[1:] if style[:1].isupper() else new.lower()
    said = new.lower() if place.maybe(0.4) else new
    slots = {"item": text(said)}
    kind = place.random.choices(["last", "first", "after"], [8, 1, 1])[0]
    at, match = found[-1] if kind == "last" else found[0] if kind == "first" else place.random.choice(found)
    line = f"{match['head']}{new}</li>"
    if kind == "first":
        return Edit(inserted(place.lines, at, line), "list_item_first", slots, ("item",))
    if kind == "after":
        return Edit(inserted(place.lines, at + 1, line), "list_item_after", {**slots, "other": text(match["inside"])}, ("item", "other"))
    return Edit(inserted(place.lines, at + 1, line), "list_item", slots, ("item",))


@transform("html", weight=2)
def remove_item(place: Place) -> Edit | None:
    found = items(place)
    if len(found) < 2:
        return None
    at, match = place.random.choice(found)
    said = match["inside"].lower() if place.maybe(0.4) else match["inside"]
    return Edit(replaced_line(place.lines, at), "remove_item", {"item": text(said)}, ("item",))


def appended(place: Place, *new: str) -> str | None:
    """At the end of the outermost container that closes in the region; after everything, where none does."""
    lines = place.lines
    closed = [n for n, line in enumerate(lines) if re.match(rf" *</{CONTAINER}>$", line)]
    if not closed:
        if not re.match(r" *<(h\d|p|ul|ol|button|a|img|label|input|table)\b", place.region) or not lines[-1].strip().endswith(">"):
            return None
        return inserted(lines, len(lines), *(indent_of(lines[0]) + line for line in new))
    at = closed[-1]
    space = indent_of(lines[at]) + "  "
    for line in reversed(lines[:at]):
        if line.strip():
            space = indent_of(line) if not re.match(rf" *<{CONTAINER}[^/]*>$", line) else indent_of(line) + "  "
            break
    return inserted(lines, at, *(space + line for line in new))


@transform("html", weight=4)
def add_element(place: Place) -> Edit | None:
    said, tag = place.random.choice(
        [
            ("button", "button"),
            ("paragraph", "p"),
            ("heading", "h2"),
            ("h2", "h2"),
            ("h3", "h3"),
            ("link", "a"),
            ("h1", "h1"),
            ("label", "label"),
            ("p", "p"),
        ]
    )
    inside = place.words.phrase(6) if tag == "p" else place.words.label()
    result = appended(place, f"<{tag}{' href=' + chr(34) + '#' + chr(34) if tag == 'a' else ''}>{inside}</{tag}>")
    return Edit(result, "element", {"element": said, "text": text(inside)}, ("element", "text")) if result else None


@transform("html", weight=1.5)
def add_link(place: Place) -> Edit | None:
    url, inside = place.words.url(), place.words.label()
    result = appended(place, f'<a href="{url}">{inside}</a>')
    return Edit(result, "link", {"url": url, "text": text(inside)}, ("url", "text")) if result else None


@transform("html")
def add_image(place: Place) -> Edit | None:
    url, alt = place.words.word() + place.random.choice([".png", ".jpg", ".svg"]), place.words.label()
    described = place.maybe(0.5)
    result = appended(place, f'<img src="{url}" alt="{alt if described else ""}">')
    slots = {"url": url, "text": text(alt)}
    return Edit(result, "image_alt" if described else "image", slots, ("url", "text") if described else ("url",)) if result else None


@transform("html", weight=1.5)
def add_input(place: Place) -> Edit | None:
    kind, new = place.random.choice(["text", "email", "password", "number", "checkbox", "date", "tel", "search"]), place.words.identifier(parts=1)
    result = appended(place, f'<input type="{kind}" name="{new}">')
    return Edit(result, "input", {"type": kind, "name": name(new)}, ("type", "name")) if result else None


def with_attribute(place: Place, attribute: str, value: str) -> tuple[str, str] | None:
    """The region with the attribute set on one element, and what the element is called."""
    tags = once(place.region, THINGS)
    if not tags:
        return None
    tag = place.random.choice(tags)
    match = re.search(rf"<{tag}(?P<inside>(?: [^<>]*)?)>", place.region)
    if not match:
        return None
    inside = match["inside"]
    old = re.search(rf' {attribute}="([^"]*)"', inside)
    if old and attribute == "class":
        inside = inside[: old.end(1)] + " " + value + inside[old.end(1) :]
    elif old:
        inside = inside[: old.start(1)] + value + inside[old.end(1) :]
    else:
        inside = f'{inside} {attribute}="{value}"'
    return spliced(place.region, match, inside, "inside"), called(place, tag)


@transform("html", weight=2)
def add_class(place: Place) -> Edit | None:
    new = place.words.identifier("a-b", place.random.choice([1, 1, 2]))
    made = with_attribute(place, "class", new)
    return Edit(made[0], "add_class", {"name": name(new), "element": made[1]}, ("name", "element")) if made else None


@transform("html", weight=1.5)
def add_id(place: Place) -> Edit | None:
    new = place.words.identifier("a-b", place.random.choice([1, 1, 2]))
    made = with_attribute(place, "id", new)
    return Edit(made[0], "add_id", {"name": name(new), "element": made[1]}, ("name", "element")) if made else None


@transform("html")
def set_attribute(place: Place) -> Edit | None:
    attribute = place.random.choice(["title", "data-" + place.words.word(), "style", "lang", "role", "aria-label"])
    value = (
        f"color: {place.words.colour()}"
        if attribute == "style"
        else place.words.label()
        if attribute in ("title", "aria-label")
        else place.words.word()
    )
    made = with_attribute(place, attribute, value)
    slots = {"attribute": attribute, "value": text(value), "element": made[1]} if made else {}
    return Edit(made[0], "set_attribute", slots, ("attribute", "value", "element")) if made else None


@transform("html", weight=2)
def change_attribute(place: Place) -> Edit | None:
    found = list(
        re.finditer(r' (?P<attribute>href|src|placeholder|type|alt|name|action|value|lang|content|width|id|for)="(?P<inside>[^"{}]*)"', place.region)
    )
    found = [m for m in found if sum(m["attribute"] == other["attribute"] for other in found) == 1]
    if not found:
        return None
    match = place.random.choice(found)
    attribute = match["attribute"]
    new = {"href": place.words.url(), "action": place.words.url(), "src": place.words.word() + ".png", "width": place.words.number()}.get(
        attribute, place.words.word()
    )
    result = spliced(place.region, match, new, "inside")
    if attribute == "href" and place.maybe(0.4):
        return Edit(result, "link_target", {"url": new}, ("url",))
    if attribute == "alt" and place.maybe(0.4):
        return Edit(result, "set_alt", {"text": text(new)}, ("text",))
    return Edit(result, "set", {"name": attribute, "value": text(new), "old": text(match["inside"])}, ("name", "value"))


@transform("html")
def flag_attribute(place: Place) -> Edit | None:
    tags = [tag for tag in ("input", "button", "select", "textarea") if len(re.findall(rf"<{tag}[ >]", place.region)) == 1]
    if not tags:
        return None
    tag = place.random.choice(tags)
    flag = place.random.choice(["disabled", "required", "autofocus", "readonly"]) if tag != "button" else "disabled"
    match = re.search(rf"<{tag}(?P<inside>(?: [^<>]*)?)>", place.region)
    if not match or flag in match["inside"]:
        return None
    slots = {"element": THINGS[tag], "attribute": flag}
    return Edit(spliced(place.region, match, f"{match['inside']} {flag}", "inside"), "flag_attribute", slots, ("attribute",))


@transform("html")
def remove_class(place: Place) -> Edit | None:
    found = list(re.finditer(r' class="(?P<inside>[\w-]+(?: [\w-]+)*)"', place.region))
    if not found:
        return None
    match = place.random.choice(found)
    known = match["inside"].split()
    old = place.random.choice(known)
    if len(re.findall(rf"(?<![\w-]){re.escape(old)}(?![\w-])", place.region)) != 1:
        return None
    rest = " ".join(word for word in known if word != old)
    result = spliced(place.region, match, f' class="{rest}"' if rest else "")
    return Edit(result, "remove_thing", {"name": name(old), "kind": "class"}, ("name", "kind"))


@transform("html", weight=1.5)
def change_tag(place: Place) -> Edit | None:
    tags = [
        t
        for t in ("h1", "h2", "h3", "p", "ul", "ol", "div", "section", "span", "b")
        if len(re.findall(rf"<{t}[ >]", place.region)) == 1 == place.region.count(f"</{t}>")
    ]
    if not tags:
        return None
    old = place.random.choice(tags)
    group = next(
        g for g in (["ul", "ol"], ["h1", "h2", "h3", "h4"], ["div", "section", "article", "main"], ["span", "strong", "em", "b", "p"]) if old in g
    )
    new = place.random.choice([tag for tag in group if tag != old])
    result = re.sub(rf"<(/?){old}(?=[ >])", rf"<\1{new}", place.region)
    return Edit(result, "change_tag", {"old": name(old), "new": name(new)}, ("old", "new"))


@transform("html", weight=2)
def remove_element(place: Place) -> Edit | None:
    whole = {
        "h1": "heading",
        "p": "paragraph",
        "button": "button",
        "a": "link",
        "h2": "h2",
        "img": "image",
        "input": "input",
        "label": "label",
        "h3": "h3",
    }
    spots = [(n, m[1]) for n, line in enumerate(place.lines) if (m := re.fullmatch(r" *<(\w+)\b[^<>]*>(?:[^<>]*</\1>)?", line)) and m[1] in whole]
    spots = [(n, tag) for n, tag in spots if len(re.findall(rf"<{tag}[ >]", place.region)) == 1]
    if not spots or len(place.lines) < 2:
        return None
    at, tag = place.random.choice(spots)
    return Edit(replaced_line(place.lines, at), "remove_this", {"kind": place.random.choice([whole[tag], tag])}, ("kind",))


@transform("html")
def wrap_element(place: Place) -> Edit | None:
    spots = [(n, m[1]) for n, line in enumerate(place.lines) if (m := re.fullmatch(r" *<(\w+)\b[^<>]*>(?:[^<>]*</\1>)?", line)) and m[1] in THINGS]
    spots = [
        (n, tag)
        for n, tag in spots
        if len(re.findall(rf"<{tag}[ >]", place.region)) == 1 and (f"</{tag}>" in place.lines[n] or tag in ("img", "input"))
    ]
    if not spots:
        return None
    at, tag = place.random.choice(spots)
    wrapper = place.random.choice(["div", "section", "div", "header", "main", "center"])
    line, space = place.lines[at], indent_of(place.lines[at])
    result = replaced_line(place.lines, at, f"{space}<{wrapper}>", f"  {line}", f"{space}</{wrapper}>")
    return Edit(result, "wrap_element", {"element": called(place, tag), "wrapper": wrapper}, ("element", "wrapper"))


@transform("html", weight=1.5)
def make_bold(place: Place) -> Edit | None:
    found = list(re.finditer(r">([A-Za-z][^<>\n{}]{2,60})<", place.region))
    words = [w for m in found for w in re.findall(r"[A-Za-z]{3,}", m[1]) if len(re.findall(rf"(?<!\w){w}(?!\w)", place.region)) == 1]
    if not words:
        return None
    word = place.random.choice(words)
    if place.maybe(0.4):
        url = place.words.url()
        result = re.sub(rf"(?<!\w){word}(?!\w)", f'<a href="{url}">{word}</a>', place.region)
        return Edit(result, "make_link", {"text": text(word), "url": url}, ("text", "url"))
    look, tag = place.random.choice([("bold", "strong"), ("bold", "strong"), ("italic", "em"), ("strong", "strong"), ("italics", "em")])
    result = re.sub(rf"(?<!\w){word}(?!\w)", f"<{tag}>{word}</{tag}>", place.region)
    return Edit(result, "make_bold", {"text": text(word), "look": look}, ("text", "look"))


@transform("html")
def add_stylesheet(place: Place) -> Edit | None:
    ends = [n for n, line in enumerate(place.lines) if line.strip() == "</head>"]
    if not ends:
        return None
    above = place.lines[ends[0] - 1]
    space = indent_of(above) if not above.strip().startswith("<head") else indent_of(above) + "  "
    url = place.words.word() + ".css"
    return Edit(inserted(place.lines, ends[0], f'{space}<link rel="stylesheet" href="{url}">'), "stylesheet", {"url": url}, ("url",))


@transform("html")
def add_script(place: Place) -> Edit | None:
    ends = [n for n, line in enumerate(place.lines) if line.strip() == "</body>"]
    if not ends:
        return None
    above = place.lines[ends[0] - 1]
    space = indent_of(above) if not above.strip().startswith("<body") else indent_of(above) + "  "
    url = place.words.word() + ".js"
    return Edit(inserted(place.lines, ends[0], f'{space}<script src="{url}"></script>'), "script", {"url": url}, ("url",))


@transform("html", weight=0.7)
def html_comment(place: Place) -> Edit | None:
    said = place.words.phrase(6)
    result = f"{indent_of(place.region)}<!-- {said} -->\n{place.region}"
    return Edit(result, "html_comment", {"text": text(said)}, ("text",)) if place.region.strip() and "<!DOCTYPE" not in place.region else None


@transform("html", weight=1.5)
def add_option(place: Place) -> Edit | None:
    found = [(n, m) for n, line in enumerate(place.lines) if (m := re.match(r"( *)<option([^<>]*)>([^<>]+)</option>$", line))]
    if not found:
        return None
    at, match = found[-1]
    new = place.words.label()
    value = f' value="{new.lower().replace(" ", "-")}"' if "value=" in match[2] else ""
    slots: dict[str, Said | str] = {"text": text(new)}
    return Edit(inserted(place.lines, at + 1, f"{match[1]}<option{value}>{new}</option>"), "option", slots, ("text",))
