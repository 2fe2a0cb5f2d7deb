"""The C++ compiler: finding it, and working round one of its bugs."""

import os
import platform
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from project.bootstrap.steps import Problem, write

INSTALL = (
    "Install one and run the same command again: 'sudo apt install g++' on Debian and Ubuntu, "
    "'sudo dnf install gcc-c++' on Fedora, 'xcode-select --install' on macOS."
)

# GCC before 14 (and its older point releases) says that `ldtilecfg` reads 8 bytes of the tile configuration; it reads 64.
# The optimiser then drops the stores to the other 56, and the first quantised matrix product on a CPU with AMX crashes.
# This header says the truth. It costs nothing where the compiler's own is right already, nor on a CPU without AMX.
AMX_HEADER = """\
#pragma once
#if defined(__AMX_TILE__)
#include <immintrin.h>
#undef _tile_loadconfig
#define _tile_loadconfig(config) __asm__ volatile("ldtilecfg\\t%X0" : : "m"(*(const char (*)[64])(config)))
#endif
"""


@dataclass(frozen=True)
class Compiler:
    cxx: str  # as CMake wants it: a path
    version: str  # what identifies it: a different compiler means a new build
    gcc: int | None  # major version, None for clang and others
    x86_64: bool

    @property
    def needs_amx_header(self) -> bool:
        return self.x86_64 and self.gcc is not None and self.gcc < 14


def find() -> Compiler | None:
    """The C++ compiler that CMake would take ($CXX, c++, g++, clang++), if it can compile; else None."""
    for name in [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]:
        words = shlex.split(name)
        if not shutil.which(words[0]):
            continue
        # A standard header as input: a compiler without its library is of no use either.
        asked = subprocess.run(
            [*words, "-dM", "-E", "-x", "c++", "-"],
            input="#include <vector>\n",
            capture_output=True,
            text=True,
            errors="replace",
        )
        if asked.returncode == 0:
            return _describe(name, shutil.which(words[0]) or name, asked.stdout)
    return None


def _describe(name: str, path: str, macros: str) -> Compiler:
    known = dict(re.findall(r"^#define (__\w+__) (.+)$", macros, re.MULTILINE))
    gcc = int(known["__GNUC__"]) if "__GNUC__" in known and "__clang__" not in known else None
    return Compiler(
        cxx=path if shlex.split(name) == [name] else name,
        # Through all links, as /bin/c++ and /usr/bin/c++ are the same.
        version=f"{os.path.realpath(path)} {known.get('__VERSION__', '')}",
        gcc=gcc,
        x86_64="__x86_64__" in known,
    )


def require() -> Compiler:
    if compiler := find():
        return compiler
    if os.environ.get("CXX"):
        raise Problem(f"The C++ compiler named by CXX ({os.environ['CXX']}) does not work. Correct or unset CXX. {INSTALL}")
    raise Problem(f"There is no working C++ compiler here, and the model's engine has to be compiled. {INSTALL}")


def write_amx_header(folder: Path) -> Path:
    path = folder / "amx-tile-config.h"
    if not path.is_file() or path.read_text() != AMX_HEADER:
        write(path, AMX_HEADER)
    return path


def cpu() -> str:
    """What -march=native depends on: moved to another CPU, the library must be built anew."""
    about = Path("/proc/cpuinfo")
    if about.is_file():
        first = about.read_text(errors="replace").split("\n\n")[0]
        wanted = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU part", "isa")
        lines = [line.partition(":") for line in first.splitlines()]
        return "\n".join(f"{key.strip()}:{value.strip()}" for key, _, value in lines if key.strip() in wanted)
    return f"{platform.machine()} {platform.processor()}"
