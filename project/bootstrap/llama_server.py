"""llama-server and llama-bench, for tests and benchmarks: around the libraries that are compiled already, from the same source."""

import json
import shutil
from pathlib import Path

from project.bootstrap import compiler, llama, python_env, steps
from project.bootstrap.steps import CACHE, say

BUILD = CACHE.resolve() / "llama-peers"
RECIPE = Path(__file__).with_name("cmake")
SERVER, BENCH = "llama-server", "llama-bench"


def path(program: str) -> Path:
    """Where `prepare` puts it; there is nothing before."""
    return BUILD / "bin" / program


def prepare(*programs: str) -> None:
    """Compiles what is missing of them. Raises Problem."""
    found = compiler.find()
    inputs = [llama.version(), found.version if found else "", RECIPE / "CMakeLists.txt", str(llama.libraries().resolve())]
    missing = [program for program in programs if not steps.is_fresh(program, inputs, path(program))]
    if not missing:
        return
    found = compiler.require()
    for program in missing:
        steps.begin(program)
    # An interrupted build goes on where it was, but only with the same recipe.
    remembered, wanted = BUILD / "ensemble-inputs.json", steps.digest([inputs, str(RECIPE)])
    if not remembered.is_file() or json.loads(remembered.read_text()) != wanted:
        shutil.rmtree(BUILD, ignore_errors=True)
        steps.write(remembered, json.dumps(wanted))
    jobs = llama.jobs()
    say(f"Compiling {' and '.join(missing)} to compare with (once; 2 to 5 minutes; {jobs} files at a time)")
    bin_ = python_env.VENV / "bin"
    env = llama.environment(found)
    options = [f"-DLLAMA={llama.source().resolve()}", f"-DLIBRARIES={llama.libraries().resolve()}", "-DCMAKE_BUILD_TYPE=Release"]
    make = [f"-DCMAKE_MAKE_PROGRAM={bin_ / 'ninja'}", "-DBUILD_SHARED_LIBS=ON"]
    steps.run("llama-peers", [bin_ / "cmake", "-S", RECIPE, "-B", BUILD, "-G", "Ninja", *make, *options], env=env)
    steps.run("llama-peers", [bin_ / "ninja", "-C", BUILD, "-j", str(jobs), *missing], progress=llama.ninja, env=env)
    for program in missing:
        steps.finish(program, inputs)
