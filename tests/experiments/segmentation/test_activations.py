"""Pictures and tables of a trained network's layers: what is chosen, what is counted, and that all of it is made."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr

import topolayer as tl
from experiments.segmentation import __main__ as training
from experiments.segmentation import activations, agreement, layers, task
from experiments.segmentation.activations import Options, main
from experiments.segmentation.config import Config
from experiments.segmentation.layers import chosen, load_run, presentable
from experiments.segmentation.pictures import magnitudes
from experiments.shared.console import UserError
from experiments.shared.images import ImageSet
from experiments.shared.unet import LAYERS, UNet, side_of

# pycocotools' compiled part hands NumPy 2 an object with the old __array__ signature.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

FREE, RESTRICTED = "url (Attribution License)", "url (Attribution-NonCommercial License)"


def squares(*sides: int) -> torch.Tensor:
    """A mask of 64 x 64 pixels with a square for each side."""
    mask = torch.zeros(64, 64, dtype=torch.bool)
    for i, side in enumerate(sides):
        mask[1 : 1 + side, 16 * i : 16 * i + side] = True
    return mask


def image_set(*entries: tuple[torch.Tensor, str, int]) -> ImageSet:
    masks, credits, people = zip(*entries, strict=True)
    names = tuple(map(str, range(len(masks))))
    return ImageSet(torch.zeros(len(masks), 64, 64, 3, dtype=torch.uint8), torch.stack(masks), names, credits, people)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([(squares(9), FREE, 1)], None),
        ([(squares(9, 9), FREE, 2), (squares(9, 9, 9), FREE, 2)], 0),
        ([(squares(12, 12), FREE, 1), (squares(5, 5), RESTRICTED, 2)], 1),  # one person in two pieces
        ([(squares(5, 9), FREE, 2), (squares(10, 10), RESTRICTED, 2)], 1),  # too small to be seen
        ([(squares(12, 12), RESTRICTED, 2), (squares(10, 10), FREE, 2)], 1),
        ([(squares(10, 10), FREE, 2), (squares(12, 12), FREE, 2), (squares(11, 15), FREE, 2)], 1),
    ],
)
def test_which_image_shows_two_people(entries: list[Any], expected: int | None) -> None:
    assert presentable(image_set(*entries), 2, 2) == expected


def test_pixels_that_touch_along_the_other_diagonal_are_apart() -> None:
    """As in the Freudenthal triangulation."""
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[10:20, 10:20] = mask[20:30, 20:30] = True
    flipped = mask.flip(1)
    val = image_set((mask, FREE, 1), (flipped, FREE, 2))
    assert presentable(val, 1, 1) == 0 and presentable(val, 2, 2) == 1


def test_one_two_several_and_none_from_the_embedded_scenes(config: Config) -> None:
    val = task.load(dataclasses.replace(config, val_images=30), "val")
    found = chosen(config, val)
    assert list(found) == ["none", "one", "two", "several"]
    barcodes = {
        which: tl.persistence(tl.Freudenthal(image.masks[0].float(), superlevel=True)) for which, image in found.items()
    }
    assert not found["none"].masks.any()
    assert {which: 1 + len(barcodes[which]) for which in ("one", "two")} == {"one": 1, "two": 2}
    assert 1 + len(barcodes["several"]) >= 3


def test_magnitudes_are_those_of_the_phases(config: Config) -> None:
    model = UNet(width=2).eval()
    val = task.load(config, "val")
    images, _ = val.batch(torch.tensor([0]), torch.device("cpu"))
    found = magnitudes(model, images)
    assert list(found) == [*LAYERS, "output"]
    assert all(found[name].shape == (1, *(side_of(name, 64),) * 2) for name in LAYERS)
    with torch.no_grad():
        torch.testing.assert_close(found["enc1"], model.get_submodule("enc1")(images).norm(dim=1))
        torch.testing.assert_close(found["output"], model(images)[:, 0])
    assert not any(layer._forward_hooks for layer in model.modules())


# -- over many images


@pytest.mark.parametrize("n", [20, 200])
def test_intervals_of_rank_correlations(n: int) -> None:
    generator = torch.Generator().manual_seed(n)
    first, second = torch.randint(5, (2, n), generator=generator).double()
    r, low, high = agreement.correlation(first, first + second)
    assert r == pytest.approx(spearmanr(first, first + second).statistic)
    assert -1 < low < r < high < 1
    assert high - low == pytest.approx(2 * 1.96 * (1 - r**2) * math.sqrt((1 + r**2 / 2) / n), rel=0.25)
    assert agreement.correlation(first, first)[0] == pytest.approx(1)


def test_constant_counts_have_no_correlation() -> None:
    varied, constant = torch.arange(9.0), torch.ones(9)
    for pair in ((varied, constant), (constant, varied), (varied[:3], varied[:3])):
        assert all(math.isnan(number) for number in agreement.correlation(*pair))


@pytest.mark.parametrize(
    ("lows", "first"),
    [
        ([0.1, -0.1, 0.2, 0.3], "c"),
        ([0.1, 0.2, 0.3, 0.4], "a"),
        ([0.1, 0.2, 0.3, -0.4], None),
        ([1, math.nan, 1, 1], "c"),
    ],
)
def test_from_which_layer_on(lows: list[float], first: str | None) -> None:
    rows = [{"layer": name, "mask_low": low} for name, low in zip("abcd", lows, strict=True)]
    assert agreement.agrees_from(rows, "mask") == first


def test_a_layer_is_recommended_on_training_images_alone(config: Config, tmp_path: Path) -> None:
    model = UNet(width=2).eval()
    table = agreement.probed(model, task.load(config, "train"), 0.25)
    table = dataclasses.replace(table, layer="dec2", k=3)  # an untrained network follows nothing
    for recommend in (False, True):
        agreement.report(tmp_path, table, recommend=recommend)
        assert ("recommends layer dec2 with k = 3" in (tmp_path / "layers.md").read_text()) == recommend


# -- the command


def test_a_run_gets_its_pictures_and_tables(
    train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "COUNTS", {"one": (1, 1)})  # a picture takes seconds
    Image.new("RGB", (90, 60), "navy").save(tmp_path / "sea.png")
    run, out = train("none", val_images=12), tmp_path / "made"
    main(Options(run=run, images=(tmp_path / "sea.png",), limit=5, out=out, threads=1))
    pictures = {"layers_one.png", "image_1_sea.png", "mask.png", "superlevel_sets.png", "agreement.png"}
    assert {path.name for path in out.iterdir()} == pictures | {"layers.csv", "layers.md", "made.json"}
    for name in pictures:
        with Image.open(out / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 10, name
    with (out / "layers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["layer"] for row in rows] == [*LAYERS, "output"]
    assert [row["resolution"] for row in rows[:2]] == ["64x64", "32x32"]
    assert float(rows[-1]["output_correlation"]) == pytest.approx(1) or rows[-1]["output_correlation"] == "nan"
    text = (out / "layers.md").read_text()
    assert "| output | 64x64 | 1 |" in text and "Means over 5 images" in text and "recommend" not in text


def test_the_blocks_of_a_transformer_are_layers(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """All arms are trained with the layers that are meant where none is named, and the table is of the blocks."""
    monkeypatch.setattr(layers, "COUNTS", {"one": (1, 1)})  # a picture takes seconds
    transformer = dataclasses.replace(config, network="vit", layer="auto", epochs=1, val_images=12)
    training.main(dataclasses.replace(transformer, arms=("none", "topology", "tv")))
    run = config.folder / "seed0-topology"
    noted = json.loads((run / "config.json").read_text())
    assert (noted["layer"], noted["tv_layer"]) == ("block4", "block6")
    main(Options(run=run, limit=5, threads=1))
    with (run / "activations" / "layers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["layer"] for row in rows] == [*(f"block{number}" for number in range(1, 7)), "output"]
    assert rows[0]["resolution"] == "16x16"


def test_the_demo_trains_first(config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tiny = dataclasses.replace(config, arms=("none",), name="tiny", resume=True)
    monkeypatch.setattr(activations, "DEMO", tiny)
    monkeypatch.setattr(layers, "layers", lambda *shown, **options: None)
    monkeypatch.setattr(layers, "superlevel_figure", lambda *shown: None)
    main(Options(demo=True, runs=tmp_path, threads=1))
    made = {path.name for path in (tmp_path / "tiny" / "seed0-none" / "activations").iterdir()}
    assert {"mask.png", "agreement.png", "layers.md"} <= made


def test_photographs_without_people(train: Callable[..., Path], coco_root: Path) -> None:
    """Image 4 shows a dog alone. The validation images all show people: no picture then."""
    run = train("none")
    config = dataclasses.replace(load_run(run, None)[0], data="coco", root=coco_root)
    assert "none" not in chosen(config, task.load(config, "val"))
    (coco_root / "annotations" / "instances_val.json").write_text(
        (coco_root / "annotations" / "instances_train.json").read_text()
    )
    for path in (coco_root / "train").iterdir():
        path.replace(coco_root / "val" / path.name)
    found = chosen(config, task.load(config, "val"))
    assert found["none"].names == ("COCO 4",) and found["two"].names == ("COCO 3",)


def test_what_users_can_mend_is_said_in_one_line(train: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--run, or --demo"):
        main(Options())
    with pytest.raises(UserError, match="holds no run"):
        main(Options(run=tmp_path))
    run = train("none")
    (run.parent / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"holds several runs.*seed0-none"):
        main(Options(run=run.parent))
    with pytest.raises(UserError, match=r"--images .*missing.jpg"):
        main(Options(run=run, images=(tmp_path / "missing.jpg",)))
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    state["model"]["output.bias"][:] = torch.nan
    torch.save(state, run / "checkpoint.pt")
    with pytest.raises(UserError, match="not finite"):
        main(Options(run=run))
