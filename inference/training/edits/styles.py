"""Edits of CSS: properties, rules, selectors."""

from __future__ import annotations

import re

from inference.training.scene import Edit, Place, name, spliced, transform

PROPERTIES = (
    "color background background-color padding margin font-size width height border border-radius display text-align font- "
    "weight position opacity font-family cursor line-height margin-top margin-bottom max-width gap z-index padding-left "
    "border-color top left text-decoration letter-spacing box-shadow overflow flex-direction justify-content align-items "
    "transition min-height"
).split()
CALLED = {
    "color": ["color", "text color", "font color", "colour"], "background": ["background", "bg"], "background-color": ["background color", "background", "bg color"],
    "border-radius": ["border radius", "corner radius", "rounded corners"], "font-size": ["font size", "text size"], "font-weight": ["font weight"],
    "text-align": ["text alignment", "text align", "alignment"], "max-width": ["max width", "maximum width"], "line-height": ["line height"],
    "margin-top": ["top margin", "margin on top"], "margin-bottom": ["bottom margin"], "font-family": ["font", "font family"],
    "padding-left": ["left padding"], "box-shadow": ["shadow", "box shadow"], "z-index": ["z index"], "min-height": ["min height", "minimum height"],
}  # fmt: skip
RULE = re.compile(r"(?m)^(?P<selector>[^\n{}@]+) \{\n(?P<inside>(?: +[a-z-]+:[^{}\n]+;\n)+)\}")
DECLARATION = re.compile(r"(?m)^(?P<space> *)(?P<property>[a-z-]+): ?(?P<value>[^;{}\n]+);$")


def value_for(prop: str, place: Place) -> str:
    dice, words = place.random, place.words
    length = dice.choice(
        [
            f"{dice.randint(0, 60)}px",
            f"{dice.randint(1, 9)}px",
            f"{dice.choice([1, 2, 1.5, 0.5])}rem",
            f"{dice.choice([10, 20, 50, 100])}%",
            f"{dice.randint(1, 4)}em",
        ]
    )
    if "color" in prop or prop == "background":
        return words.colour()
    known = {
        "display": ["flex", "block", "grid", "none", "inline-block"], "text-align": ["left", "center", "right", "justify"],
        "font-weight": ["bold", "normal", "600", "300"], "position": ["absolute", "relative", "fixed", "sticky"], "opacity": ["0.5", "0.8", "1", "0.3"],
        "font-family": ["Arial, sans-serif", "Georgia, serif", "monospace", "sans-serif", "Verdana", "Helvetica, sans-serif"], "cursor": ["pointer", "default", "move"],
        "line-height": ["1.2", "1.5", "2"], "z-index": [str(dice.randint(1, 100))], "text-decoration": ["none", "underline"], "overflow": ["hidden", "auto", "scroll"],
        "border": [f"{dice.randint(1, 4)}px {dice.choice(['solid', 'dashed', 'dotted'])} {words.colour()}", "none"], "flex-direction": ["row", "column"],
        "box-shadow": [f"0 {dice.randint(1, 6)}px {dice.randint(2, 20)}px {words.colour()}"], "justify-content": ["center", "space-between", "flex-end"],
        "align-items": ["center", "flex-start", "stretch"], "transition": [f"all 0.{dice.randint(1, 9)}s"],
    }  # fmt: skip
    return dice.choice(known.get(prop, [length]))


def called(prop: str, place: Place) -> str:
    return place.random.choice([prop, *CALLED.get(prop, [])])


def selector_called(selector: str, place: Place) -> str:
    """People say "the button" for .button and "the nav" for nav."""
    if re.fullmatch(r"[.#]?[a-z]+", selector) and place.maybe(0.5):
        return place.random.choice(["the ", ""]) + selector.lstrip(".#")
    return selector


@transform("css", weight=6)
def set_property(place: Place) -> Edit | None:
    found = list(DECLARATION.finditer(place.region))
    if not found:
        return None
    match = place.random.choice(found)
    prop = match["property"]
    new = value_for(prop, place)
    if new == match["value"]:
        return None
    properties = [m["property"] for m in found]
    said = called(prop, place)
    if (prop == "background-color" and "background" in properties) or (prop == "color" and said == "colour" and len(properties) > 1):
        said = prop
    slots = {"property": said, "value": new, "old": match["value"]}
    result = spliced(place.region, match, new, "value")
    if properties.count(prop) == 1:
        return Edit(result, "css_set", slots, ("property", "value") if place.region.count(match["value"]) > 1 else ("value", "property"))
    owner = [m for m in RULE.finditer(place.region) if m.start() < match.start() < m.end()]
    if not owner or place.region.count(owner[0]["selector"] + " {") != 1:
        return None
    slots["selector"] = selector_called(owner[0]["selector"], place)
    return Edit(result, "css_set", slots, ("property", "value", "selector"))


@transform("css", weight=5)
def add_property(place: Place) -> Edit | None:
    rules = list(RULE.finditer(place.region))
    if not rules:
        return None
    rule = place.random.choice(rules)
    inside = list(DECLARATION.finditer(rule["inside"]))
    free = [prop for prop in PROPERTIES if prop not in [m["property"] for m in inside]]
    if not inside or not free or place.region.count(rule["selector"] + " {") != 1:
        return None
    prop = place.random.choice(free)
    value = value_for(prop, place)
    at = rule.end("inside")
    result = f"{place.region[:at]}{inside[-1]['space']}{prop}: {value};\n{place.region[at:]}"
    slots = {
        "property": called(prop, place) if prop != "background-color" else prop,
        "value": value,
        "selector": selector_called(rule["selector"], place),
    }
    return Edit(result, "css_add", slots, ("property", "value", "selector") if len(rules) > 1 else ("property", "value"))


@transform("css", weight=2)
def remove_property(place: Place) -> Edit | None:
    found = list(DECLARATION.finditer(place.region))
    found = [m for m in found if sum(m["property"] == other["property"] for other in found) == 1]
    if not found or len(list(DECLARATION.finditer(place.region))) < 2:
        return None
    match = place.random.choice(found)
    result = place.region[: match.start()] + place.region[match.end() + 1 :]
    return Edit(result, "css_remove", {"property": called(match["property"], place)}, ("property",))


def new_selector(place: Place) -> str:
    words = place.words
    tag = place.random.choice("h1 h2 p a button body nav ul li img table input footer header".split())
    return place.random.choice(
        [f".{words.word()}", f"#{words.word()}", tag, tag, f".{words.word()}-{words.word()}", f".{words.word()}:hover", f".{words.word()} {tag}"]
    )


def indent_in(region: str) -> str:
    match = DECLARATION.search(region)
    return match["space"] if match else "  "


@transform("css", weight=2)
def add_rule(place: Place) -> Edit | None:
    if not place.region.endswith("}") or place.lines[-1] != "}":
        return None
    selector, prop = new_selector(place), place.random.choice(PROPERTIES)
    if selector + " {" in place.region:
        return None
    value = value_for(prop, place)
    result = f"{place.region}\n\n{selector} {{\n{indent_in(place.region)}{prop}: {value};\n}}"
    slots = {"selector": name(selector), "property": called(prop, place) if prop != "background-color" else prop, "value": value}
    return Edit(result, "css_rule", slots, ("selector", "property", "value"))


@transform("css", weight=1.5)
def add_hover(place: Place) -> Edit | None:
    known = re.findall(r"(?m)^([.#]?[a-zA-Z][\w-]*) \{$", place.region)
    if not known or place.lines[-1] != "}":
        return None
    selector, prop = place.random.choice(known), place.random.choice(PROPERTIES[:10])
    if f"{selector}:hover" in place.region:
        return None
    value = value_for(prop, place)
    result = f"{place.region}\n\n{selector}:hover {{\n{indent_in(place.region)}{prop}: {value};\n}}"
    slots = {"selector": selector_called(selector, place), "property": prop, "value": value}
    return Edit(result, "css_hover", slots, ("property", "value") if len(known) == 1 else ("selector", "property", "value"))


@transform("css")
def add_media(place: Place) -> Edit | None:
    known = re.findall(r"(?m)^([.#]?[a-zA-Z][\w-]*) \{$", place.region)
    if not known or place.lines[-1] != "}":
        return None
    selector, prop, size = place.random.choice(known), place.random.choice(PROPERTIES), f"{place.random.choice([400, 480, 600, 768, 800, 1024])}px"
    value, step = value_for(prop, place), indent_in(place.region)
    result = f"{place.region}\n\n@media (max-width: {size}) {{\n{step}{selector} {{\n{step * 2}{prop}: {value};\n{step}}}\n}}"
    return Edit(
        result, "css_media", {"size": size, "selector": selector, "property": prop, "value": value}, ("size", "selector", "property", "value")
    )


@transform("css")
def remove_rule(place: Place) -> Edit | None:
    rules = list(re.finditer(RULE.pattern + r"\n*", place.region))
    if len(rules) < 2:
        return None
    rule = place.random.choice(rules)
    if place.region.count(rule["selector"] + " {") != 1:
        return None
    result = (place.region[: rule.start()] + place.region[rule.end() :]).rstrip("\n")
    return Edit(result, "remove_thing", {"name": name(rule["selector"]), "kind": "rule"}, ("name",))


@transform("css")
def rename_selector(place: Place) -> Edit | None:
    known = re.findall(r"(?m)^([.#][\w-]+)(?= \{| |:)", place.region)
    if not known:
        return None
    old = place.random.choice(known)
    new = old[0] + place.words.identifier("a-b", place.random.choice([1, 2]))
    result = re.sub(rf"{re.escape(old)}(?![\w-])", new, place.region)
    return Edit(
        result,
        "rename",
        {"old": name(old), "new": name(new), "kind": place.random.choice(["selector", "class" if old[0] == "." else "id"])},
        ("old", "new"),
    )


@transform("css")
def group_selector(place: Place) -> Edit | None:
    rules = [m for m in RULE.finditer(place.region) if place.region.count(m["selector"] + " {") == 1]
    if not rules:
        return None
    rule, new = place.random.choice(rules), new_selector(place)
    result = spliced(place.region, rule, f"{rule['selector']}, {new}", "selector")
    return Edit(result, "css_selector_too", {"selector": name(rule["selector"]), "new": name(new)}, ("selector", "new"))
