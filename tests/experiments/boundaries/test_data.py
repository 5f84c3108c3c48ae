"""Membranes, cracks and drawn networks; patches, folds and cleaned labels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

import topolayer as tl
from experiments.boundaries.boundaryset import cleaned
from experiments.boundaries.curves import networks
from experiments.boundaries.layouts import load_cracks, load_membranes
from experiments.shared.console import UserError


def write_section(folder: Path, name: str, mask: np.ndarray) -> None:
    for part in ("image", "label"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(mask.shape, 200, dtype=np.uint8)).save(folder / "image" / f"{name}.png")
    Image.fromarray(np.where(mask, 0, 255).astype(np.uint8)).save(folder / "label" / f"{name}.png")


def wall(side: int = 32) -> np.ndarray:
    """A wall from the left to the right."""
    mask = np.zeros((side, side), dtype=bool)
    mask[10:13] = True
    return mask


def test_membranes_are_read_in_the_order_of_the_stack(tmp_path: Path) -> None:
    for name, folder in (("2", "train"), ("10", "train"), ("3", "val")):
        write_section(tmp_path / folder, name, wall())
    found = load_membranes(tmp_path)
    assert found.names == ("2", "3", "10") and bool((found.images == 200).all())
    assert all(np.array_equal(mask, wall()) for mask in found.masks.numpy())
    assert load_membranes(tmp_path / "val").names == ("3",)


def test_cracks_are_read_from_matlab(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "groundTruth").mkdir()
    for name in ("001", "002"):
        Image.fromarray(np.full((32, 32, 3), 90, dtype=np.uint8)).save(tmp_path / "image" / f"{name}.jpg")
    truth = {"groundTruth": {"Segmentation": 1 + wall().astype(np.uint8), "Boundaries": wall()}}
    savemat(tmp_path / "groundTruth" / "002.mat", truth)
    found = load_cracks(tmp_path)
    assert found.names == ("002",) and np.array_equal(found.masks[0].numpy(), wall())
    savemat(tmp_path / "groundTruth" / "001.mat", {"other": 1})
    with pytest.raises(UserError, match=r"001\.mat holds no groundTruth\.Segmentation"):
        load_cracks(tmp_path)


def test_what_users_can_mend_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no membranes: there is no image/N\.png"):
        load_membranes(tmp_path)
    with pytest.raises(UserError, match="holds no cracks"):
        load_cracks(tmp_path)
    write_section(tmp_path, "1", wall())
    write_section(tmp_path, "2", wall(40))
    with pytest.raises(UserError, match=r"2\.png has \(40, 40\) pixels .*of one size"):
        load_membranes(tmp_path)
    (tmp_path / "label" / "1.png").unlink()
    with pytest.raises(UserError, match=r"1\.png cannot be read with its label"):
        load_membranes(tmp_path)
    few = networks(3, 32, seed=0)
    with pytest.raises(UserError, match="make from 2 to 3 folds, not 4"):
        few.folds(4)
    with pytest.raises(UserError, match="patches of 64 x 64 pixels do not fit"):
        few.patches(torch.tensor([0]), 64, seed=0, epoch=0)


def test_tiny_pieces_are_no_features() -> None:
    mask = wall()
    mask[20:23, 20:23] = True  # nine pixels
    mask[11, 5:8] = False  # a hole of three
    assert np.array_equal(cleaned(mask, 16), wall())
    assert np.array_equal(cleaned(mask, 3), mask)
    diagonal = np.eye(32, dtype=bool)  # one piece, 8-connected
    assert np.array_equal(cleaned(diagonal, 16), diagonal)


def test_folds_hold_out_neighbours() -> None:
    every = networks(7, 32, seed=0)
    folds = every.folds(3)
    assert [val.names for _, val in folds] == [every.names[:3], every.names[3:5], every.names[5:]]
    for train, val in folds:
        assert set(train.names) | set(val.names) == set(every.names) and not set(train.names) & set(val.names)


def test_patches_depend_on_seed_epoch_and_image() -> None:
    every = networks(2, 48, seed=0)
    indices = torch.tensor([1, 0])
    images, masks = every.patches(indices, 32, seed=0, epoch=0)
    assert images.shape == masks.shape == (2, 1, 32, 32) and images.max() <= 1
    again, _ = every.patches(indices.flip(0), 32, seed=0, epoch=0)
    assert torch.equal(again, images.flip(0))
    for other in ({"seed": 1, "epoch": 0}, {"seed": 0, "epoch": 1}):
        assert not torch.equal(every.patches(indices, 32, **other)[0], images)
    assert (images[masks > 0].mean() < images[masks == 0].mean()).all()  # image and mask are turned alike


def test_networks_have_closed_cells_and_walls_that_fade() -> None:
    one, same, other = networks(3, 96, seed=5), networks(4, 96, seed=5), networks(3, 96, seed=6)
    assert torch.equal(one.images, same.images[:3]) and torch.equal(one.masks, same.masks[:3])
    assert not torch.equal(one.images, other.images)
    assert 0.05 < one.masks.float().mean() < 0.4
    image, mask = one.images[0].float(), one.masks[0]
    assert image[mask].mean() + 20 < image[~mask].mean() and image[mask].max() > image[~mask].mean()
    bars = tl.persistence(tl.Cubical(one.masks.float(), ndim=2, superlevel=True), dims=1)
    assert len(bars) >= 3  # cells that touch no side of the image


def test_the_real_samples() -> None:
    beside = Path(__file__).parents[4] / "shared" / "data"
    root = Path(os.environ.get("TOPOLAYER_DATA", beside))
    if not (root / "membranes").is_dir() or not (root / "cracks").is_dir():
        pytest.skip("set TOPOLAYER_DATA to the folder that holds membranes and cracks")
    membranes, cracks = load_membranes(root / "membranes"), load_cracks(root / "cracks")
    assert len(membranes) == 24 and membranes.images.shape[1:] == (512, 512)
    assert 0.1 < membranes.masks.float().mean() < 0.35
    assert len(cracks) == 99 and cracks.images.shape[1:] == (320, 480)
    assert 0.005 < cracks.masks.float().mean() < 0.05
