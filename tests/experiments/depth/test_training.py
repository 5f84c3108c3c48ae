"""Training runs of the depth experiment: eq. (4) as a whole, paired arms, resumed runs, several processes."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import topolayer as tl
from experiments.depth import task
from experiments.depth.__main__ import main
from experiments.depth.config import DEMO, PAPER, SMALL, Config
from experiments.depth.depthset import DepthSet
from experiments.depth.settle import settle
from experiments.depth.task import initial_model, make_optimizer
from experiments.shared.console import Meter, UserError
from experiments.shared.files import read_csv
from experiments.shared.training import read_checkpoint

REPOSITORY = Path(__file__).parents[3]
TIMES = {"seconds", "images_per_second"}
ARMS = ("none", "tv", "topology", "tv+topology", "tv+sublevel", "placebo", "norm")


def numbers(folder: Path) -> list[dict[str, float]]:
    """What must be the same bit for bit: all columns but the times."""
    return [{name: row[name] for name in row.keys() - TIMES} for row in read_csv(folder / "metrics.csv")]


def test_eq_4(train: Callable[..., Path]) -> None:
    """The loss is the weighted sum of the terms that are logged, of those of the arm and no others."""
    weights = {"depth": 0.1, "gradient": 1.0, "ssim": 1.0, "tv": 0.1, "topology": 1e-4, "sublevel": 1e-4}
    weights |= {"placebo": 1e-4, "norm": 1e-4}  # as topology's, where nothing else is said
    for arm in ARMS:
        row = read_csv(train(arm) / "metrics.csv")[0]
        used = [name for name in weights if f"train_{name}" in row]
        assert used == [
            "depth",
            "gradient",
            "ssim",
            *(name for name in list(weights)[3:] if name in arm.split("+")),
        ]
        assert row["train_loss"] == pytest.approx(sum(weights[name] * row[f"train_{name}"] for name in used))
        wanted = sum(weights[name] * row[f"val_{name}"] for name in ("depth", "gradient", "ssim"))
        assert row["val_loss"] == pytest.approx(wanted)
        for name in used[3:]:
            assert row[f"train_{name}"] > 0 and row[f"train_gradient_ratio_{name}"] > 0


def test_all_arms_start_from_the_same_weights_and_see_the_same_pictures(
    train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[torch.Tensor]] = []

    class Watched(task.Depth):
        def __init__(self, fabric: object, bare: torch.nn.Module, *rest: object, **options: object) -> None:
            super().__init__(fabric, bare, *rest, **options)  # type: ignore[arg-type]
            seen.append([value.clone() for value in bare.state_dict().values()])
            terms = self.terms

            def watch(prediction: torch.Tensor, *truth: torch.Tensor) -> dict[str, torch.Tensor]:
                seen[-1].extend(truth)
                return terms(prediction, *truth)

            self.terms = watch  # type: ignore[assignment]
            bare.register_forward_pre_hook(lambda module, inputs: seen[-1].extend(inputs))

    monkeypatch.setattr("experiments.depth.task.Depth", Watched)
    for arm in ARMS:
        train(arm)
    none, *others = seen
    for other in others:
        assert len(other) == len(none)
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(none, other, strict=True))


def test_the_share_is_that_of_the_seed_in_every_arm(
    train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, ...]] = []

    class Watched(task.Depth):
        def __init__(self, fabric: object, bare: object, images: DepthSet, *rest: object, **options: object) -> None:
            super().__init__(fabric, bare, images, *rest, **options)  # type: ignore[arg-type]
            seen.append(images.names)

    monkeypatch.setattr("experiments.depth.task.Depth", Watched)
    for arm, seed in (("none", 0), ("placebo", 0), ("none", 1)):
        folder = train(arm, seed=seed, train_images=12, train_share=0.5, epochs=1)
    assert seen[0] == seen[1] and len(seen[0]) == 6 and set(seen[0]) != set(seen[2])
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["sampler"]["examples"] == 6


def test_weights_are_chosen_on_training_images(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settle(dataclasses.replace(config, train_images=30, held_out=0.2))
    rest, held = task.load(config, "train"), task.load(config, "val")
    # Of 15 blocks of two neighbours the fifth, the tenth and the last.
    assert held.names == tuple(f"scene {i} of seed 1" for i in (8, 9, 18, 19, 28, 29))
    assert len(rest) == 24 and not set(rest.names) & set(held.names)


def test_the_scale_of_the_layer_is_an_option(config: Config) -> None:
    h = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for scale in ("none", "rms"):
        used = task.regularizations(settle(dataclasses.replace(config, scale=scale)), "topology")["topology"]
        assert torch.equal(used.penalty(h), tl.few_maxima(h, k=1, scale=None if scale == "none" else "rms"))


@pytest.mark.parametrize("after", [1, 3])
def test_a_killed_run_ends_with_the_same_numbers(
    train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """After step 1 in the middle of an epoch, after step 3 in the middle of the next."""
    whole = train(name="whole")
    advance, calls = Meter.advance, []

    def kill(self: Meter, *arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == after + 1:
            raise KeyboardInterrupt
        advance(self, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Meter, "advance", kill)
        train(name="cut", checkpoint_steps=1)
    torch.rand(3)  # whatever happens in between does not matter
    cut = train(name="cut", resume=True)
    assert numbers(cut) == numbers(whole)
    states = [torch.load(folder / "checkpoint.pt", weights_only=True)["model"] for folder in (cut, whole)]
    assert all(torch.equal(states[0][name], value) for name, value in states[1].items())


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16-mixed"},
        {"reduction": "sum", "lr": 1e-9},
        {"map": "linear", "augment": False},
        {"model": "unet", "layer": "second", "encoder_share": 1.0},
    ],
)
def test_other_readings_train_too(train: Callable[..., Path], changes: dict[str, object]) -> None:
    row = read_csv(train(**changes) / "metrics.csv")[-1]
    assert all(math.isfinite(value) for value in row.values())
    assert row["lr"] == pytest.approx(0, abs=1e-12)  # the end of the cosine


def test_a_command_leaves_everything_behind(config: Config, tmp_path: Path) -> None:
    """On photographs in NYU's layout, one of which is missing."""
    root = tmp_path / "nyu"
    rng = np.random.default_rng(0)
    for folder in ("rgb", "depth_mm"):
        (root / folder).mkdir(parents=True)
    for name in ("0", "1", "2"):
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(root / "rgb" / f"{name}.jpg")
        depth = rng.integers(800, 9000, (48, 64), dtype=np.uint16)
        Image.fromarray(depth).save(root / "depth_mm" / f"{name}.png")
    (root / "train.txt").write_text("0 7 1")
    (root / "val.txt").write_text("2")
    main(dataclasses.replace(config, data="nyu", root=root, cache=tmp_path / "cache", arms=("none", "tv"), epochs=1))
    folder = config.folder
    noted = json.loads((folder / "seed0-tv" / "config.json").read_text())
    assert (noted["optimizer"], noted["tv_lambda"], noted["layer"]) == ("adam", 0.1, "dec1")
    for picture in ("convergence.png", "examples.png", "activations.png"):
        assert (folder / picture).stat().st_size > 10_000
    table = (folder / "results.md").read_text()
    assert "| mae (m), 1.5 to 2.5 m |" in table and "Δ tv [95 % CI]" in table


@pytest.mark.parametrize("model", PAPER)
def test_options_that_are_left_alone_are_the_papers(model: str) -> None:
    settled = settle(Config(model=model, data="diode", root=Path()))
    assert {name: getattr(settled, name) for name in PAPER[model]} == PAPER[model]
    assert settled.size == (384, 512) and settled.k == 8 and task.SENSORS[settled.data].farthest == 350
    assert settled.layer == ("dec4" if model == "unet" else "dec3") and settled.tv_layer == "dec1"
    assert settle(settled) == settled
    changed = settle(Config(model=model, lr=0.5, tv_lambda=0.0, epochs=3))
    assert (changed.lr, changed.tv_lambda, changed.epochs) == (0.5, 0.0, 3)


def test_the_demo_of_either_network_has_a_folder_and_weights_of_its_own() -> None:
    settled = [settle(dataclasses.replace(DEMO, model=model)) for model in SMALL]
    assert [config.folder.name for config in settled] == ["depth-demo-unet", "depth-demo-densedepth"]
    for config in settled:
        assert {name: getattr(config, name) for name in SMALL[config.model]} == SMALL[config.model]
        assert settle(config) == config
        assert config.root is None and config.weights == "none"  # without any data or download


def test_the_encoder_of_the_unet_learns_at_a_tenth() -> None:
    config = settle(dataclasses.replace(DEMO, demo=False, encoder="small"))
    network = initial_model(config, 0)
    optimizer = make_optimizer(config, network)
    assert isinstance(optimizer, torch.optim.SGD)
    decoder, encoder = optimizer.param_groups
    assert [decoder["lr"], encoder["lr"]] == pytest.approx([0.03, 0.003])
    assert all(group["momentum"] == 0.9 and group["weight_decay"] == 1e-4 for group in (decoder, encoder))
    assert {id(p) for p in encoder["params"]} == {id(p) for p in network.encoder.parameters()}
    assert len(decoder["params"]) + len(encoder["params"]) == len(list(network.parameters()))


@pytest.mark.parametrize(("size", "layer"), [((64, 96), "dec1"), ((192, 256), "dec2"), ((384, 512), "dec3")])
def test_the_layer_can_be_chosen_by_its_resolution(config: Config, size: tuple[int, int], layer: str) -> None:
    assert settle(dataclasses.replace(config, size=size)).layer == layer


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (100, 128)}, "multiples of 32"),
        ({"layer": "dec7"}, "no such layer"),
        ({"data": "nyu"}, "needs --root"),
        ({"data": "diode", "root": Path("nowhere")}, "not in DIODE's layout"),
        ({"tv_lambda": -1.0}, "--tv-lambda must be"),
        ({"weights": "imagenet"}, "--weights none"),
        ({"size": (32, 32), "batch_size": 1}, "batch of one"),
        ({"train_images": 1}, "do not fill one batch"),
        ({"train_share": 0.0}, "--train-share must be above 0"),
        ({"held_out": 1.0}, "--held-out must be at least 0"),
        ({"held_out": 0.01}, "--held-out 0.01: .* that is none or all"),
        ({"norm_lambda": -1.0}, "--norm-lambda must be"),
    ],
)
def test_options_that_cannot_work_are_refused(config: Config, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(dataclasses.replace(config, **changes))


def test_a_checkpoint_of_another_network_is_refused(train: Callable[..., Path], config: Config) -> None:
    folder = train("none", epochs=1)
    with pytest.raises(UserError, match="another architecture"):
        read_checkpoint(folder / "checkpoint.pt", initial_model(settle(dataclasses.replace(config, width=3)), 0))


@pytest.mark.timeout(110)
def test_two_processes_train_like_one_with_twice_the_batch(train: Callable[..., Path], tmp_path: Path) -> None:
    """DenseDepth on the small encoder has no statistics over a batch: all but rounding must agree."""
    options = "--model densedepth --encoder small --weights none --width 2 --size 32 64 --layer auto --epochs 2"
    options += " --batch-size 2 --lr 1e-3 --train-images 4 --val-images 2 --k 1 --threads 1 --seeds 0 --accelerator cpu"
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "experiments.depth")
    call = [sys.executable, *launcher, *options.split(), "--arms", "tv+topology", "--runs", str(tmp_path / "two")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    ended = subprocess.run(call, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    two = numbers(tmp_path / "two" / "depth-scenes-densedepth" / "seed0-tv+topology")
    for mine, theirs in zip(two, numbers(train()), strict=True):
        # A ratio of gradients is a mean over processes of ratios, each on its share of the batch.
        names = [name for name in theirs if "gradient_ratio" not in name]
        assert [mine[name] for name in names] == pytest.approx([theirs[name] for name in names], rel=1e-4)
