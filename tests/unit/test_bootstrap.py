"""The set-up: what it says when something is missing, what it redoes, and that its cure for GCC's AMX bug works."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inference.kernels import place
from project.bootstrap import __main__ as commands
from project.bootstrap import browser, compiler, kernels, llama, llama_server, node, python_env, steps
from project.bootstrap.steps import Problem

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A .cache of the test's own, in the modules that write there."""
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    for module in (steps, browser, node, llama, commands):
        monkeypatch.setattr(module, "CACHE", tmp_path / ".cache")
    monkeypatch.setattr(browser, "CHOSEN", tmp_path / ".cache" / "chromium")
    monkeypatch.setattr(llama, "RECORD", tmp_path / ".cache" / "llama.json")
    (tmp_path / ".cache" / "log").mkdir(parents=True)
    return tmp_path / ".cache"


def test_llama_server_is_compiled_once_and_wants_a_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_server, "BUILD", cache / "llama-peers")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(Problem, match="CXX"):
        llama_server.prepare(llama_server.SERVER)
    monkeypatch.delenv("CXX")
    ran: list[str] = []

    def run(step: str, command: list[object], **options: object) -> None:
        ran.append(str(command[-1]))
        llama_server.path(llama_server.SERVER).parent.mkdir(parents=True, exist_ok=True)
        llama_server.path(llama_server.SERVER).touch()

    monkeypatch.setattr(steps, "run", run)
    llama_server.prepare(llama_server.SERVER)
    assert ran[-1] == llama_server.SERVER
    done = len(ran)
    llama_server.prepare(llama_server.SERVER)
    assert len(ran) == done
    # Another program joins the same build.
    llama_server.prepare(llama_server.SERVER, llama_server.BENCH)
    assert ran[-1] == llama_server.BENCH and llama_server.SERVER not in ran[done:]
    llama_server.path(llama_server.SERVER).unlink()
    llama_server.prepare(llama_server.SERVER)
    assert ran[-1] == llama_server.SERVER


# Stamps


def test_a_finished_step_is_not_done_again_until_an_input_changes(cache: Path, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text("a==1")
    steps.finish("packages", [lock, "3.11"])
    assert steps.is_fresh("packages", [lock, "3.11"])
    assert not steps.is_fresh("packages", [lock, "3.12"])
    lock.write_text("a==2")
    assert not steps.is_fresh("packages", [lock, "3.11"])


def test_an_interrupted_step_is_done_again(cache: Path) -> None:
    steps.finish("packages", [])
    steps.begin("packages")
    assert not steps.is_fresh("packages", [])


def test_a_step_whose_output_was_deleted_is_done_again(cache: Path, tmp_path: Path) -> None:
    steps.finish("bundle", [])
    assert not steps.is_fresh("bundle", [], tmp_path / "dist")


def test_an_environment_that_was_deleted_is_filled_anew(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_env, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(python_env, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    ran: list[str] = []

    def run(step: str, command: list[object], **options: object) -> None:
        ran.append(step)
        python_env.PYTHON.parent.mkdir(parents=True, exist_ok=True)
        python_env.PYTHON.touch()

    monkeypatch.setattr(steps, "run", run)
    python_env.prepare(dev=True)
    first = list(ran)
    assert {"python-packages", "test-packages"} <= set(first)
    python_env.prepare(dev=True)
    assert ran == first
    shutil.rmtree(tmp_path / ".venv")
    python_env.prepare(dev=True)
    assert ran == first * 2
    assert not (cache / "stamps" / "node").exists(), "its Node lay there too"


@pytest.mark.parametrize(
    ("arguments", "without"),
    [
        ("", False),
        ("-k room", False),
        ("--ignore tests/browser", True),
        ("--ignore=tests/browser -x", True),
        ("tests/unit -k room", True),
        ("tests/unit tests/browser/test_pair.py", False),
        ("tests", False),
        ("tests/", False),
    ],
)
def test_a_browser_is_needed_for_the_tests_in_one(arguments: str, without: bool) -> None:
    assert commands._without_browser(arguments.split()) == without


def test_the_bundle_is_stale_when_a_source_changes_name_or_content() -> None:
    sources = node._sources()
    assert ROOT / "package.json" in sources
    assert not [path for path in sources if node.BUNDLE in path.parents]


# Commands


def test_a_failing_command_shows_its_log_and_one_line_with_the_cause(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Problem) as caught:
        steps.run("fetch", ["sh", "-c", "echo begun; echo 'write failed: No space left on device'; exit 1"])
    message = str(caught.value)
    assert "disk is full" in message
    assert ".cache/log/fetch.log" in message
    assert "\n" not in message
    assert "begun" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "registry cannot be reached"),
        ("npm error code ENOTFOUND", "registry cannot be reached"),
        ("g++: fatal error: Killed signal terminated program cc1plus", "not enough memory"),
        ("ERROR: No matching distribution found for pycrdt==0.14.13", "no ready-made package pycrdt==0.14.13"),
        ("OSError: [Errno 13] Permission denied: '.venv'", "may not be written"),
        ("ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED]", "certificate"),
        ("`npm ci` can only install packages when your package.json and", "package-lock.json does not fit"),
    ],
)
def test_common_failures_are_named_with_the_way_out(log: str, expected: str) -> None:
    assert expected in (steps.explain(log) or "")


def test_a_cause_that_is_not_known_is_not_guessed() -> None:
    assert steps.explain("error: expected ';' before '}' token") is None


def test_ninja_and_pip_lines_become_progress() -> None:
    line = "[34/78] Building CXX object ggml/src/CMakeFiles/ggml-cpu.dir/ggml-cpu/ops.cpp.o"
    assert llama.ninja(line) == "[34/78] ops.cpp"
    assert llama.ninja("warning: something [x]") is None
    progress = python_env._counter(2)
    assert progress("Collecting numpy==2.4.6") == "[1/2] numpy==2.4.6"
    assert progress("  Downloading numpy.whl") is None
    assert progress("Requirement already satisfied: idna==3.20 in ./lib") == "[2/2] idna==3.20"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_stop_ends_the_command_and_all_below_it(tmp_path: Path, number: signal.Signals, status: int) -> None:
    script = f"""
import sys
from pathlib import Path
from project.bootstrap import __main__, steps
steps.CACHE = Path({str(tmp_path)!r})
def long(arguments):
    steps.run("long", ["sh", "-c", "sleep 300 & echo $! > {tmp_path}/pid; wait"])
__main__.COMMANDS["run"] = long
sys.exit(__main__.main(["run"]))
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    pid = tmp_path / "pid"
    _until(lambda: pid.is_file() and pid.read_text().strip() != "")
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == status
    assert "Traceback" not in errors
    assert len(errors.splitlines()) <= 1
    _until(lambda: not _alive(int(pid.read_text())))


STARTS = {
    "a step's": 'steps.run("long", {command})',
    "one in the foreground": "__main__.call(*{command})",
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_while_a_command_is_being_started_ends_it_too(tmp_path: Path, number: signal.Signals, start: str) -> None:
    command = ["sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 300"]
    script = f"""
import os, subprocess, sys, time
from pathlib import Path
from project.bootstrap import __main__, steps
steps.CACHE = Path({str(tmp_path)!r})
class Started(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        while not (steps.CACHE / "pid").is_file() or not (steps.CACHE / "pid").read_text().strip():
            time.sleep(0.01)
        os.kill(os.getpid(), {int(number)})
        time.sleep(0.01)  # where a handler runs
subprocess.Popen = Started
def long(arguments):
    {STARTS[start].format(command=command)}
__main__.COMMANDS["run"] = long
sys.exit(__main__.main(["run"]))
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=60)
    assert ended.returncode == 128 + number
    assert "Traceback" not in ended.stderr
    _until(lambda: not _alive(int((tmp_path / "pid").read_text())))


def _until(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited for 30 s"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    about = Path(f"/proc/{pid}/stat")
    try:
        return not about.parent.parent.is_dir() or about.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# What may be missing


def test_without_a_compiler_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert compiler.find() is None
    with pytest.raises(Problem, match=r"no working C\+\+ compiler.*apt install g\+\+"):
        compiler.require()


def test_a_broken_compiler_named_by_the_person_is_named_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/nonexistent/c++")
    with pytest.raises(Problem, match="/nonexistent/c"):
        compiler.require()


def test_another_python_is_turned_away_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    assert commands.main(["run"]) == 1
    errors = capsys.readouterr().err
    assert "Python 3.11" in errors
    assert errors.count("\n") == 1


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make here")
def test_make_without_python_says_which_to_install(tmp_path: Path) -> None:
    for name in ("sh", "test"):
        if path := shutil.which(name):
            (tmp_path / name).symlink_to(path)
    make = str(shutil.which("make"))
    done = subprocess.run([make, "run"], cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode != 0
    assert "needs Python 3.11" in done.stderr


def test_a_browser_that_does_not_start_is_not_chosen(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = tmp_path / "chromium"
    stub.write_text("#!/bin/sh\necho install the snap >&2\nexit 1\n")
    stub.chmod(0o755)
    monkeypatch.setenv(browser.VARIABLE, str(stub))
    with pytest.raises(Problem, match=browser.VARIABLE):
        browser.prepare()


def test_the_chosen_browser_is_written_down_for_tests_started_by_hand(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    works = tmp_path / "chrome"
    works.write_text("#!/bin/sh\necho Chromium 1\n")
    works.chmod(0o755)
    monkeypatch.setenv(browser.VARIABLE, str(works))
    browser.prepare()
    assert (cache / "chromium").read_text() == str(works)


# The engine


def _asm(source: str, folder: Path, *flags: str) -> str:
    (folder / "config.cpp").write_text(source)
    found = compiler.require()
    command = [found.cxx, "-O3", "-mamx-tile", *flags, "-S", "-o", "-", str(folder / "config.cpp")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(
    (_found := compiler.find()) is None or _found.gcc is None or _found.gcc < 11 or not _found.x86_64,
    reason="needs GCC 11 or later for x86-64",
)
def test_the_header_keeps_all_64_bytes_of_the_tile_configuration(tmp_path: Path) -> None:
    # Every byte of the configuration comes from memory that the optimiser knows nothing of; what is not stored before
    # `ldtilecfg` was dropped. As llama.cpp does it: a local struct, filled, passed by address.
    source = """
        #include <immintrin.h>
        struct alignas(64) Config { unsigned char bytes[64]; };
        void configure(unsigned char first, unsigned char last) {
            Config config = {};
            config.bytes[0] = first;
            config.bytes[63] = last;
            _tile_loadconfig(&config);
        }
    """
    header = compiler.write_amx_header(tmp_path)
    before, _, _ = _asm(source, tmp_path, "-include", str(header)).partition("ldtilecfg")
    stores = re.findall(r"mov[bl]?\s+%[sd]il?,\s*-?\d*\(%r[sb]p\)", before)
    assert len(stores) == 2, before
    zeroed = re.findall(r"mov(?:ap|dq|up)\w*\s+%[xyz]mm\d+,\s*-?\d*\(%r[sb]p\)|mov[qbl]\s+\$0,\s*-?\d*\(%r[sb]p\)|rep stos", before)
    assert zeroed, before


def test_the_header_is_for_old_gcc_on_x86_64_only() -> None:
    def made(gcc: int | None, x86_64: bool) -> compiler.Compiler:
        return compiler.Compiler(cxx="c++", version="", gcc=gcc, x86_64=x86_64)

    assert made(12, True).needs_amx_header
    assert made(13, True).needs_amx_header
    assert not made(14, True).needs_amx_header
    assert not made(None, True).needs_amx_header
    assert not made(12, False).needs_amx_header


def test_clang_is_not_taken_for_the_gcc_it_pretends_to_be() -> None:
    macros = '#define __GNUC__ 4\n#define __clang__ 1\n#define __x86_64__ 1\n#define __VERSION__ "Clang 17"\n'
    assert compiler._describe("clang++", "/usr/bin/clang++", macros).gcc is None


def test_the_number_of_compilers_is_at_least_one_and_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENSEMBLE_JOBS", raising=False)
    assert llama.jobs() >= 1
    monkeypatch.setenv("ENSEMBLE_JOBS", "3")
    assert llama.jobs() == 3
    monkeypatch.setenv("ENSEMBLE_JOBS", "many")
    with pytest.raises(Problem, match="ENSEMBLE_JOBS"):
        llama.jobs()


class Probes:
    """Stands for the child process: says for each way of running whether it works."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, native: tuple[bool, bool], plain: tuple[bool, bool]) -> None:
        self.builds: list[bool] = []
        self.works = {True: native, False: plain}
        monkeypatch.setattr(llama, "_try", self.attempt)
        monkeypatch.setattr(llama, "_build", self.build)
        monkeypatch.setattr(llama, "embedded_model", lambda: Path(__file__))
        steps.write(llama.RECORD, '{"native": true}')

    def attempt(self, model: Path, extra: bool) -> bool:
        return self.works[llama.record()["native"]][0 if extra else 1]

    def build(self, *, native: bool) -> None:
        self.builds.append(native)
        steps.write(llama.RECORD, f'{{"native": {str(native).lower()}}}')


def test_an_engine_that_works_is_tried_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probes = Probes(monkeypatch, native=(True, True), plain=(True, True))
    llama._prove([])
    assert llama.record() == {"native": True, "use_extra_bufts": True}
    probes.works = {True: (False, False), False: (False, False)}
    llama._prove([])  # would raise if it tried again
    assert probes.builds == []


def test_a_crash_with_repacked_weights_leads_to_the_slower_path_and_says_so(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    probes = Probes(monkeypatch, native=(False, True), plain=(True, True))
    llama._prove([])
    assert llama.record()["use_extra_bufts"] is False
    assert "slower path" in capsys.readouterr().out
    assert probes.builds == []


def test_a_native_build_that_never_works_is_replaced_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probes = Probes(monkeypatch, native=(False, False), plain=(True, True))
    llama._prove([])
    assert probes.builds == [False]
    assert llama.record() == {"native": False, "use_extra_bufts": True}


def test_an_engine_that_works_in_no_form_is_a_plain_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probes = Probes(monkeypatch, native=(False, False), plain=(False, False))
    with pytest.raises(Problem, match="crashes on this machine"):
        llama._prove([])
    assert probes.builds == [False]


@pytest.fixture
def beside(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the compiled library lies in, for kernels that never come to be tried."""
    folder = cache / "lib"
    folder.mkdir()
    (folder / kernels.NAME.replace("ensemble-kernels", "ggml-cpu")).touch()
    monkeypatch.setattr(kernels, "CACHE", cache)
    monkeypatch.setattr(llama, "libraries", lambda: folder)
    monkeypatch.setattr(llama, "embedded_model", lambda: Path(__file__))
    steps.write(llama.RECORD, '{"native": true}')
    return folder


@pytest.mark.parametrize("fault", ["does not compile", "does not work", "hangs"])
def test_kernels_that_fail_are_said_left_out_and_not_tried_at_every_start(
    beside: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    source = beside / "kernel.cpp"
    source.write_text("this is no C++" if fault == "does not compile" else 'extern "C" int ensemble() { return 1; }')
    monkeypatch.setattr(kernels, "SOURCES", [source])
    monkeypatch.setattr(kernels, "_links", list)
    tried: list[Path] = []

    def attempt(model: Path, extra: bool) -> bool:
        tried.append(beside / kernels.NAME)
        assert tried[-1].is_file()
        if fault == "hangs":
            raise subprocess.TimeoutExpired("the trial", 1)
        return False

    monkeypatch.setattr(kernels, "_try", attempt)
    kernels.prepare()
    assert "llama.cpp's own is used" in capsys.readouterr().out
    assert not (beside / kernels.NAME).exists()
    assert len(tried) == (fault != "does not compile")
    kernels.prepare()
    assert not capsys.readouterr().out
    # Another source, or another library beside it, is tried again.
    monkeypatch.setattr(kernels, "_try", lambda model, extra: True)
    source.write_text('extern "C" int ensemble() { return 2; }')
    kernels.prepare()
    assert (beside / kernels.NAME).is_file()


def test_kernels_that_lacked_memory_are_tried_at_the_next_start(
    beside: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = beside / "kernel.cpp"
    source.write_text("#error cc1plus: out of memory")
    monkeypatch.setattr(kernels, "SOURCES", [source])
    monkeypatch.setattr(kernels, "_links", list)
    monkeypatch.setattr(kernels, "_try", lambda model, extra: True)
    for _ in range(2):
        kernels.prepare()
        assert "not enough memory" in capsys.readouterr().out
        assert not (beside / kernels.NAME).exists()
    source.write_text("")
    kernels.prepare()
    assert (beside / kernels.NAME).is_file()


def test_kernels_are_for_the_processor_itself(beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled for any x86-64 processor they would be slower than llama.cpp's."""
    steps.write(llama.RECORD, '{"native": false}')
    monkeypatch.setattr(kernels, "SOURCES", [])
    monkeypatch.setattr(compiler, "find", lambda: compiler.Compiler(cxx="c++", version="", gcc=12, x86_64=True))
    monkeypatch.setattr(kernels, "_try", lambda model, extra: pytest.fail("it was compiled"))
    kernels.prepare()
    assert not (beside / kernels.NAME).exists()


@pytest.mark.skipif(llama.embedded_model() is None, reason="there is no embedded model yet")
@pytest.mark.parametrize("flags", [[], ["--no-extra-buffers"], *([["--kernels"]] if place().is_file() else [])])
def test_the_probe_finds_the_engine_sound(flags: list[str]) -> None:
    command = [sys.executable, "-m", "inference.probe", str(llama.embedded_model()), *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1


def test_the_probe_tells_a_file_that_is_no_model_from_a_broken_engine(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"not a model")
    done = subprocess.run([sys.executable, "-m", "inference.probe", str(path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == llama.PROBE_CANNOT_LOAD
    assert done.stderr.count("\n") == 1


# The locks


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_package_is_pinned_and_comes_from_no_named_place(name: str) -> None:
    for line in (ROOT / name).read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9.-]+==[\w.]+", line), line


def test_both_locks_agree() -> None:
    runtime, dev = python_env.pins(python_env.REQUIREMENTS), python_env.pins(python_env.REQUIREMENTS_DEV)
    assert {name: version for name, version in dev.items() if name in runtime} == {name: version for name, version in runtime.items() if name in dev}


def test_what_pyproject_pins_is_what_is_locked() -> None:
    locked = python_env.pins(python_env.REQUIREMENTS)
    wanted = re.findall(r'"([a-z-]+)==([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert wanted
    assert {name: locked[name] for name, _ in wanted} == dict(wanted)
