"""The page's colours: whatever text stands on, it can be read (WCAG 2.2, 1.4.3: 4.5 to 1)."""

from __future__ import annotations

import re

import pytest

from editor.presence import MODEL_COLOR, PALETTE
from tests.conftest import ROOT

Colour = tuple[float, ...]
STYLES = ROOT / "static" / "src"
MARKS = ("match", "add-soft", "remove-soft", "accent-soft", "ghost-soft", "selection")


def theme(name: str) -> dict[str, str]:
    css = (STYLES / "base.css").read_text()
    selector = {"light": r":root", "dark": r':root\[data-theme="dark"\]'}[name]
    body = re.search(selector + r" \{(.*?)\n\}", css, re.DOTALL)
    assert body
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]+);", body[1]))


def tint(file: str, selector: str) -> float:
    """How much of a person's colour is in what marks their text."""
    found = re.search(rf"(?m)^{selector} \{{\s*background: color-mix\(in srgb, var\(--who\) (\d+)%", (STYLES / file).read_text())
    assert found, selector
    return int(found[1]) / 100


def over(colour: str, ground: Colour, share: float | None = None) -> Colour:
    """A colour, perhaps with alpha, on a ground."""
    parts = [int(colour[at : at + 2], 16) for at in range(1, len(colour), 2)]
    alpha = share if share is not None else parts[3] / 255 if len(parts) == 4 else 1
    return tuple(part * alpha + below * (1 - alpha) for part, below in zip(parts[:3], ground, strict=True))


def luminance(colour: Colour) -> float:
    red, green, blue = (part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Colour, other: Colour) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_code_can_be_read_on_whatever_marks_it(name: str) -> None:
    values = theme(name)
    selected = tint("editor.css", r"\.caret-selection")
    written = tint("history.css", r"\.authored" if name == "light" else r'\[data-theme="dark"\] \.authored')
    surface = over(values["surface"], (0, 0, 0))
    grounds: dict[str, Colour] = {}
    for where, below in (("", surface), (" in the line of the caret", over(values["line"], surface))):
        grounds[f"nothing{where}"] = below
        grounds |= {mark + where: over(values[mark], below) for mark in MARKS}
        for person in (*PALETTE, MODEL_COLOR):
            grounds[f"{person}'s selection{where}"] = over(person, below, selected)
            grounds[f"{person}'s text{where}"] = over(person, below, written)
    code = [key for key in values if key.startswith("syn-")] + ["text"]
    assert len(code) == 9
    poor = {(key, ground): round(contrast(over(values[key], surface), grounds[ground]), 2) for key in code for ground in grounds}
    assert not {pair: ratio for pair, ratio in poor.items() if ratio < 4.5}


@pytest.mark.parametrize("name", ["light", "dark"])
def test_words_can_be_read_on_every_surface(name: str) -> None:
    values = theme(name)
    for word in ("text", "muted", "faint", "accent", "warn", "add", "remove"):
        for surface in ("bg", "surface", "sunken", "raised"):
            ground = over(values[surface], (0, 0, 0))
            assert contrast(over(values[word], ground), ground) >= 4.5, (word, surface)
    for mark in ("add-soft", "remove-soft"):
        ground = over(values[mark], over(values["surface"], (0, 0, 0)))
        for word in ("muted", mark.removesuffix("-soft")):
            assert contrast(over(values[word], ground), ground) >= 4.5, (word, mark)
    for word, surface in (("accent-text", "accent"), ("ink-text", "ink"), ("stop-text", "stop")):
        ground = over(values[surface], (0, 0, 0))
        assert contrast(over(values[word], ground), ground) >= 4.5, (word, surface)
