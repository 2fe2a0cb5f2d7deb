"""Our own attention and products for this processor, compiled against llama.cpp's library and tried on the embedded model.

The engine uses them where they lie beside that library, so they are left there only where they work; without them llama.cpp's own do.
"""

import shlex
import subprocess
import sys
from pathlib import Path

from project.bootstrap import compiler, llama, python_env, steps
from project.bootstrap.steps import CACHE, ROOT, Passing, Problem, say

STEP = "llama-kernels"
SOURCES = sorted(path for path in (ROOT / "inference" / "cpu").iterdir() if path.suffix in {".cpp", ".h"} and path.name[0] != ".")
NAME = "libensemble-kernels.dylib" if sys.platform == "darwin" else "libensemble-kernels.so"
TRY_S = 120


def prepare() -> None:
    """Nothing that fails here keeps the server from starting."""
    target, beside = llama.libraries() / NAME, llama.libraries() / NAME.replace("ensemble-kernels", "ggml-cpu")
    model = llama.embedded_model()
    if model is None or not beside.exists():
        return
    native, extra = bool(llama.record().get("native")), bool(llama.record().get("use_extra_bufts", True))
    # Another compiler or processor makes another library, so its time stands for them, and an ordinary start asks no compiler.
    inputs = [native, extra, SOURCES, beside.resolve().stat().st_mtime_ns]
    if steps.is_fresh(STEP, inputs) or (found := compiler.find()) is None:
        return
    steps.begin(STEP)
    target.unlink(missing_ok=True)
    if native or not found.x86_64:  # there is nothing to gain on just any x86-64 processor
        say("Compiling what makes the engine fast on this processor (about ten seconds)")
        works = False
        try:
            files = [source for source in SOURCES if source.suffix == ".cpp"]
            steps.run(STEP, [*shlex.split(found.cxx), *_flags(found, native), *files, "-o", target, *_links()], env=llama.environment(found))
            works = _try(model, extra)
        except Passing as problem:
            return say(f"  {problem} Until then llama.cpp's own is used.")
        except (Problem, subprocess.TimeoutExpired):
            pass
        finally:
            if not works:
                target.unlink(missing_ok=True)
        if not works:
            say(f"  it does not work here, so llama.cpp's own is used; the details are in .cache/log/{STEP}.log")
    steps.finish(STEP, inputs)


def _flags(found: compiler.Compiler, native: bool) -> list[str]:
    headers = [llama.source() / "ggml" / folder for folder in ("include", "src", "src/ggml-cpu")]
    # Not all compilers for ARM know -march=native; what is used of it every 64-bit ARM has.
    tuned = ["-march=native"] if native and found.x86_64 else []
    return ["-std=c++17", "-O3", *tuned, "-fPIC", "-shared", *(word for folder in headers for word in ("-isystem", str(folder)))]


def _links() -> list[str]:
    here = "@loader_path" if sys.platform == "darwin" else "$ORIGIN"
    return ["-L", str(llama.libraries()), "-lggml-cpu", "-lggml-base", f"-Wl,-rpath,{here}"]


def _try(model: Path, extra: bool) -> bool:
    """In a child process: a native crash takes the whole process with it."""
    command = [str(python_env.PYTHON), "-m", "inference.probe", str(model), "--kernels", *([] if extra else ["--no-extra-buffers"])]
    with (CACHE / "log" / f"{STEP}.log").open("a", encoding="utf-8") as log:
        return subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, timeout=TRY_S).returncode == 0
