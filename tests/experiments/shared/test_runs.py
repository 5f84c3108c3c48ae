"""Training runs: paired, resumable, complete, careful with what is already there."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import topolayer as tl
from experiments.segmentation import task
from experiments.segmentation.__main__ import main
from experiments.segmentation.config import Config, settle
from experiments.segmentation.task import load
from experiments.shared import training
from experiments.shared.console import Interrupted, Meter, UserError
from experiments.shared.files import read_csv
from experiments.shared.images import ImageSet
from experiments.shared.options import check_folders
from experiments.shared.runs import shown_seed, trained_models
from experiments.shared.training import Trainer, read_checkpoint
from experiments.shared.unet import UNet, seeded

REPOSITORY = Path(__file__).parents[3]
SAME_ON_EVERY_RUN = ("epoch", "step", "lr", "train_loss", "train_penalty", "train_gradient_ratio", "val_mse", "miou")


def numbers(folder: Path) -> list[list[float]]:
    """What must be the same bit for bit: all columns but the times."""
    return [[row[name] for name in SAME_ON_EVERY_RUN] for row in read_csv(folder / "metrics.csv")]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    return dict(state["model"])


@pytest.mark.parametrize("gradient", ["critical", "region"])
def test_which_pixels_the_penalty_pulls_on_is_an_option(config: Config, gradient: Any) -> None:
    regularization = task.regularization(dataclasses.replace(config, gradient=gradient, k=3), "topology")
    assert regularization is not None
    h = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(regularization.penalty(h), tl.few_maxima(h, k=3, gradient=gradient))


def test_all_arms_start_from_the_same_weights_and_see_the_same_batches(
    train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[object]] = {}
    batches_of = training.epoch_batches

    def watch(self: Trainer, *arguments: object) -> None:
        begun = {name: value.clone() for name, value in self.model.state_dict().items()}
        seen[self.folder.name] = [begun]
        fit(self, *arguments)

    def note(*arguments: int, **options: int) -> list[torch.Tensor]:
        batches = batches_of(*arguments, **options)
        list(seen.values())[-1].extend(batches)
        return batches

    fit = Trainer.fit
    monkeypatch.setattr(Trainer, "fit", lambda self, stop: watch(self, stop))
    monkeypatch.setattr(training, "epoch_batches", note)
    monkeypatch.setattr("experiments.shared.runs.write_json", lambda *_: None)
    monkeypatch.setattr(Trainer, "fit", lambda self, stop: (watch(self, stop), self.history)[1])
    for arm in ("none", "topology", "tv", "placebo", "norm"):
        train(arm)
    none, *others = seen.values()
    for other in others:
        assert len(none) == len(other) == 1 + 4
        assert all(torch.equal(none[0][name], value) for name, value in other[0].items())
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(none[1:], other[1:], strict=True))


def test_the_same_command_gives_the_same_numbers(train: Callable[..., Path]) -> None:
    assert numbers(train(name="one")) == numbers(train(name="two"))


def test_the_penalty_acts(train: Callable[..., Path]) -> None:
    strong = read_csv(train("topology", topology_lambda=1e-2) / "metrics.csv")
    assert strong[0]["train_penalty"] > 0 and strong[0]["train_gradient_ratio"] > 0
    none = read_csv(train("none") / "metrics.csv")
    assert none[0]["train_mse"] == none[0]["train_loss"] < strong[0]["train_loss"]


@pytest.mark.parametrize("changes", [{"precision": "bf16-mixed"}, {"reduction": "sum"}, {"scale": "rms"}])
def test_other_readings_train_too(train: Callable[..., Path], changes: dict[str, object]) -> None:
    row = read_csv(train("topology", **changes) / "metrics.csv")[-1]
    assert all(math.isfinite(value) for value in row.values())


@pytest.mark.parametrize(("after", "val_every"), [(1, 1), (2, 1), (3, 1), (3, 2)])
def test_a_killed_run_ends_with_the_same_numbers(
    train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, after: int, val_every: int
) -> None:
    """After step 1 in the middle of an epoch, 2 at its end, 3 in the middle of the next."""
    whole = train(name="whole", momentum=0.9, val_every=val_every)
    killed_at = f"stopped after {after}"
    advance = Meter.advance
    calls = []

    def kill(self: Meter, *arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == after + 1:
            raise KeyboardInterrupt(killed_at)
        advance(self, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Meter, "advance", kill)
        train(name="cut", momentum=0.9, val_every=val_every, checkpoint_steps=1)
    torch.rand(3)  # whatever happens in between does not matter
    cut = train(name="cut", momentum=0.9, val_every=val_every, resume=True)
    assert numbers(cut) == numbers(whole)
    ours, theirs = weights(cut), weights(whole)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_request_to_stop_is_heard_between_steps(train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(name="whole")
    fit = Trainer.fit
    with monkeypatch.context() as patch, pytest.raises(Interrupted, match="--resume"):
        patch.setattr(Trainer, "fit", lambda self, stop: fit(self, lambda: self.step == 1))
        train(name="cut")
    assert numbers(train(name="cut")) == numbers(whole)


def test_a_checkpoint_of_another_architecture_is_refused_in_one_sentence(train: Callable[..., Path]) -> None:
    folder = train()
    with pytest.raises(UserError, match=r"another architecture.*enc1"):
        read_checkpoint(folder / "checkpoint.pt", UNet(width=4))
    (folder / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(UserError, match="no checkpoint"):
        read_checkpoint(folder / "checkpoint.pt", UNet(width=2))


def test_other_data_than_the_checkpoint_saw_are_refused(train: Callable[..., Path]) -> None:
    train()
    with pytest.raises(UserError, match="examples = 4, now it is 3"):
        train(train_images=3)


def test_what_is_there_is_not_touched_unasked(config: Config, train: Callable[..., Path]) -> None:
    config = settle(dataclasses.replace(config, arms=("none",)))
    main(config)
    finished = config.folder / "seed0-none" / "summary.json"
    before = finished.stat().st_mtime_ns
    main(config)  # finished: only reported again
    assert finished.stat().st_mtime_ns == before
    finished.unlink()
    with pytest.raises(UserError, match="unfinished run: give --resume"):
        check_folders(config)
    check_folders(dataclasses.replace(config, resume=True))
    with pytest.raises(UserError, match=r"other options \(width 2 there, 4 here\).*another --name"):
        check_folders(dataclasses.replace(config, width=4, resume=True))


def test_a_command_leaves_everything_behind(config: Config) -> None:
    main(config)
    run = config.folder / "seed0-topology"
    noted = json.loads((run / "config.json").read_text())
    assert noted["seed"] == 0 and noted["ran"]["threads"] == 1 and noted["ran"]["packages"]["torch"]
    assert json.loads((run / "summary.json").read_text())["final"]["epoch"] == 2
    assert len(read_csv(run / "metrics.csv")) == 2
    assert list(run.glob("events.out.tfevents.*"))
    for picture in ("convergence.png", "examples.png", "layers.png"):
        assert (config.folder / picture).stat().st_size > 10_000
    table = (config.folder / "results.md").read_text()
    assert (
        table.startswith("| score | none | topology | Δ topology")
        and "\n| Betti error | " in table
        and "noise" not in table
    )


def test_weights_may_be_deleted(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    config = settle(dataclasses.replace(config, seeds=(0, 1), arms=("none", "topology")))
    main(config)
    drawn, table = config.folder / "examples.png", (config.folder / "results.md").read_text()
    (config.folder / "seed0-topology" / "checkpoint.pt").unlink()
    assert shown_seed(config) == 0 and list(trained_models(config, 0, lambda: task.architecture(config))) == ["none"]
    (config.folder / "seed0-none" / "checkpoint.pt").unlink()
    drawn.unlink()
    main(config)  # of seed 1
    assert shown_seed(config) == 1 and drawn.exists() and (config.folder / "results.md").read_text() == table
    for path in config.folder.glob("seed1-*/checkpoint.pt"):
        path.unlink()
    drawn.unlink()
    main(config)
    assert "no network is shown" in caplog.text
    assert not drawn.exists() and (config.folder / "results.md").read_text() == table


def test_every_seed_draws_its_share_of_the_training_images(config: Config) -> None:
    train = load(dataclasses.replace(config, train_images=20), "train")
    large, small, other = (train.share(share, seed=seed).names for share, seed in ((0.5, 3), (0.25, 3), (0.25, 4)))
    assert (len(large), len(small)) == (10, 5) and set(small) < set(large) and set(other) != set(small)
    assert train.share(1, seed=3).names == train.names


def test_a_run_on_a_share_sees_only_that(train: Callable[..., Path]) -> None:
    folder = train("none", train_images=8, train_share=0.5)
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert state["sampler"]["examples"] == 4 and read_csv(folder / "metrics.csv")[-1]["step"] == 4


def test_an_encoder_learns_at_a_share_of_the_rate(config: Config) -> None:
    config = settle(dataclasses.replace(config, encoder="small", layer="auto", size=64))
    assert config.layer == "dec2"
    network = task.initial_model(config, 0)
    decoder, encoder = task.groups(config, network)
    assert encoder["lr"] == pytest.approx(0.1 * config.lr) and "lr" not in decoder
    assert len(decoder["params"]) + len(encoder["params"]) == len(list(network.parameters()))
    assert {id(p) for p in encoder["params"]} == {id(p) for p in network.get_submodule("encoder").parameters()}


def test_the_share_is_that_of_the_seed_in_every_arm(
    train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, ...]] = []
    original = task.Segmentation

    def watched(fabric: Any, model: Any, images: Any, *arguments: Any, **options: Any) -> Any:
        seen.append(images.names)
        return original(fabric, model, images, *arguments, **options)

    monkeypatch.setattr(task, "Segmentation", watched)
    for arm, seed in (("none", 0), ("topology", 0), ("none", 1)):
        train(arm, seed=seed, train_images=12, train_share=0.5, epochs=1)
    assert seen[0] == seen[1] and set(seen[0]) != set(seen[2])


def test_validating_less_often_trains_the_same(train: Callable[..., Path]) -> None:
    often, seldom = train(name="often", epochs=5), train(name="seldom", epochs=5, val_every=2)
    rows = read_csv(seldom / "metrics.csv")
    assert [row["epoch"] for row in rows] == [2, 4, 5]
    each = {row["epoch"]: row for row in read_csv(often / "metrics.csv")}
    assert all(row[name] == each[row["epoch"]][name] for row in rows for name in ("step", "lr", "val_mse", "miou"))
    assert rows[0]["train_mse"] == pytest.approx((each[1]["train_mse"] + each[2]["train_mse"]) / 2)
    ours, theirs = weights(seldom), weights(often)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_learning_rate_falls_over_the_epochs_that_are_asked_for(train: Callable[..., Path]) -> None:
    for halving_epochs, epochs, last in ((0, 3, 12), (6, 3, 6), (3, 3, 12)):  # 2 steps per epoch
        folder = train("none", epochs=epochs, halving_epochs=halving_epochs, name=f"over-{halving_epochs}", lr=0.5)
        assert read_csv(folder / "metrics.csv")[-1]["lr"] == pytest.approx(0.5 * 0.5**last)


def test_disturbed_images_are_scored_once_at_the_end(
    config: Config, train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the same however the run came to its end."""
    folder = train("none", noise=0.2, blur=1.5)
    final = json.loads((folder / "summary.json").read_text())["final"]
    disturbed = {f"{score}_{kind}" for score in task.DISTURBED_SCORES for kind in ("noise", "blur")}
    assert disturbed < final.keys() and not disturbed & read_csv(folder / "metrics.csv")[-1].keys()
    (folder / "summary.json").unlink()
    scored: list[ImageSet] = []
    scores = task.Segmentation.scores
    monkeypatch.setattr(task.Segmentation, "scores", lambda self, images: scored.append(images) or scores(self, images))
    train("none", noise=0.2, blur=1.5)
    assert json.loads((folder / "summary.json").read_text())["final"] == final
    clean = load(config, "val")
    for images, expected in zip(scored, (clean.noisy(0.2), clean.blurred(1.5)), strict=True):
        assert torch.equal(images.images, expected.images) and not torch.equal(images.images, clean.images)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 100}, "multiples of 64"),
        ({"batch_size": 1}, "batch of two"),
        ({"layer": "dec7"}, "no such layer"),
        ({"epochs": 0}, "--epochs must be at least 1"),
        ({"data": "coco"}, "needs --root"),
        ({"train_share": 0.0}, "--train-share must be above 0"),
        ({"blur": -1.0}, "--blur must be"),
        ({"last_epochs": 0}, "--last-epochs must be at least 1"),
        ({"topology_lambda": -1.0}, "--topology-lambda must be"),
        ({"accelerator": "cuda"}, "finds no GPU"),
    ],
)
def test_options_that_cannot_work_are_refused(
    config: Config, changes: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=message):
        main(dataclasses.replace(config, **changes))


@pytest.mark.parametrize(("size", "layer"), [(64, "dec2"), (128, "dec3"), (256, "dec4"), (512, "dec5")])
def test_the_layer_can_be_chosen_by_its_resolution(config: Config, size: int, layer: str) -> None:
    assert settle(dataclasses.replace(config, size=size, layer="auto")).layer == layer


def test_every_seed_has_its_own_weights() -> None:
    one, other = seeded(2, 0), seeded(2, 1)
    assert not torch.equal(one.output.weight, other.output.weight)


def command(*arguments: str, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    options = "--size 64 --width 2 --layer dec2 --epochs 1 --train-images 4 --val-images 3 --seeds 0 --threads 1"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    call = [sys.executable, *launcher, "-m", "experiments.segmentation", *options.split(), *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        call, cwd=REPOSITORY, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=100)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # and the processes it started
            raise
    return subprocess.CompletedProcess(call, process.returncode, out, err)


def test_errors_are_one_message_and_a_status(tmp_path: Path) -> None:
    ended = command("--data", "coco", "--root", str(tmp_path / "nowhere"), "--runs", str(tmp_path))
    assert ended.returncode == 2
    assert "there is no folder" in ended.stdout and "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.timeout(110)
def test_two_processes_share_every_batch(tmp_path: Path) -> None:
    """Everything is counted once: as many steps as one process takes, every validation image, one set of files."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    ended = command("--batch-size", "4", "--arms", "topology", "--runs", str(tmp_path), launcher=launcher)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (run,) = (tmp_path / "segmentation-scenes").glob("seed*")
    (row,) = read_csv(run / "metrics.csv")
    assert row["step"] == 1 and 0 <= row["miou"] <= 100
    summary = json.loads((run / "summary.json").read_text())
    assert summary["final"]["val_mse"] == pytest.approx(row["val_mse"])
    assert json.loads((run / "config.json").read_text())["ran"]["processes"] == 2
