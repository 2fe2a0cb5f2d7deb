"""The recipe, step by step: corpus, tokenizer, train, export, evaluate, card; ``all`` runs them one after the other.

python -m inference.training all --tokens 300M          goes on where the last sitting stopped
python -m inference.training train --minutes 60 --threads 2 --compile
"""

from __future__ import annotations

import argparse
import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from inference.training import corpus, evaluate, examples
from inference.training.evaluate import Report, summary

ROOT = Path(__file__).resolve().parents[2]
NAME = "ensemble-edit"
MEASURED = 300
LAYERS = 6  # of a training from nothing
# What is kept grows to 18 GB in an hour and a half, with as many lengths as batches have.
KEPT_BYTES = 20 * 2**30
KEEP = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184:glibc.malloc.hugetlb=1"


@dataclass(frozen=True)
class Work:
    """What one recipe leaves in its folder."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def corpus(self) -> Path:
        return self.folder / "corpus.jsonl"

    @property
    def tokenizer(self) -> Path:
        return self.folder / "tokenizer.json"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def model(self) -> Path:
        return self.folder / f"{NAME}-q8_0.gguf"

    @property
    def report(self) -> Path:
        return self.folder / "report.json"

    @property
    def compared(self) -> Path:
        """Reports of other models, which the card sets beside."""
        folder = self.folder / "compared"
        folder.mkdir(exist_ok=True)
        return folder


def make_corpus(work: Work, arguments: argparse.Namespace) -> None:
    if work.corpus.exists():
        return
    sites = {Path(sysconfig.get_path("purelib")), *ROOT.glob(".venv/lib/python3*/site-packages"), *map(Path, arguments.site)}
    modules = {folder for folder in (ROOT / "node_modules", *map(Path, arguments.node_modules)) if folder.is_dir()}
    sources = corpus.collect(sorted(sites), sorted(modules))
    corpus.save(sources, work.corpus)
    known = corpus.packages(sources)
    held = sum(held_out for _, held_out in known.values())
    print(f"corpus: {len(sources)} files of {len(known)} packages, {held} of them held out, {sum(len(s.text) for s in sources) / 1e6:.0f} MB")


def make_tokenizer(work: Work, arguments: argparse.Namespace) -> None:
    from inference.training import start, tokenizer

    if work.tokenizer.exists():
        return
    if arguments.start:
        start.tokenizer(arguments.start, work.tokenizer)
    else:
        supply = examples.Supply.of(corpus.load(work.corpus), held_out=False)
        tokenizer.make(supply, work.tokenizer, vocabulary=arguments.vocabulary, count=arguments.tokenizer_examples)


def run_training(work: Work, arguments: argparse.Namespace) -> None:
    from inference.training import batches, start, train
    from inference.training.model import Llama, Shape

    sources = corpus.load(work.corpus)
    shape = Shape(arguments.vocabulary, arguments.width, arguments.layers or LAYERS, arguments.heads, arguments.kv_heads, arguments.inner)
    plan = train.Plan(
        tokens=arguments.tokens,
        rate=arguments.rate,
        batch_tokens=arguments.batch_tokens,
        minutes=arguments.minutes,
        save_minutes=arguments.save_minutes,
        workers=arguments.workers,
        threads=arguments.threads,
        compiled=arguments.compile,
        device=arguments.device,
    )
    watched = examples.stream(examples.Supply.of(sources, held_out=True), seed=99)
    measured = batches.fixed([next(watched) for _ in range(arguments.measured)], work.tokenizer)

    def begin() -> Llama:
        return start.model(arguments.start, arguments.layers or 0) if arguments.start else Llama(shape)

    state = train.train(examples.Supply.of(sources, held_out=False), work.tokenizer, work.checkpoint, plan, begin, measured)
    print(f"trained: {state.tokens / 1e6:.1f}M of {plan.tokens / 1e6:.0f}M tokens in {state.seconds / 3600:.2f} hours, {state.sittings} sittings")


def run_export(work: Work, arguments: argparse.Namespace) -> None:
    from gguf import GGMLQuantizationType

    from inference.training import export, train

    model, _ = train.load_model(work.checkpoint)
    exact = work.folder / "exact-f32.gguf"
    export.write(model, work.tokenizer, exact, GGMLQuantizationType.F32, NAME)
    sources = corpus.load(work.corpus)
    stream = examples.stream(examples.Supply.of(sources, held_out=True), seed=7)
    texts, replies = export.check(model, work.tokenizer, exact, [next(stream) for _ in range(arguments.checked)])
    exact.unlink()
    export.write(model, work.tokenizer, work.model, GGMLQuantizationType.Q8_0, NAME)
    # Found on wordings, words and code that training has not seen, and on other ones than the evaluation's.
    asked = evaluate.generated(examples.Supply.of(sources, held_out=True, wordings_held_out=True), arguments.each, seed=2)
    certainty = evaluate.certainty(evaluate.LlamaModel(work.model), asked, arguments.damage)
    export.write(model, work.tokenizer, work.model, GGMLQuantizationType.Q8_0, NAME, certainty)
    megabytes = work.model.stat().st_size / 1e6
    print(f"export: {megabytes:.1f} MB; llama.cpp agrees with the trainer on {texts} texts and {replies} replies; least certainty {certainty:.2f}")


def run_evaluation(work: Work, arguments: argparse.Namespace) -> None:
    cases = evaluate.cases(corpus.load(work.corpus), arguments.each)
    path = Path(arguments.model) if arguments.model else work.model
    model = evaluate.LlamaModel(path)
    asked: list[tuple[evaluate.Model, str, Path]] = [
        (evaluate.by_rules, "rules, no model", work.compared / "rules.json"),
        (model, path.stem, work.report if path == work.model else work.compared / f"{path.stem}.json"),
    ]
    if model.certainty:
        unheld = evaluate.LlamaModel(path)
        unheld.certainty = 0.0
        asked.append((unheld, f"{path.stem}, also what it is not sure of", work.compared / f"{path.stem}-unsure.json"))
    for each, name, out in asked:
        report = evaluate.evaluate(each, name, cases)
        report.save(out)
        print(f"{report.model}\n{summary(report)}\n")


def write_card(work: Work, arguments: argparse.Namespace) -> None:
    from inference.training import card, train

    model, saved = train.load_model(work.checkpoint)
    shape = model.shape
    made = card.Made(
        file=work.model.name,
        megabytes=work.model.stat().st_size / 1e6,
        parameters=model.parameter_count(),
        shape=f"d {shape.width}, {shape.layers} layers, {shape.heads}/{shape.kv_heads} heads, feed-forward {shape.inner}, vocabulary {shape.vocabulary}, tied",
        tokens=saved["state"]["tokens"],
        hours=saved["state"]["seconds"] / 3600,
        where=arguments.where,
        certainty=evaluate.LlamaModel(work.model).certainty,
        begun=f"begun with the weights of {arguments.start.name}" if arguments.start else "from scratch",
    )
    others = [Report.load(path) for path in sorted(work.compared.glob("*.json"))]
    text = card.card(made, Report.load(work.report), others, corpus.load(work.corpus))
    (work.folder / "README.md").write_text(text, encoding="utf-8")
    print(f"card: {work.folder / 'README.md'}")


STEPS = {
    "corpus": make_corpus,
    "tokenizer": make_tokenizer,
    "train": run_training,
    "export": run_export,
    "evaluate": run_evaluation,
    "card": write_card,
}


def count(text: str) -> int:
    return int(float(text.rstrip("kM")) * {"k": 1e3, "M": 1e6}.get(text[-1], 1))


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m inference.training", description="Makes the embedded model.")
    parser.add_argument("step", choices=[*STEPS, "all"])
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "training", help="where everything is kept between sittings")
    parser.add_argument("--site", action="append", default=[], help="a further site-packages folder for the corpus")
    parser.add_argument("--node-modules", action="append", default=[], help="a further node_modules folder for the corpus")
    parser.add_argument("--tokens", type=count, default=count("300M"), help="of the whole training, over all sittings")
    parser.add_argument("--start", type=Path, help="begin with this GGUF's vocabulary and weights")
    parser.add_argument("--rate", type=float, default=1.0, help="of the learning rates; less than 1 to go on from weights that are good already")
    parser.add_argument("--minutes", type=float, default=0, help="of this sitting; 0: until the tokens are reached")
    parser.add_argument("--save-minutes", type=float, default=10)
    parser.add_argument("--batch-tokens", type=int, default=12_288)
    parser.add_argument("--workers", type=int, default=0, help="processes that make examples; on a GPU one for each core")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="torch.compile; needs a C++ compiler, and minutes at the start")
    parser.add_argument("--device", default="", help="cpu or cuda; default: cuda where there is one")
    parser.add_argument("--measured", type=int, default=MEASURED, help="held-out examples watched during training")
    parser.add_argument("--checked", type=int, default=40, help="examples that the export is compared on")
    parser.add_argument("--each", type=int, default=20, help="generated requests of each kind in the evaluation")
    parser.add_argument(
        "--damage", type=float, default=0.02, help="of generated requests, the share that may damage something: sets the least certainty"
    )
    parser.add_argument("--model", default="", help="evaluate this GGUF instead")
    parser.add_argument("--where", default="on CPU", help="the machine, for the card")
    parser.add_argument("--tokenizer-examples", type=int, default=60_000)
    for name, default in (("vocabulary", 4096), ("width", 384), ("layers", None), ("heads", 6), ("kv-heads", 2), ("inner", 1152)):
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    arguments = parse(words)
    work = Work(arguments.work)
    for name, step in STEPS.items():
        if arguments.step in (name, "all"):
            step(work, arguments)


def keep_memory() -> None:
    """Starts the process anew with glibc told to keep what is freed, in large pages.

    Else each step of a training on CPU gives its gigabytes back to the system and gets them again page by page: 5 800 tokens/s instead of 10 100.
    Where there is not memory enough for that, it does.
    """
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ and os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") > KEPT_BYTES:
        os.environ["GLIBC_TUNABLES"] = KEEP
        os.execv(sys.executable, [sys.executable, "-m", "inference.training", *sys.argv[1:]])


if __name__ == "__main__":
    keep_memory()
    main()
