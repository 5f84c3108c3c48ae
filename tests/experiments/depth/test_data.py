"""DIODE's and NYU's layouts, written here in small, and rendered scenes."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.depth.config import Config
from experiments.depth.depthset import nearest
from experiments.depth.layouts import load_diode, load_nyu
from experiments.depth.scenes import _box, _ground, _inside, _sphere, scenes
from experiments.depth.settle import settle
from experiments.depth.task import load
from experiments.shared.console import UserError, log

HEIGHT, WIDTH = 12, 16  # twice what is read
SIZE = (6, 8)


def write_diode(scan: Path, stem: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scan.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(scan / f"{stem}.png")
    depth = rng.uniform(0.7, 300, (HEIGHT, WIDTH, 1)).astype(np.float32)
    mask = (rng.uniform(size=(HEIGHT, WIDTH)) < 0.8).astype(np.float64)
    np.save(scan / f"{stem}_depth.npy", depth)
    np.save(scan / f"{stem}_depth_mask.npy", mask)
    return depth[..., 0], mask


@pytest.fixture
def diode(tmp_path: Path) -> Path:
    """`train`: three images indoors in two scans, two outdoor; `val`: one outdoor."""
    root = tmp_path / "diode"
    indoors, outdoor = root / "train" / "indoors" / "scene_00000", root / "train" / "outdoor" / "scene_00022"
    write_diode(indoors / "scan_00000", "00000_00000_indoors_000_000", 0)
    write_diode(indoors / "scan_00000", "00000_00000_indoors_000_010", 1)
    write_diode(indoors / "scan_00001", "00000_00001_indoors_000_000", 2)
    write_diode(outdoor / "scan_00193", "00022_00193_outdoor_000_000", 3)
    write_diode(outdoor / "scan_00193", "00022_00193_outdoor_000_010", 4)
    write_diode(root / "val" / "outdoor" / "scene_00023" / "scan_00200", "00023_00200_outdoor_000_000", 5)
    return root


@pytest.fixture
def nyu(tmp_path: Path) -> Path:
    root = tmp_path / "nyu"
    for folder in ("rgb", "depth_mm"):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("0000", "0001", "0002"):
        Image.fromarray(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(root / "rgb" / f"{name}.jpg")
        depth = np.full(SIZE, 1500, np.uint16)
        depth[0] = 0
        depth[1] = 10_001
        Image.fromarray(depth).save(root / "depth_mm" / f"{name}.png")
    (root / "train.txt").write_text("0000\n0002\n")
    (root / "val.txt").write_text("0001\n")
    return root


def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level(logging.WARNING, "experiments")


def test_diode_is_read_at_half_size(diode: Path) -> None:
    loaded = load_diode(diode, "train", SIZE)
    assert len(loaded) == 5
    assert loaded.names[0] == "train/indoors/scene_00000/scan_00000/00000_00000_indoors_000_000.png"
    assert sum("outdoor" in name for name in loaded.names) == 2
    depth, mask = write_diode(diode / "again", "x", 1)  # as the second image
    images, depths, known = loaded.batch(torch.tensor([1]), torch.device("cpu"))
    assert torch.equal(known[0, 0], torch.from_numpy(mask[1::2, 1::2] > 0))
    assert torch.equal(depths[known], torch.from_numpy(depth[1::2, 1::2])[known[0, 0]])
    assert images.shape == (1, 3, *SIZE) and images.is_contiguous(memory_format=torch.channels_last)
    assert images.min() >= 0 and images.max() <= 1
    assert len(load_diode(diode, "train", SIZE, settings=("outdoor",))) == 2


def test_the_command_reads_diode(diode: Path, tmp_path: Path) -> None:
    options = {"data": "diode", "root": diode, "cache": tmp_path / "cache", "size": (32, 64), "settings": ("outdoor",)}
    config = settle(Config(**options))
    assert [len(load(config, split)) for split in ("train", "val")] == [2, 1]
    assert load(config, "val").images.shape == (1, 32, 64, 3)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["diode-train", "diode-val"]


def test_a_limit_takes_images_from_everywhere(diode: Path) -> None:
    names = load_diode(diode, "train", SIZE, limit=2).names
    assert ["indoors" in name for name in names] == [True, True] and "scan_00001" in names[1]


def test_what_cannot_be_read_is_named_counted_and_skipped(
    diode: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard(caplog, monkeypatch)
    pictures = sorted(diode.glob("train/*/*/*/*.png"))
    missing, torn, masked, other = (path.with_suffix("") for path in pictures[:4])
    Path(f"{missing}_depth.npy").unlink()
    content = Path(f"{torn}_depth.npy").read_bytes()
    Path(f"{torn}_depth.npy").write_bytes(content[:200])
    np.save(f"{masked}_depth_mask.npy", np.zeros((HEIGHT, WIDTH)))
    np.save(f"{other}_depth.npy", np.full((HEIGHT, WIDTH), 400.0))  # farther than the sensor sees
    loaded = load_diode(diode, "train", SIZE)
    assert loaded.names == (str(pictures[4].relative_to(diode)),)
    for path in (missing, torn, masked, other):
        assert path.name in caplog.text
    assert "4 of 5 images" in caplog.text and "no depth in it is valid" in caplog.text
    images, _, _ = loaded.batch(torch.tensor([0]), torch.device("cpu"))
    with Image.open(pictures[4]) as file:
        wanted = np.asarray(file.resize((SIZE[1], SIZE[0]), Image.Resampling.BILINEAR))
    assert torch.equal((images[0] * 255).round().byte(), torch.from_numpy(wanted.copy()).permute(2, 0, 1))


def test_objects_in_a_depth_file_are_not_unpickled(diode: Path) -> None:
    (stem,) = (path.with_suffix("") for path in diode.glob("val/*/*/*/*.png"))
    np.save(f"{stem}_depth.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="none of the 1 images"):
        load_diode(diode, "val", SIZE, settings=("outdoor",))


def test_what_users_can_mend_is_said_in_one_line(diode: Path, nyu: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not in DIODE's layout"):
        load_diode(nyu, "train", SIZE)
    with pytest.raises(UserError, match=r"there is no .*train\.txt"):
        load_nyu(diode, "train", SIZE)
    for path in diode.glob("val/*/*/*/*"):
        path.unlink()
    with pytest.raises(UserError, match="val is empty"):
        load_diode(diode, "val", SIZE)
    (nyu / "val.txt").write_text("7777\n")
    with pytest.raises(UserError, match="none of the 1 images"):
        load_nyu(nyu, "val", SIZE)


def test_nyu(nyu: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    heard(caplog, monkeypatch)
    loaded = load_nyu(nyu, "train", SIZE)
    assert loaded.names == ("0000", "0002")
    _, depths, known = loaded.batch(torch.tensor([0, 1]), torch.device("cpu"))
    assert not known[:, :, :2].any() and known[:, :, 2:].all()  # 0 is no depth, and 10 m is the farthest
    assert depths[known].eq(1.5).all()
    Image.fromarray(np.full(SIZE, 200, np.uint8)).save(nyu / "depth_mm" / "0000.png")
    assert load_nyu(nyu, "train", SIZE).names == ("0002",)
    assert "not 16 bit" in caplog.text


def test_a_cache_is_used_again_until_something_changes(diode: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = load_diode(diode, "train", SIZE, cache=cache)
    for path in diode.glob("train/*/*/*/*.npy"):
        path.unlink()
    again = load_diode(diode, "train", SIZE, cache=cache)
    everything = torch.arange(5), torch.device("cpu")
    for one, other in zip(first.batch(*everything), again.batch(*everything), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(UserError, match="none of the 5"):
        load_diode(diode, "train", (3, 4), cache=cache)


def test_depths_are_not_mixed() -> None:
    array = np.arange(12.0).reshape(3, 4)
    assert nearest(array, (3, 4)).tolist() == array.tolist()
    assert nearest(array, (6, 8))[::2, ::2].tolist() == array.tolist()
    assert nearest(array, (1, 2)).tolist() == [[5, 7]]


def test_scenes_depend_on_their_seed_alone() -> None:
    one, same, other = scenes(3, (24, 32), seed=5), scenes(4, (24, 32), seed=5), scenes(3, (24, 32), seed=6)
    assert torch.equal(one.images, same.images[:3])
    assert torch.equal(one.depths.nan_to_num(), same.depths[:3].nan_to_num())
    assert not torch.equal(one.images, other.images)


@pytest.mark.parametrize("kind", ["ground", "walls", "box", "sphere"])
def test_rays_meet_surfaces_where_they_first_enter_them(kind: str) -> None:
    """Against small steps along each ray, and with normals that look back at the camera."""
    rng = np.random.default_rng(0)
    rays = np.concatenate([rng.uniform(-0.8, 0.8, (300, 2)), np.ones((300, 1))], 1)
    origin, centre, half, yaw = np.array([0.3, 1.5, 0.2]), np.array([0.5, 1.0, 3.0]), np.array([0.9, 0.4, 0.5]), 0.7
    turned = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    low, high = np.zeros(3), np.array([2.0, 3.0, 5.0])

    def solid(points: np.ndarray) -> np.ndarray:
        if kind == "ground":
            return points[..., 1] < 0
        if kind == "walls":
            return ((points < low) | (points > high)).any(-1)
        if kind == "sphere":
            return ((points - centre) ** 2).sum(-1) < 0.7**2
        return (np.abs((points - centre) @ turned) < half).all(-1)

    surfaces = {
        "ground": [_ground],
        "walls": [_inside(low, high, axis) for axis in range(3)],
        "sphere": [_sphere(centre, 0.7)],
        "box": [_box(centre, half, yaw)],
    }[kind]
    met = [surface(origin, rays) for surface in surfaces]
    nearest_one = np.argmin([distance for distance, _ in met], 0)
    distances = np.min([distance for distance, _ in met], 0)
    normals = np.array([normal for _, normal in met])[nearest_one, np.arange(300)]
    steps = np.arange(0.005, 12, 0.01)
    inside = solid(origin + steps[:, None, None] * rays)
    wanted = np.where(inside.any(0), steps[inside.argmax(0)], np.inf)
    # A ray that only grazes an edge may pass between two steps.
    close = np.isclose(distances, wanted, atol=0.011) | ((distances > 12) & np.isinf(wanted))
    assert close.mean() > 0.98 and np.isfinite(wanted).mean() > 0.05
    hit = np.isfinite(distances)
    assert np.allclose(np.linalg.norm(normals[hit], axis=1), 1)
    assert ((normals[hit] * rays[hit]).sum(1) < 1e-9).all()


def test_scenes_show_rooms_and_plains_with_a_sky() -> None:
    loaded = scenes(8, (48, 64), seed=1)
    _, depths, known = loaded.batch(torch.arange(8), torch.device("cpu"))
    assert depths[known].min() >= 0.6 and depths[known].max() <= 80
    share = known.flatten(1).float().mean(1)
    assert (share[0::2] > 0.99).all() and (share[1::2] < 0.99).all()  # a sky has no depth
    known_depths = loaded.depths[loaded.depths.isfinite()].double()
    assert loaded.mean_log() == pytest.approx(float(known_depths.log().mean()), abs=1e-4)
    # A plain: where nothing stands on the ground, one over depth is a linear function of the row.
    bend = (1 / loaded.depths[1::2]).diff(n=2, dim=1)
    assert (bend[bend.isfinite()].abs() < 1e-5).float().mean() > 0.4


def test_the_real_sample() -> None:
    beside = Path(__file__).parents[4] / "shared" / "data"
    root = Path(os.environ.get("TOPOLAYER_DATA", beside)) / "nyu-depth"
    if not root.is_dir():
        pytest.skip("set TOPOLAYER_DATA to the folder that holds nyu-depth")
    loaded = load_nyu(root, "val", (96, 128), limit=20)
    _, depths, known = loaded.batch(torch.arange(20), torch.device("cpu"))
    assert len(loaded) == 20 and known.float().mean() > 0.99
    assert 1 < depths[known].median() < 5
