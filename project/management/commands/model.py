"""``./manage.py model list | info | pull | use | tune | remove``: which models there are, and which one the server uses."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from inference import kernels
from inference.catalogue import BUILT_IN, Entry, Folder, UnknownModel, catalogue
from inference.download import DownloadFailed, Offline, pull
from inference.machine import available
from inference.memory import human
from project import alive, config, models, tuning
from project.models import Choice, Status

CONTEXTS = (8 * 1024, 32 * 1024, 128 * 1024)
# A server looks each second. One that is busy elsewhere for longer than this takes the choice all the same.
ANSWER_S = 3.0
LOOK_S = 0.1


class Command(BaseCommand):
    help = "Lists models, fetches them, and chooses the one that the server uses."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        commands.add_parser("list", help="models that are installed, and those of the catalogue: size, memory, whether they fit this machine")
        info = commands.add_parser("info", help="all that is known of one model")
        info.add_argument("model", help="a name, or a GGUF file")
        fetch = commands.add_parser("pull", help="fetch a model of the catalogue; a download that was broken off goes on")
        fetch.add_argument("model", help="a name of the catalogue")
        fetch.add_argument("--use", action="store_true", help="and use it at once")
        measure = commands.add_parser("tune", help="measure anew what suits a model on this machine; best while the machine does nothing else")
        measure.add_argument("model", help=f"a name, a GGUF file, or {BUILT_IN}")
        use = commands.add_parser("use", help="use a model: a running server changes to it, without a restart")
        use.add_argument("model", help=f"a name, a GGUF file, a folder with one in it, or {BUILT_IN}")
        for command in (fetch, use):
            command.add_argument("--force", action="store_true", help="even if the memory is too small for it")
        remove = commands.add_parser("remove", help="delete an installed model")
        remove.add_argument("model")

    def handle(self, *args: Any, command: str, **options: Any) -> None:
        folder = models.folder()
        try:
            if command == "list":
                self._list(folder)
            elif command == "info":
                self._info(folder, options["model"])
            elif command == "pull":
                self._pull(folder, options["model"], options["use"] and not options["force"])
                if options["use"]:
                    self._use(folder, options["model"], options["force"])
            elif command == "tune":
                self._tune(folder, options["model"])
            elif command == "use":
                self._use(folder, options["model"], options["force"])
            else:
                self._remove(options["model"])
        except (UnknownModel, models.Unusable, DownloadFailed) as fault:
            raise CommandError(str(fault)) from None
        except OSError as fault:
            raise CommandError(f"{fault.filename or models.data()}: {fault.strerror}.") from None
        except KeyboardInterrupt:
            raise CommandError("Stopped.", returncode=130) from None

    # What there is.

    def _list(self, folder: Folder) -> None:
        used = models.used()
        installed = folder.installed()
        rows = [("", "model", "", "size", "licence", *(f"at {tokens // 1024}k" for tokens in CONTEXTS), "here", "")]
        own = {BUILT_IN: config.EMBEDDED_MODEL} | {name: found.path for name, found in installed.items() if name not in catalogue()}
        for name, path in own.items():
            rows.append(self._row(name, path, "installed", used == path, "small, plain edits, fast anywhere" if name == BUILT_IN else ""))
        for name, entry in catalogue().items():
            there = installed.get(name)
            part = "installed" if there else "broken off" if folder.parts(name) else ""
            rows.append(self._row(name, there.path if there else entry, part, there is not None and used == there.path, entry.good_for))
        if used and used not in [*own.values(), *(found.path for found in installed.values())] and used.is_file():
            rows.insert(1, self._row(str(used), used, "", True, ""))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        total, free = available()
        self.stdout.write(
            f"\n*: in use. Memory with a context of 8k, 32k and 128k tokens; this machine has {human(total)}, {human(free)} of it free."
        )
        self.stdout.write(f"Installed models lie in {folder.path}. Any other GGUF file: ./manage.py model use FILE")
        self._say_environment()

    def _row(self, name: str, model: Path | Entry, state: str, used: bool, good_for: str) -> tuple[str, ...]:
        about = models.describe(model)
        needs = [about.shape.needed(about.bytes, tokens) if about.shape else None for tokens in CONTEXTS]
        licence = model.licence if isinstance(model, Entry) else models.licence_of(name, model)
        memory = [human(need) if need else "-" for need in needs]
        return ("*" if used else "", name, state, human(about.bytes), licence, *memory, about.fit or "", good_for)

    def _info(self, folder: Folder, name: str) -> None:
        entry = catalogue().get(name)
        there = folder.installed().get(name)
        model = there.path if there else entry or folder.find(name)
        about = models.describe(model)
        if about.problem:
            raise models.Unusable(about.problem)
        lines: list[tuple[str, str]] = [("file", str(model)) if isinstance(model, Path) else ("to install", f"./manage.py model pull {name}")]
        if entry:
            lines += [("good for", entry.good_for), ("from", f"{entry.repo}, {entry.file}")]
            lines += [("parameters", f"{entry.parameters}, {entry.quantization}")]
        lines.append(("size", human(about.bytes)))
        lines.append(("licence", entry.licence if entry else models.licence_of(name, model) if isinstance(model, Path) else ""))
        if about.header:
            lines.append(("kind", " ".join(filter(None, (about.header.architecture, about.header.name)))))
            lines.append(("chat template", "yes" if about.header.template else "none: only the built-in model's kind can do without"))
            if not about.header.pure:
                lines.append(("slow", "its memory is not attention alone: every keystroke costs the whole prompt again"))
        if shape := about.shape:
            lines.append(("context", f"{shape.context} tokens"))
            lines.append(("attention", f"{shape.layers} layers, {shape.kv_heads} of {shape.heads} heads kept, {shape.head_size} wide"))
            for tokens in CONTEXTS:
                need, small = shape.needed(about.bytes, tokens), shape.needed(about.bytes, tokens, kv="q8_0")
                lines.append(
                    (
                        f"memory at {tokens // 1024}k",
                        f"{human(need)}; {human(small)} with ENSEMBLE_KV_TYPE=q8_0" if need and small else "beyond its context",
                    )
                )
            lines.append(
                (
                    "its memory",
                    f"{human(shape.cache_bytes(1000))} for 1000 tokens; with q8_0 {human(shape.cache_bytes(1000, 'q8_0'))}, and on a CPU several times slower",
                )
            )
        if about.needed:
            lines.append(
                ("here", f"{about.fit}: {human(about.needed)} with this server's context of {about.tokens} tokens, of {human(available()[0])}")
            )
        if isinstance(model, Path):
            lines += _tuning(model)
        for key, value in lines:
            self.stdout.write(f"{key:<14}  {value}")

    def _tune(self, folder: Folder, name: str) -> None:
        path = folder.find(name)
        if config.values["ENSEMBLE_TUNE"] == "off":
            raise CommandError("Nothing is measured while ENSEMBLE_TUNE is off.")
        models.probe(path, measure=False)
        tuning.forget(path, models.data())
        if tuning.ensure(path, models.data(), models.extra_buffers()) is None:
            raise CommandError("Nothing was measured: the model could not be tried.")
        for key, value in _tuning(path):
            self.stdout.write(f"{key:<14}  {value}")
        self.stdout.write("A running server takes it at its next start.")

    # What is done.

    def _pull(self, folder: Folder, name: str, to_use: bool) -> None:
        entry = catalogue().get(name)
        if entry is None:
            raise CommandError(f"The catalogue has no {name!r}. It has {', '.join(catalogue())}; any other GGUF file: ./manage.py model use FILE.")
        if folder.place(name).is_file():
            return self.stdout.write(f"{name} is installed already.")
        if to_use:
            models.check(entry)  # before gigabytes come for nothing
        meter = Meter(name)
        try:
            path = pull(entry, folder, meter)
        except Offline as fault:
            here = ", ".join([BUILT_IN, *folder.installed()])
            raise CommandError(
                f"{fault} What is installed works without a network ({here}); a file brought by other means is taken with ./manage.py model use FILE."
            ) from None
        except KeyboardInterrupt:
            meter.end()
            raise CommandError("Stopped. The same command goes on from here.", returncode=130) from None
        finally:
            meter.end()
        self.stdout.write(f"{name} is installed: {path}")
        self.stdout.write(f"Use it: ./manage.py model use {name}")

    def _use(self, folder: Folder, name: str, force: bool) -> None:
        path = folder.find(name)
        if path != config.EMBEDDED_MODEL:
            if not force and (warning := models.check(path)):
                self.stdout.write(warning)
            self.stdout.write(f"Trying {models.name_of(path)} in a process of its own ...")
            models.probe(path)
        installed = {found.path.resolve(): known for known, found in folder.installed().items()}
        reference = "" if path == config.EMBEDDED_MODEL else installed.get(path.resolve(), str(path.absolute()))
        try:
            mark = models.choose(reference)
        except OSError as fault:
            raise CommandError(f"The choice could not be written to {models.data()} ({fault.strerror}).") from None
        self._say_environment()
        self._wait(mark, models.name_of(path))

    def _wait(self, mark: str, name: str) -> None:
        """Shows what the running server makes of it, if there is one."""
        meter = Meter(name)
        end = time.monotonic() + ANSWER_S
        while True:
            found = models.status()
            if models.chosen().mark != mark:
                meter.end()
                raise CommandError("Another model was chosen meanwhile.")
            if found is None or found.mark != mark:
                if time.monotonic() > end:
                    return self.stdout.write(f"{name} is chosen. No server answers on {models.data()}: it is used from the next start on.")
            elif found.state == "failed":
                meter.end()
                raise CommandError(found.detail)
            elif found.state == "ready":
                meter.end()
                return self.stdout.write(f"The running server uses {name} now.")
            elif alive.has_ended(models.data(), found.process):
                meter.end()
                raise CommandError(f"The server ended while it changed to {name}, which stays chosen: it is used from the next start on.")
            else:
                meter.show(_words(found))
            time.sleep(LOOK_S)

    def _remove(self, name: str) -> None:
        self.stdout.write(f"{name} is removed; {human(models.remove(name))} are free again.")

    def _say_environment(self) -> None:
        choice: Choice = models.choice()
        if choice.source == "ENSEMBLE_MODEL":
            self.stdout.write(f"ENSEMBLE_MODEL={choice.reference} is set here, and wins over what is chosen, in a server that is started so.")


def _words(status: Status) -> str:
    if status.state == "trying":
        return "the server tries it in a process of its own"
    return "the server loads it" + (f": {status.progress:.0%}" if status.progress is not None else "")


def _tuning(path: Path) -> list[tuple[str, str]]:
    """What was measured of a model here, as lines."""
    known = tuning.known(path, models.data())
    if known is None:
        return [("measured", "not yet: ./manage.py model tune, or the first start with it")]
    way = "flash attention" if known.flash else "plain attention"
    if config.values["ENSEMBLE_KERNELS"] == "auto" and kernels.place().is_file():
        way += ", kernels for this processor"
    counts = f" at the beginning, then what is fastest of {', '.join(map(str, known.thread_counts))}" if len(known.thread_counts) > 1 else ""
    threads = f"{known.threads} thread(s) to decode and {known.batch_threads} for prompts{counts}; "
    threads += f"{'spinning' if known.spin else 'yielding'} while they wait"
    pays = [size for size, ms in known.costs if size > 1 and ms < 0.7 * size * known.costs[0][1]]
    guesses = f"pay from {pays[0]} tokens on" if pays else "do not pay here"
    steps = ", ".join(f"{size}: {ms:.3g}" for size, ms in known.costs)
    return [
        ("chosen", f"{way}; {threads}"),
        ("speed", f"{known.tokens_per_s:.0f} tokens/s behind {known.depth} tokens of context"),
        ("guesses", f"{guesses} (ENSEMBLE_MAX_GUESSED_TOKENS); ms of a step by its tokens: {steps}"),
        *((f"  {figure:.4g}", name) for name, figure in known.measured.items() if not name.startswith("score")),
    ]


class Meter:
    """One line that is written over on a terminal, and seldom anew elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._terminal = sys.stdout.isatty()
        self._begun = time.monotonic()
        self._from: int | None = None
        self._shown = ""
        self._when = 0.0

    def __call__(self, done: int, size: int, doing: str) -> None:
        self._from = done if self._from is None else self._from
        spent = time.monotonic() - self._begun
        rate = (done - self._from) / spent if spent > 1 else 0
        text = f"{doing} {done / size:.0%} of {human(size)}"
        if rate > 0 and doing == "fetching":
            left = int((size - done) / rate)
            text += f", {human(int(rate))}/s, {left // 60}:{left % 60:02} left"
        self.show(text, last=done == size)

    def show(self, text: str, last: bool = False) -> None:
        now = time.monotonic()
        if text == self._shown or (not last and now - self._when < (0.1 if self._terminal else 5)):
            return
        self._shown, self._when = text, now
        if self._terminal:
            sys.stdout.write(f"\r{self._name}: {text}\x1b[K")
        else:
            sys.stdout.write(f"{self._name}: {text}\n")
        sys.stdout.flush()

    def end(self) -> None:
        if self._terminal and self._shown:
            sys.stdout.write("\n")
            self._shown = ""
