"""Which other files of a session help with an instruction: named in it, imported, open, defining what it names, lately edited.

``helpful`` is pure. ``Context`` knows a room's files as they were a moment ago, so that a keystroke need not read them all.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from editor.document import Document
from editor.regions import COMMON
from inference.api import Source

# Files are read for what they define this often at most, and so many characters of them all.
REFRESH_S = 2.0
SCAN_CHARS = 400_000
# A longer file is data, not source.
LONGEST = 200_000
RECENT = 8
# Where a file says what it imports, in characters from its beginning.
IMPORTS_WITHIN = 50_000

# Of none of them the time grows with the square of what somebody has typed: they run at every keystroke.
DEFINES = re.compile(
    r"^[ \t]*(?:export |default |async |pub |public |static |abstract )*(?:def|class|function|fn|func|interface|type|struct|enum|trait|const|let|var)"
    r"[ \t*]+(\w{3,})",
    re.MULTILINE,
)
SELECTORS = re.compile(r"[.#]([A-Za-z][\w-]{2,})[^{};\n]{0,200}\{")
PYTHON = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+([\w, \t*()]+)|import[ \t]+([\w., \t]+))", re.MULTILINE)
SCRIPT = re.compile(r"""(?:\bfrom\s*|\bimport\s*(?:\(\s*)?|\brequire\s*\(\s*)["']([^"'\n]+)["']""")
MARKUP = re.compile(r"""\b(?:src|href)\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)
STYLE = re.compile(r"""@(?:import|use|forward)\s+(?:url\(\s*)?["']?([^"')\s;]+)""")
SCRIPT_ENDINGS = ("", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".d.ts", ".json", "/index.ts", "/index.tsx", "/index.js", "/index.jsx")


@dataclass(frozen=True)
class Known:
    """What is known of a session's files. ``opened``: those that people look at, of the most people first; ``recent``: lately edited, newest first.

    ``defined``: path -> names that it defines.
    """

    paths: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    recent: tuple[str, ...] = ()
    defined: Mapping[str, frozenset[str]] = field(default_factory=dict)


def helpful(path: str, text: str, instruction: str, known: Known, most: int) -> list[tuple[str, str]]:
    """(path, why) of at most ``most`` files beside ``path``, the most helpful first."""
    words = {word for word in re.findall(r"[A-Za-z_][\w-]{2,}", instruction) if word.lower() not in COMMON}
    own = known.defined.get(path, frozenset())
    chosen: dict[str, str] = {}

    def take(paths: Iterable[str], why: str) -> None:
        for other in paths:
            if other != path and other in known.paths:
                chosen.setdefault(other, why)

    take((other for other in known.paths if _named(other, instruction, words)), "named in the instruction")
    take(imported(path, text, known.paths), "imported")
    for word in sorted(words - own):
        take((other for other in known.paths if word in known.defined.get(other, ())), f"defines {word}")
    take(known.opened, "open")
    take(known.recent, "edited lately")
    return list(chosen.items())[:most]


def _named(path: str, instruction: str, words: set[str]) -> bool:
    name = path.rpartition("/")[2]
    stem = name.partition(".")[0]
    # `in` first: this runs at every keystroke, over every file.
    return (name in instruction and bool(re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", instruction))) or (len(stem) > 3 and stem in words)


def imported(path: str, text: str, paths: Iterable[str]) -> list[str]:
    """The session's files that this one imports, includes or links, in the order in which it names them."""
    there = set(paths)
    text = text[:IMPORTS_WITHIN]
    kind = path.rpartition(".")[2].lower()
    folder = posixpath.dirname(path)
    found: list[str] = []
    if kind in ("py", "pyi"):
        for start, names, modules in PYTHON.findall(text):
            wanted = [name.strip().split(" ")[0] for name in modules.split(",")] if modules else [start]
            if start:
                wanted += [f"{(start.rstrip('.') and start + '.') or start}{name.strip(' ()').split(' ')[0]}" for name in names.split(",")]
            for module in wanted:
                found += _module(module, folder, there)
    if kind in ("js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "vue", "svelte", "html", "htm"):
        for name in SCRIPT.findall(text):
            found += _relative(name, folder, there, SCRIPT_ENDINGS, bare=False)
    if kind in ("html", "htm", "vue", "svelte"):
        for name in MARKUP.findall(text):
            found += _relative(name, folder, there)
    if kind in ("css", "scss", "sass", "less", "html", "htm"):
        for name in STYLE.findall(text):
            found += _relative(name, folder, there, ("", ".css", ".scss", ".less"))
    return [other for other in dict.fromkeys(found) if other != path]


def _module(module: str, folder: str, there: set[str]) -> list[str]:
    """A Python module's file: relative to the folder, or as a path from the root or any folder above."""
    name = module.lstrip(".")
    up = len(module) - len(name)
    inner = name.replace(".", "/")
    bases = [folder, *_above(folder)]
    if up:
        bases = bases[up - 1 : up]
    for base in bases:
        for ending in (".py", "/__init__.py", ".pyi"):
            file = posixpath.join(base, inner).rstrip("/") + ending if inner else posixpath.join(base, "__init__.py")
            if file in there:
                return [file]
    return []


def _above(folder: str) -> list[str]:
    parts = folder.split("/") if folder else []
    return ["/".join(parts[:count]) for count in range(len(parts) - 1, -1, -1)]


def _relative(name: str, folder: str, there: set[str], endings: tuple[str, ...] = ("",), bare: bool = True) -> list[str]:
    if "://" in name or name.startswith(("#", "data:", "mailto:")) or (not bare and name[0] not in "./@~"):
        return []
    name = re.split(r"[?#]", name)[0]
    rooted = name.lstrip("@~/")
    bases = [rooted, f"src/{rooted}"] if name.startswith(("/", "@/", "~/")) else [posixpath.normpath(posixpath.join(folder, name))]
    # TypeScript names the script that it will become.
    bases += [re.sub(r"\.[cm]?js$", "", base) for base in bases if re.search(r"\.[cm]?js$", base)]
    return next(([base + ending] for base in bases for ending in endings if base + ending in there), [])


def opened(states: Iterable[str]) -> list[str]:
    """The files that people have open, by their awareness states: those of the most people first."""
    looked = [json.loads(state).get("file") for state in states]
    return [file for file, _ in Counter(file for file in looked if isinstance(file, str)).most_common()]


class Context:
    """Owner of what a room knows of its files for this. ``states``: the members' awareness; ``clock``: the loop's time."""

    def __init__(self, document: Document, states: Callable[[], list[str]], clock: Callable[[], float]) -> None:
        self._document = document
        self._states = states
        self._clock = clock
        self._read_at = -REFRESH_S
        self._texts: dict[str, str] = {}
        self._defined: dict[str, frozenset[str]] = {}
        self._recent: list[str] = []

    def others(self, file: str, text: str, instruction: str, most: int) -> tuple[Source, ...]:
        """The other files that help with an instruction in this one, as they are now. Raises KeyError where the file is gone."""
        files = self._document.files()
        if len(files) < 2 or most < 1:
            return ()
        self._refresh(files)
        known = Known(
            paths=tuple(sorted(files.values())),
            opened=tuple(files[each] for each in opened(self._states()) if each in files),
            recent=tuple(files[each] for each in self._recent if each in files),
            defined={files[each]: names for each, names in self._defined.items() if each in files},
        )
        ids = {path: each for each, path in files.items()}
        out = []
        for path, why in helpful(files[file], text, instruction, known, most):
            content = self._document.text(ids[path])
            if content.strip() and len(content) <= LONGEST:
                out.append(Source(path, content, why))
        return tuple(out)

    def _refresh(self, files: dict[str, str]) -> None:
        now = self._clock()
        if now - self._read_at < REFRESH_S:
            return
        first = not self._texts
        self._read_at = now
        left = SCAN_CHARS
        for file in [*self._recent, *(file for file in files if file not in self._recent)]:
            if file not in files or left <= 0:
                continue
            text = self._document.text(file)
            left -= len(text)
            if self._texts.get(file) == text:
                continue
            self._texts[file] = text
            if not first:
                self._recent = [file, *(other for other in self._recent if other != file)][:RECENT]
            kind = files[file].rpartition(".")[2].lower()
            names = (SELECTORS if kind in ("css", "scss", "less") else DEFINES).findall(text[:LONGEST])
            self._defined[file] = frozenset(names)
        for gone in [file for file in self._texts if file not in files]:
            del self._texts[gone]
            self._defined.pop(gone, None)
