"""llama.cpp: its source, the compiled libraries, and the trial that shows they work on this CPU.

llama-cpp-python is on PyPI as source only, and its own build makes far more than Ensemble loads (libcommon, libmtmd).
Here CMake builds libllama and libggml alone, and the Python files are installed without a build; the libraries are put beside them.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from inference.machine import available
from project.bootstrap import compiler, python_env, steps
from project.bootstrap.steps import CACHE, ROOT, Problem, say

RECORD = CACHE / "llama.json"
BUILD = CACHE / "llama-build"
MODELS = ROOT / "inference" / "models"
ARGUMENTS = "ENSEMBLE_CMAKE_ARGS"

# Everything that llama.cpp builds beside the two libraries, turned off.
CMAKE = [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=ON",
    "-DLLAMA_BUILD_COMMON=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_TOOLS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_SERVER=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_OPENSSL=OFF",
    # The libraries find each other wherever the environment lies.
    "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",
    f"-DCMAKE_INSTALL_RPATH={'@loader_path' if sys.platform == 'darwin' else '$ORIGIN'}",
]

PROBE_CANNOT_LOAD = 3  # exit status of inference.probe


def version() -> str:
    return python_env.pins(python_env.REQUIREMENTS)[python_env.COMPILED]


def package() -> Path:
    """The unpacked source of llama-cpp-python."""
    return CACHE / "llama-source" / f"llama_cpp_python-{version()}"


def source() -> Path:
    """llama.cpp itself: tests use its vocabularies, benchmarks build llama-server from it."""
    return package() / "vendor" / "llama.cpp"


def libraries() -> Path:
    packages = python_env.VENV / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    return packages / "llama_cpp" / "lib"


def record() -> dict[str, Any]:
    """What was built: version, compiler, flags, whether the repacked weights ("extra buffers") may be used."""
    try:
        return dict(json.loads(RECORD.read_text()))
    except (OSError, ValueError):
        return {}


def check_compiler() -> None:
    """Before the downloads, so that nobody waits for them in vain."""
    if not libraries().exists():
        compiler.require()


def prepare() -> None:
    check_compiler()
    found = compiler.find()
    inputs = [
        version(),
        python_env.identity(),
        # A compiler that was removed after the build is not missed.
        found.version if found else record().get("compiler"),
        compiler.cpu(),
        compiler.AMX_HEADER,
        CMAKE,
        os.environ.get(ARGUMENTS, ""),
    ]
    # The record is an output too: without it nobody knows what the libraries are.
    if not steps.is_fresh("llama", inputs, libraries(), source(), RECORD):
        steps.begin("llama")
        _fetch()
        _build(native=True)
        steps.finish("llama", inputs)
    _prove(inputs)


def _fetch() -> None:
    if source().is_dir():
        return
    folder = package().parent
    shutil.rmtree(folder, ignore_errors=True)
    temporary = CACHE / "llama-download"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    name = f"{python_env.COMPILED}=={version()}"
    say(f"Fetching the source of {name} from PyPI (77 MB)")
    # Without isolation pip needs nothing more from the network to read the package's name and version.
    options: list[str | Path] = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--dest", temporary]
    python_env.pip("llama-source", "download", *options, name, progress=lambda line: None)
    for archive in temporary.glob("*.tar.gz"):
        with tarfile.open(archive) as files:
            if hasattr(tarfile, "data_filter"):  # not yet in Python 3.11.0 to 3.11.3
                files.extraction_filter = staticmethod(tarfile.data_filter)
            files.extractall(temporary / "unpacked")
        archive.unlink()
    # One rename at the end: a source that lies there is whole.
    (temporary / "unpacked").rename(folder)
    shutil.rmtree(temporary)
    if not source().is_dir():
        raise Problem(f"The source of {name} does not look as expected: {source().relative_to(ROOT)} is missing.")


def _flags(found: compiler.Compiler, native: bool) -> list[str]:
    flags = [*CMAKE, f"-DGGML_NATIVE={'ON' if native else 'OFF'}"]
    if found.needs_amx_header:
        header = compiler.write_amx_header(CACHE)
        own = os.environ.get("CXXFLAGS", "")
        flags.append(f'-DCMAKE_CXX_FLAGS={own} -include "{header}"'.replace("= ", "="))
    return flags + shlex.split(os.environ.get(ARGUMENTS, ""))


def _build(*, native: bool) -> None:
    found = compiler.require()
    flags = _flags(found, native)
    bin_ = python_env.VENV / "bin"
    env = environment(found)
    count = jobs()
    say(f"Compiling llama.cpp for this machine (once; 1 to 5 minutes; {count} files at a time)")
    started = time.monotonic()

    # An interrupted build goes on where it was, but only with the same flags for the same source.
    remembered = BUILD / "ensemble-flags.json"
    wanted = json.dumps([str(source()), found.version, compiler.cpu(), flags])
    if not remembered.is_file() or remembered.read_text() != wanted:
        shutil.rmtree(BUILD, ignore_errors=True)
        steps.write(remembered, wanted)
    make = f"-DCMAKE_MAKE_PROGRAM={bin_ / 'ninja'}"
    steps.run("llama-build", [bin_ / "cmake", "-S", source(), "-B", BUILD, "-G", "Ninja", make, *flags], env=env)
    steps.run("llama-build", [bin_ / "ninja", "-C", BUILD, "-j", str(count), "llama"], progress=ninja, env=env)

    env["CMAKE_ARGS"] = "-DLLAMA_BUILD=OFF"
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--force-reinstall"]
    python_env.pip("llama-build", "install", *options, package(), progress=lambda line: None, env=env)
    _put_libraries()
    done = {
        "version": version(),
        "compiler": found.version,
        "flags": flags,
        "native": native,
        "amx_header": found.needs_amx_header,
        "use_extra_bufts": True,
    }
    steps.write(RECORD, json.dumps(done, indent=1) + "\n")
    shutil.rmtree(BUILD, ignore_errors=True)
    say(f"  compiled in {time.monotonic() - started:.0f} s")


def environment(found: compiler.Compiler) -> dict[str, str]:
    """What a build is run with beside our own environment."""
    return {"CXX": found.cxx, "PATH": f"{python_env.VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def _put_libraries() -> None:
    temporary = libraries().with_name("lib.new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for pattern in ("lib*.so*", "lib*.dylib"):
        for library in (BUILD / "bin").glob(pattern):
            shutil.copy2(library, temporary / library.name, follow_symlinks=False)
    shutil.rmtree(libraries(), ignore_errors=True)
    temporary.rename(libraries())


def jobs() -> int:
    """As many compilers as there are cores, and no more than there is memory for (one takes up to about 1 GB)."""
    if chosen := os.environ.get("ENSEMBLE_JOBS", ""):
        if not chosen.isdecimal() or int(chosen) < 1:
            raise Problem(f"ENSEMBLE_JOBS is a whole number from 1 up, not '{chosen}'.")
        return int(chosen)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, available()[1] // (1 << 30)))


def ninja(line: str) -> str | None:
    if not line.startswith("[") or "] " not in line:
        return None
    count, _, rest = line.partition("] ")
    return f"{count}] {rest.split('/')[-1].removesuffix('.o')}"


# The trial


def embedded_model() -> Path | None:
    return min(MODELS.glob("*.gguf"), default=None)


def _prove(built: list[Any]) -> None:
    """Let a child process use the fresh library: a native crash takes the whole process with it, so it must not be the server."""
    model = embedded_model()
    if model is None:
        say("There is no model in inference/models yet, so the compiled engine was not tried.")
        return
    inputs = [built, model.name, model.stat().st_size, model.stat().st_mtime_ns]
    if steps.is_fresh("llama-probe", inputs):
        return
    steps.begin("llama-probe")
    say("Trying the compiled engine on the embedded model (a few seconds)")
    if not _try_both(model):
        if record().get("native"):
            say("The engine compiled for exactly this CPU does not work here, so it is compiled once more for any CPU of this kind.")
            _build(native=False)
        if not _try_both(model):
            raise Problem(
                "The compiled engine crashes on this machine even in its plainest form. "
                f"Try another compiler (CXX=clang++ make run) or other CMake arguments in {ARGUMENTS}; the details are in .cache/log/llama-probe.log."
            )
    steps.finish("llama-probe", inputs)


def _try_both(model: Path) -> bool:
    for extra in (True, False):
        if _try(model, extra):
            steps.write(RECORD, json.dumps({**record(), "use_extra_bufts": extra}, indent=1) + "\n")
            if not extra:
                say("The fast path for this CPU crashes with this compiler, so the slower path is used (about a quarter of the speed).")
            return True
    return False


def _try(model: Path, extra: bool) -> bool:
    command = [str(python_env.PYTHON), "-m", "inference.probe", str(model), *([] if extra else ["--no-extra-buffers"])]
    with (CACHE / "log" / "llama-probe.log").open("a", encoding="utf-8") as log:
        log.write(f"$ {shlex.join(command)}\n")
        log.flush()
        try:
            done = subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.PIPE, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            log.write("no answer after 300 s\n")
            return False
        why = f"signal {signal.Signals(-done.returncode).name}" if done.returncode < 0 else f"exit status {done.returncode}"
        log.write(f"{done.stderr}{why}\n")
    if done.returncode == PROBE_CANNOT_LOAD:
        raise Problem(f"The embedded model cannot be loaded: {done.stderr.strip() or model}. Restore it with 'git checkout inference/models'.")
    return done.returncode == 0
