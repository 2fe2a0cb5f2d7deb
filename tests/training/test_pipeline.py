"""The whole recipe, very small: two sittings of training, the export with its check, the evaluation, the card. Needs torch (`make model` has it)."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from inference.training import corpus
from inference.training.evaluate import Report
from tests.training.test_examples import SOURCE

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

SMALL = "--batch-tokens 2048 --width 64 --layers 2 --heads 2 --kv-heads 1 --inner 128 --vocabulary 1024 --tokenizer-examples 1500"
QUICK = "--measured 20 --checked 8 --each 1"


def run(work: Path, step: str, tokens: str) -> None:
    from inference.training.__main__ import main

    main([step, "--work", str(work), "--tokens", tokens, *SMALL.split(), *QUICK.split()])


@pytest.mark.timeout(300)
def test_from_nothing_to_a_card_in_two_sittings(tmp_path: Path) -> None:
    corpus.save([SOURCE, replace(SOURCE, package="kept apart", held_out=True)], tmp_path / "corpus.jsonl")
    run(tmp_path, "all", "40k")
    run(tmp_path, "all", "80k")

    first, second = (json.loads(line) for line in (tmp_path / "checkpoint.log").read_text().splitlines())
    assert first["tokens"] < second["tokens"] and second["loss"] < first["loss"]
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert saved["state"]["sittings"] == 2 and saved["state"]["step"] == second["step"]

    assert (tmp_path / "ensemble-edit-q8_0.gguf").stat().st_size < 1_000_000
    assert Report.load(tmp_path / "report.json").total("by hand").edits > 250
    card = (tmp_path / "README.md").read_text()
    assert "What it cannot do" in card and "kept apart (held out)" in card and str(tmp_path) not in card

    # Another training may begin with what has been made.
    from inference.training import start
    from inference.training.train import load_model

    start.tokenizer(tmp_path / "ensemble-edit-q8_0.gguf", tmp_path / "again.json")
    made, again = (json.loads((tmp_path / name).read_text())["model"] for name in ("tokenizer.json", "again.json"))
    assert made["vocab"] == again["vocab"] and list(map(list, made["merges"])) == list(map(list, again["merges"]))
    trained, begun = load_model(tmp_path / "checkpoint.pt")[0], start.model(tmp_path / "ensemble-edit-q8_0.gguf")
    assert trained.shape == begun.shape
    for (name, weights), other in zip(trained.named_parameters(), begun.parameters(), strict=True):
        assert (weights - other).abs().max() <= weights.abs().max() / 200, name
    # Further layers say nothing at first.
    deeper = start.model(tmp_path / "ensemble-edit-q8_0.gguf", layers=5)
    assert deeper.shape.layers == 5
    tokens = torch.arange(100, 140).unsqueeze(0)
    assert torch.allclose(deeper(tokens), begun(tokens), atol=1e-5)


def test_requests_for_one_place_are_computed_at_once_and_do_not_see_each_other() -> None:
    from inference.training import batches
    from inference.training.model import Llama, Shape

    class Numbers:
        pad = 0

    torch.manual_seed(1)
    model = Llama(Shape(vocabulary=64, width=32, layers=2, heads=4, kv_heads=2, inner=64, context=64))
    row = (list(range(10, 22)), [([2, 30, 31], [40, 41, 1]), ([2, 33], [42, 1]), ([2, 34, 35, 36], [43, 1])])
    dice = random.Random(1)
    batch = batches.collated([row, (row[0], row[1][:1])], 40, Numbers(), dice)  # type: ignore[arg-type]
    assert batch.real == batches.size(row) + 18 and batch.examples == 4
    with torch.no_grad():
        together = model.hidden(batch.tokens, batch.branches)[0]
        at = len(row[0])
        for asked, reply in row[1]:
            alone = model.hidden(torch.tensor([row[0] + asked + reply]))[0][len(row[0]) :]
            assert torch.allclose(together[at : at + len(alone)], alone, atol=1e-5)
            counted = batch.weights[0, at : at + len(alone)] == batches.REPLY_WEIGHT
            assert batch.targets[0, at : at + len(alone)][counted].tolist() == reply
            at += len(alone)


def test_the_rate_warms_up_stays_and_ends_at_nothing() -> None:
    from inference.training.optimizer import rate

    assert rate(0, 0.0) < 0.05
    assert rate(1000, 0.1) == rate(1000, 0.59) == 1.0
    assert 0 < rate(1000, 0.9) < 0.3
    assert rate(1000, 1.0) == 0.0


def test_the_optimizer_goes_on_where_it_was() -> None:
    from inference.training.model import Llama, Shape
    from inference.training.optimizer import Optimizer

    shape = Shape(vocabulary=64, width=32, layers=1, heads=2, kv_heads=1, inner=64, context=32)
    tokens = torch.randint(0, 64, (4, 16))

    def steps(model: Llama, optimizer: Optimizer, count: int) -> None:
        for _ in range(count):
            model.loss(tokens, tokens, torch.ones(4, 16)).backward()
            optimizer.step(1.0)

    torch.manual_seed(0)
    model = Llama(shape)
    optimizer = Optimizer(model)
    steps(model, optimizer, 3)
    copy = Llama(shape)
    copy.load_state_dict(model.state_dict())
    resumed = Optimizer(copy)
    resumed.load(deepcopy(optimizer.state()))
    steps(model, optimizer, 2)
    steps(copy, resumed, 2)
    for mine, theirs in zip(model.parameters(), copy.parameters(), strict=True):
        assert torch.equal(mine, theirs)
