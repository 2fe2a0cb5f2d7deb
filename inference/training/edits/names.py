"""Renaming, in Python and JavaScript alike."""

from __future__ import annotations

import re

from inference.training.edits.code import bound_names, functions, param_name
from inference.training.scene import Edit, Place, count_word, name, transform, whole_word
from inference.training.words import RESERVED

BOTH = ("python", "javascript", "typescript")


def renamed(region: str, old: str, new: str) -> str | None:
    """None where it is not plain what a person would expect: the name is an attribute, a key, or in a text, too."""
    if count_word(new, region) or re.search(rf"\.{re.escape(old)}\b", region):
        return None
    texts = re.findall(r"\"\"\".*?\"\"\"|'''.*?'''|\"[^\"\n]*\"|'[^'\n]*'|`[^`]*`|#.*|//.*|/\*.*?\*/", region, re.DOTALL)
    if any(count_word(old, text) for text in texts) or re.search(rf"(?m)^\s*{re.escape(old)}:", region):
        return None
    if re.search(rf"\(([^()]*, ?)?{re.escape(old)}=", region) and not re.search(rf"def \w+\([^()]*{re.escape(old)}=", region):
        return None
    return re.sub(whole_word(old), new, region)


@transform(*BOTH, weight=4)
def rename_variable(place: Place) -> Edit | None:
    known = bound_names(place.region)
    if not known:
        return None
    # Names used in several places are the difficult ones: draw them more often.
    counts = [min(count_word(candidate, place.region), 5) for candidate in known]
    old = place.random.choices(known, counts)[0]
    new = place.words.identifier(old)
    result = renamed(place.region, old, new)
    kind = place.random.choice(["variable", "var", "name", "variable"])
    return Edit(result, "rename", {"old": name(old), "new": name(new), "kind": kind}, ("old", "new")) if result else None


@transform(*BOTH, weight=2)
def rename_parameter(place: Place) -> Edit | None:
    found = functions(place)
    if len(found) != 1 or not found[0].params:
        return None
    known = [param_name(param) for param in found[0].params]
    known = [param for param in known if re.fullmatch(r"[A-Za-z_]\w*", param) and param not in RESERVED]
    if not known:
        return None
    old = place.random.choice(known)
    new = place.words.identifier(old)
    result = renamed(place.region, old, new)
    kind = place.random.choice(["parameter", "argument", "param", "arg"])
    return Edit(result, "rename", {"old": name(old), "new": name(new), "kind": kind}, ("old", "new")) if result else None


@transform(*BOTH, weight=2)
def rename_function(place: Place) -> Edit | None:
    found = [f for f in functions(place) if not f.name.startswith("__")]
    if not found:
        return None
    old = place.random.choice(found).name
    new = place.words.identifier(old)
    if count_word(new, place.region):
        return None
    # Calls of it change too, also through self.
    result = re.sub(rf"(?<![\w\"'$]){re.escape(old)}(?= ?\()", new, place.region)
    if count_word(old, result):
        return None
    kind = place.random.choice(["function", "method"] if place.lines[0].startswith((" ", "class")) else ["function", "function", "func"])
    if len(found) == 1 and place.maybe(0.35):
        return Edit(result, "rename_this", {"kind": kind, "new": name(new)}, ("new",))
    return Edit(result, "rename", {"old": name(old), "new": name(new), "kind": kind}, ("old", "new"))


@transform(*BOTH)
def rename_class(place: Place) -> Edit | None:
    classes = re.findall(r"(?m)^ *(?:export )?class (\w+)", place.region)
    if len(classes) != 1:
        return None
    new = place.words.identifier("Name")
    result = renamed(place.region, classes[0], new)
    if not result:
        return None
    if place.maybe(0.35):
        return Edit(result, "rename_this", {"kind": "class", "new": name(new)}, ("new",))
    return Edit(result, "rename", {"old": name(classes[0]), "new": name(new), "kind": "class"}, ("old", "new"))


@transform(*BOTH)
def rename_attribute(place: Place) -> Edit | None:
    found = list(dict.fromkeys(re.findall(r"\b(?:self|this)\.([a-z_]\w+)\b(?! ?\()", place.region)))
    if not found:
        return None
    old = place.random.choice(found)
    new = place.words.identifier(old)
    bare = re.sub(rf"\b(self|this)\.{old}\b", "", place.region)
    if count_word(old, bare) or count_word(new, place.region):
        return None
    result = re.sub(rf"\b(self|this)\.{old}\b", rf"\1.{new}", place.region)
    said = place.random.choice(["", "", "self." if place.language == "python" else "this."])
    slots = {"old": name(said + old), "new": name(said + new), "kind": place.random.choice(["attribute", "field", "property"])}
    return Edit(result, "rename", slots, ("old", "new"))
