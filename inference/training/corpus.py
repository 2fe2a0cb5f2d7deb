"""Source code of packages that are installed here under permissive licences; nothing is downloaded.

A package is in when its own metadata names a licence of ``PERMISSIVE`` and no other; the standard library is PSF.
Whole packages are held out, by a hash of their names: the evaluation's code is unlike the training's.
"""

from __future__ import annotations

import hashlib
import json
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from inference.training.words import held

PERMISSIVE = {
    "MIT",
    "MIT-0",
    "BSD",
    "BSD-2-CLAUSE",
    "BSD-3-CLAUSE",
    "0BSD",
    "APACHE-2.0",
    "APACHE 2.0",
    "APACHE",
    "ISC",
    "PSF-2.0",
    "PSF",
    "PYTHON-2.0",
}
CLASSIFIERS = {
    "MIT License": "MIT",
    "BSD License": "BSD",
    "Apache Software License": "APACHE-2.0",
    "Python Software Foundation License": "PSF",
    "ISC License (ISCL)": "ISC",
}
LANGUAGES = {
    ".py": "python", ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".ts": "typescript", ".mts": "typescript", ".html": "html",
    ".css": "css", ".json": "json", ".yml": "yaml", ".yaml": "yaml", ".toml": "toml", ".md": "markdown", ".sh": "shell",
}  # fmt: skip
HELD_OUT_SHARE = 10
SMALLEST, LARGEST, LONGEST_LINE = 150, 120_000, 300


@dataclass(frozen=True)
class Source:
    path: str
    language: str
    package: str
    licence: str
    held_out: bool
    text: str


def licence_names(expression: str) -> set[str]:
    return {part.strip().upper() for part in re.split(r"\b(?:AND|OR|and|or|/)\b|[(),/]", expression) if part.strip()}


def licence_of(distribution: Distribution) -> str | None:
    """The licence as the package gives it, or None where that is not plainly permissive."""
    meta = distribution.metadata
    expression = meta["License-Expression"] or meta["License"] or ""
    expression = re.sub(r"\b(license|licence|the|version|clause)\b|[\"']", "", expression, flags=re.IGNORECASE) if len(expression) < 60 else ""
    names = licence_names(re.sub(r"\s+", " ", expression.replace("2-", "2-Clause").replace("3-", "3-Clause").replace("ClauseClause", "Clause")))
    if names and names <= PERMISSIVE:
        return " / ".join(sorted(names))
    classified = [
        line.rsplit(" :: ", 1)[1] for line in meta.get_all("Classifier") or [] if line.startswith("License :: ") and "OSI Approved ::" in line
    ]
    if not names and classified and all(name in CLASSIFIERS for name in classified):
        return " / ".join(sorted(CLASSIFIERS[name] for name in classified))
    return None


def python_packages(site: Path) -> Iterator[tuple[str, str, Path]]:
    """Package, licence and one of its files, for each file."""
    for distribution in sorted(distributions(path=[str(site)]), key=lambda d: d.metadata["Name"]):
        licence = licence_of(distribution)
        for file in (distribution.files or []) if licence else []:
            # Code of others that a package carries along has licences of its own.
            if licence and not re.search(r"_vendor|vendored|/extern/|dist-info|\.\.", str(file)):
                yield distribution.metadata["Name"], licence, site / str(file)


def standard_library() -> Iterator[tuple[str, str, Path]]:
    root = Path(sysconfig.get_path("stdlib"))
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).parts
        if parts[0] not in ("site-packages", "lib2to3", "test", "idlelib") and "tests" not in parts:
            # Modules are held out one by one: as one package it would be all or nothing.
            yield f"python/{parts[0].removesuffix('.py')}", "PSF", file


def node_packages(modules: Path) -> Iterator[tuple[str, str, Path]]:
    for manifest in sorted([*modules.glob("*/package.json"), *modules.glob("@*/*/package.json")]):
        licence = json.loads(manifest.read_text(encoding="utf-8")).get("license", "")
        if isinstance(licence, str) and licence_names(licence) and licence_names(licence) <= PERMISSIVE:
            for file in sorted(manifest.parent.rglob("*")):
                if "node_modules" not in file.relative_to(manifest.parent).parts and not file.name.endswith(".min.js"):
                    yield f"npm/{manifest.parent.relative_to(modules)}", licence, file


def readable(file: Path) -> str | None:
    """The text, where it looks written by people: no minified, generated, exotic or huge files."""
    try:
        if not SMALLEST < file.stat().st_size < LARGEST:
            return None
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    lines = text.split("\n")
    if len(lines) < 5 or max(map(len, lines)) > LONGEST_LINE or sum(character > "\x7f" for character in text) > 20 or "<|" in text:
        return None
    return text.replace("\r\n", "\n").expandtabs(4)


def collect(sites: list[Path], modules: list[Path]) -> list[Source]:
    """Every source once, in a fixed order."""
    found: list[Source] = []
    seen: set[bytes] = set()
    everything = [standard_library(), *map(python_packages, sites), *map(node_packages, modules)]
    for package, licence, file in (entry for packages in everything for entry in packages):
        language = LANGUAGES.get(file.suffix)
        text = readable(file) if language else None
        if not language or text is None:
            continue
        digest = hashlib.md5(text.encode()).digest()
        if digest in seen:
            continue
        seen.add(digest)
        found.append(Source("/".join(file.parts[-3:]), language, package, licence, held(package, HELD_OUT_SHARE), text))
    return found


def save(sources: list[Source], path: Path) -> None:
    path.write_text("\n".join(json.dumps(asdict(source)) for source in sources), encoding="utf-8")


def load(path: Path) -> list[Source]:
    return [Source(**json.loads(line)) for line in path.read_text(encoding="utf-8").split("\n")]


def packages(sources: list[Source]) -> dict[str, tuple[str, bool]]:
    """Name -> licence and whether it is held out, for the card."""
    return {source.package: (source.licence, source.held_out) for source in sources}
