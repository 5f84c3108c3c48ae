"""Finished runs of the depth experiment, scored again and on other data."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.evaluate import Options, main
from experiments.shared.console import UserError


@pytest.mark.parametrize("changes", [{}, {"model": "unet"}])
def test_a_runs_own_images_give_the_scores_that_it_reported(
    train: Callable[..., Path], changes: dict[str, object]
) -> None:
    run = train("topology", **changes)
    main(Options(run))
    found = json.loads((run / "evaluation" / "scores.json").read_text())
    reported = json.loads((run / "summary.json").read_text())["final"]
    assert found["scores"] == {name: reported[name] for name in found["scores"]} == found["reported"]
    assert {"delta1", "val_loss", "val_speckle"} <= found["scores"].keys()
    with (run / "evaluation" / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert np.mean([float(row["delta1"]) for row in rows]) == pytest.approx(found["scores"]["delta1"], rel=1e-6)


def test_rooms_are_scored_by_a_network_of_scenes(train: Callable[..., Path], tmp_path: Path) -> None:
    """The ranges of the errors are those of the rooms' sensor; the network keeps the range it was trained for."""
    rng = np.random.default_rng(0)
    for folder in ("rgb", "depth_mm"):
        (tmp_path / folder).mkdir()
    for name in ("0", "1"):
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(tmp_path / "rgb" / f"{name}.jpg")
        depth = rng.integers(800, 9000, (48, 64), dtype=np.uint16)
        Image.fromarray(depth).save(tmp_path / "depth_mm" / f"{name}.png")
    (tmp_path / "val.txt").write_text("0 1")
    run = train("none")
    main(Options(run, data="nyu", root=tmp_path, cache=tmp_path / "cache", out=tmp_path / "out"))
    found = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert found["reported"] == {} and "mae_from_1.5_to_2.5" in found["scores"]
    assert (tmp_path / "cache" / "nyu-val" / "index.json").exists()
    with pytest.raises(UserError, match="not in DIODE's layout"):
        main(Options(run, data="diode", root=tmp_path))
