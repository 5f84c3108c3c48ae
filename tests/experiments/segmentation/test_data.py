"""Photographs in COCO's layout and procedural scenes."""

from __future__ import annotations

import json
import logging
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as rle

from experiments.segmentation import coco
from experiments.segmentation.coco import load_persons
from experiments.shared.console import UserError, log
from experiments.shared.images import MEAN, STD, ImageSet, Rows
from experiments.shared.scenes import scenes

from .conftest import SIDE, run_lengths, square

CPU = torch.device("cpu")

# pycocotools' compiled part hands NumPy 2 an object with the old __array__ signature.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def test_the_target_is_the_union_of_all_persons(coco_root: Path) -> None:
    loaded = load_persons(coco_root, "train", 64)
    assert loaded.names == ("COCO 1", "COCO 2", "COCO 3")  # image 4 shows a dog alone
    polygons, lengths, crowd = loaded.masks
    assert polygons[:32, :32].all() and polygons[32:, 32:].all() and polygons.float().mean() == 0.5
    assert lengths[8:24, 16:32].all() and lengths.sum() == 16 * 16
    assert crowd[:, :16].all() and not crowd[:, 16:32].any() and crowd[:, 32:].all()
    assert "some licence" in loaded.credits[0]


def test_crowds_can_be_left_out(coco_root: Path) -> None:
    mask = load_persons(coco_root, "train", 64, crowd="exclude").masks[2]
    assert mask[:, :16].all() and not mask[:, 16:].any()


def test_images_without_people(coco_root: Path) -> None:
    loaded = load_persons(coco_root, "train", 64, people_shown=False)
    assert loaded.names == ("COCO 4",) and not loaded.masks.any() and loaded.images.any()
    with pytest.raises(UserError, match="no image without people"):
        load_persons(coco_root, "val", 64, people_shown=False)


@pytest.mark.parametrize("year", ["2014", "2017"])
def test_public_names(coco_root: Path, year: str) -> None:
    (coco_root / "train").rename(coco_root / f"train{year}")
    annotations = coco_root / "annotations"
    (annotations / "instances_train.json").rename(annotations / f"instances_train{year}.json")
    assert len(load_persons(coco_root, "train", 64)) == 3


def test_an_unreadable_image_is_named_skipped_and_counted(
    coco_root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "propagate", True)
    path = coco_root / "train" / "2.jpg"
    path.write_bytes(path.read_bytes()[:600])
    (coco_root / "train" / "3.jpg").unlink()
    with caplog.at_level(logging.WARNING, "experiments"):
        loaded = load_persons(coco_root, "train", 64)
    assert loaded.names == ("COCO 1",)
    assert "2.jpg" in caplog.text and "3.jpg" in caplog.text and "2 of 3 images" in caplog.text


def test_a_cache_is_used_again_until_the_annotations_change(
    coco_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (coco_root / "train" / "2.jpg").unlink()  # it is left out again
    plain, cache = load_persons(coco_root, "train", 64), tmp_path / "cache"
    first = load_persons(coco_root, "train", 64, cache=cache)
    with monkeypatch.context() as patch:
        patch.setattr(coco, "_read", lambda file: pytest.fail("nothing has changed"))
        again = load_persons(coco_root, "train", 64, cache=cache)
    for found in (first, again):
        assert (found.names, found.credits, found.people) == (plain.names, plain.credits, plain.people)
        assert torch.equal(found.images[:], plain.images) and torch.equal(found.masks[:], plain.masks)
        assert torch.equal(found.foreground(), plain.foreground())
        mine, theirs = (images.batch(torch.tensor([1, 0]), CPU) for images in (found, plain))
        assert torch.equal(mine[0], theirs[0]) and torch.equal(mine[1], theirs[1])
    assert len(load_persons(coco_root, "train", 64, crowd="exclude", cache=cache)) == 2  # other options
    file = coco_root / "annotations" / "instances_train.json"
    content = json.loads(file.read_text())
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] != 1]
    file.write_text(json.dumps(content))
    assert load_persons(coco_root, "train", 64, cache=cache).names == ("COCO 3",)


def test_a_part_of_a_cache_is_not_read_into_memory(coco_root: Path, tmp_path: Path) -> None:
    every = load_persons(coco_root, "train", 64, cache=tmp_path / "cache")
    part = every.subset([2, 0])
    assert isinstance(part.images, Rows) and part.images.whole.data_ptr() == every.images.whole.data_ptr()
    assert part.names == ("COCO 3", "COCO 1") and torch.equal(part.images[0], every.images[2])
    assert [int(mask.sum()) for mask in part.masks] == [int(every.masks[i].sum()) for i in (2, 0)]
    assert torch.equal(part.noisy(0.1).images, every.subset([2, 0]).noisy(0.1).images)


GOOD = square(0, 0, 40, 80)


@pytest.mark.parametrize(
    ("outline", "half", "skipped"),
    [
        ([], False, 1),
        ([[]], False, 1),
        (None, False, 1),
        ([[10, 10, 30, 30]], False, 1),  # pycocotools would take it for a box
        ([[10, 10, 30, 30, 20, 20]], False, 1),  # on a line
        ([[10, 10, 10, 10, 10, 10]], False, 1),
        ([[10, 10, 30, 10, 30, 30, 7]], False, 1),
        ([[10, 10, 30, 10, 30, math.nan]], False, 1),  # pycocotools would fill the memory
        ([[0, 0, 1e12, 0, 1e12, 80]], False, 1),
        (GOOD, False, 8),  # numbers where polygons are expected
        ([[10, 10, 30, 30], GOOD], True, 1),
        ([GOOD, []], True, 1),
        ([GOOD], True, 0),
        ({"size": [SIDE, SIDE], "counts": []}, False, 1),
        ({"size": [SIDE, SIDE], "counts": [5, 5]}, False, 1),  # pycocotools would leave the rest as it was
        ({"size": [SIDE, SIDE], "counts": [SIDE * SIDE]}, False, 1),
        ({"size": [SIDE, SIDE], "counts": [-1, SIDE * SIDE + 1]}, False, 1),
        ({"size": [4, 4], "counts": [0, 16]}, False, 1),
        ({"size": [SIDE, SIDE], "counts": "nonsense"}, False, 1),
        ({"size": [SIDE, SIDE], "counts": ""}, False, 1),
        ({"size": [SIDE, SIDE]}, False, 1),
        ({"size": [SIDE, SIDE], "counts": [0, SIDE * 40, SIDE * 40]}, True, 0),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_an_outline_that_encloses_nothing_is_skipped_and_counted(
    outline: Any, half: bool, skipped: int, alone: bool, coco_root: Path, caplog: Any, monkeypatch: Any
) -> None:
    """Alone it leaves its image without people; beside another person it adds nothing to the target."""
    monkeypatch.setattr(log, "propagate", True)
    file = coco_root / "annotations" / "instances_val.json"
    content = json.loads(file.read_text())
    person = next(annotation for annotation in content["annotations"] if annotation["image_id"] == 1)
    rest = [annotation for annotation in content["annotations"] if annotation["image_id"] == 2]
    other = [] if alone else [person | {"id": 98, "segmentation": [square(0, 0, 20, 80)]}]
    content["annotations"] = [*rest, *other, person | {"id": 99, "segmentation": outline}]
    file.write_text(json.dumps(content))
    with caplog.at_level(logging.WARNING, "experiments"):
        loaded = load_persons(coco_root, "val", 64)
    assert (f" {skipped} outlines of people skipped, in 1 of {2 + len(other)} annotations" in caplog.text) == (
        skipped > 0
    )
    assert loaded.names == (("COCO 1", "COCO 2") if half or not alone else ("COCO 2",))
    if len(loaded) == 2:
        share = 0.5 if half else 0.25
        assert loaded.masks[0].float().mean() == share and loaded.masks[0, :, : int(64 * share)].all()
        assert loaded.people[0] == half + len(other)
    if alone and not half:  # it shows people all the same
        with pytest.raises(UserError, match="no image without people"):
            load_persons(coco_root, "val", 64, people_shown=False)


def test_run_lengths_are_read_in_both_forms() -> None:
    generator = np.random.default_rng(0)
    for scale in (1, 9):
        mask = np.kron(generator.random((13, 7)) < 0.4, np.ones((scale, scale))).astype(np.uint8)
        compressed = rle.encode(np.asfortranarray(mask))
        record = {"height": mask.shape[0], "width": mask.shape[1]}
        for counts in (compressed["counts"], compressed["counts"].decode(), run_lengths(mask)["counts"]):
            outline, skipped = coco._usable({"size": list(mask.shape), "counts": counts}, record)
            assert skipped == 0 and outline is not None
            assert np.array_equal(coco._union([outline], *mask.shape), 255 * mask)


def test_what_users_can_mend_is_said_in_one_line(coco_root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder"):
        load_persons(tmp_path / "nowhere", "train", 64)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="not in COCO's layout"):
        load_persons(tmp_path / "empty", "train", 64)
    annotations = coco_root / "annotations" / "instances_val.json"
    annotations.write_text(annotations.read_text().replace('"person"', '"tree"'))
    with pytest.raises(UserError, match="no image with people"):
        load_persons(coco_root, "val", 64)
    annotations.write_text("{")
    with pytest.raises(UserError, match="not a COCO annotation file"):
        load_persons(coco_root, "val", 64)
    for image in (coco_root / "train").iterdir():
        image.write_bytes(b"")
    with pytest.raises(UserError, match="none of the 3 images"):
        load_persons(coco_root, "train", 64)


def test_batches_are_normalized(coco_root: Path) -> None:
    loaded = load_persons(coco_root, "train", 64)
    images, masks = loaded.batch(torch.tensor([2, 0]), torch.device("cpu"))
    assert images.shape == (2, 3, 64, 64) and images.is_contiguous(memory_format=torch.channels_last)
    assert masks.shape == (2, 1, 64, 64) and masks.dtype == torch.float32
    pixels = loaded.images[0].permute(2, 0, 1) / 255
    wanted = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(images[1], wanted)


def test_noise_and_blur_are_as_strong_as_stated_and_the_same_at_every_call() -> None:
    grey = torch.full((2, 64, 64, 3), 128, dtype=torch.uint8)
    black, white = torch.zeros_like(grey), torch.full_like(grey, 255)
    black[:, 32, 32, 0] = 200
    plain = [ImageSet(images, torch.zeros(2, 64, 64).bool(), ("a", "b"), ("", "")) for images in (grey, black, white)]
    noise = plain[0].noisy(0.1).images.float() - 128
    assert noise.std() == pytest.approx(25.5, rel=0.02) and abs(noise.mean()) < 1
    assert abs(torch.corrcoef(noise.flatten(1))[0, 1]) < 0.05  # every image has its own
    assert torch.equal(plain[0].noisy(0.1).images, plain[0].noisy(0.1).images)
    bright = plain[2].noisy(0.1).images
    assert bright.min() > 100 and (bright == 255).float().mean() == pytest.approx(0.5, abs=0.02)  # cut, not wrapped
    blurred = plain[1].blurred(2).images[0].float()
    away = torch.arange(-8.0, 9)
    bell = torch.exp(-away.square() / 8)
    bell /= bell.sum()
    torch.testing.assert_close(blurred[24:41, 24:41, 0], 200 * torch.outer(bell, bell), atol=0.51, rtol=0)
    assert not blurred[..., 1:].any() and (plain[2].blurred(2).images == 255).all()


def test_scenes_depend_on_their_seed_alone() -> None:
    one, same, other = scenes(3, 64, seed=5), scenes(4, 64, seed=5), scenes(3, 64, seed=6)
    assert torch.equal(one.images, same.images[:3]) and torch.equal(one.masks, same.masks[:3])
    assert not torch.equal(one.images, other.images)
    assert 0.02 < one.masks.float().mean() < 0.6


def test_scenes_without_figures() -> None:
    empty = scenes(2, 64, seed=5, figures=False)
    assert not empty.masks.any() and empty.images[0].float().std() > 10


def test_the_real_sample() -> None:
    beside = Path(__file__).parents[4] / "shared" / "data"
    root = Path(os.environ.get("TOPOLAYER_DATA", beside)) / "coco-persons"
    if not root.is_dir():
        pytest.skip("set TOPOLAYER_DATA to the folder that holds coco-persons")
    loaded = load_persons(root, "val", 64)
    assert len(loaded) == 160
    assert loaded.masks.flatten(1).any(1).float().mean() > 0.95
    assert 0.1 < loaded.masks.float().mean() < 0.25
