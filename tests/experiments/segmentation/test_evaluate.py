"""Finished runs of the segmentation, scored again and on other data."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.evaluate import Options, main
from experiments.segmentation.metrics import scores
from experiments.shared.console import UserError

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def written(folder: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = json.loads((folder / "scores.json").read_text())
    return found


@pytest.mark.parametrize("changes", [{}, {"encoder": "small", "size": 96}], ids=str)
def test_a_runs_own_images_give_the_scores_that_it_reported(
    train: Callable[..., Path], changes: dict[str, object]
) -> None:
    run = train("topology", noise=0.1, **changes)
    main(Options(run))
    found = written(run / "evaluation")
    reported = json.loads((run / "summary.json").read_text())["final"]
    assert found["scores"] == {name: reported[name] for name in found["scores"]}
    assert found["reported"] == found["scores"]
    assert {"miou", "betti_error", "val_mse", "miou_noise"} <= found["scores"].keys()
    assert "| mIoU (%) |" in (run / "evaluation" / "scores.md").read_text()
    assert (run / "evaluation" / "examples.png").stat().st_size > 10_000


def test_counts_of_the_images_add_up_to_the_scores(train: Callable[..., Path], tmp_path: Path) -> None:
    run = train("none")
    main(Options(run, out=tmp_path / "out"))
    with (tmp_path / "out" / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [f"scene {i} of seed 2" for i in range(3)]
    neither, predicted, missed, both = (
        sum(float(row[name]) for row in rows) for name in ("neither", "predicted", "missed", "both")
    )

    found = scores(torch.tensor([[neither, predicted], [missed, both]]))
    wanted = written(tmp_path / "out")["scores"]
    assert found["miou"] == pytest.approx(wanted["miou"])
    for score in ("betti_error", "matching_error"):
        assert np.mean([float(row[score]) for row in rows]) == pytest.approx(wanted[score])
    assert (tmp_path / "out" / "images.csv").read_text() == (run / "images.csv").read_text()  # the run left it too


def test_photographs_are_scored_by_a_network_of_scenes(
    train: Callable[..., Path], coco_root: Path, tmp_path: Path
) -> None:
    run = train("none")
    main(Options(run, data="coco", root=coco_root, split="train", out=tmp_path / "out"))
    found = written(tmp_path / "out")
    assert not found["reported"] and 0 <= found["scores"]["miou"] <= 100
    assert "on 3 images of coco, train" in (tmp_path / "out" / "scores.md").read_text()


def test_what_users_can_mend_is_said_in_one_line(train: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run"):
        main(Options(tmp_path))
    run = train("none")
    with pytest.raises(UserError, match="--data nyu: runs of segmentation are scored on scenes, coco"):
        main(Options(run, data="nyu"))
    with pytest.raises(UserError, match="--data coco needs --root DIR"):
        main(Options(run, data="coco"))
    with pytest.raises(UserError, match="not in COCO's layout"):
        main(Options(run, data="coco", root=tmp_path))
    with pytest.raises(UserError, match=r"--root .* would be ignored"):
        main(Options(run, root=tmp_path))
    with pytest.raises(UserError, match="--limit and --threads"):
        main(Options(run, limit=-1))
    noted = run / "config.json"
    before = noted.read_text()
    noted.write_text(before.replace('"width": 2', '"width": 4'))
    with pytest.raises(UserError, match=r"another architecture.*enc1"):
        main(Options(run))
    noted.write_text(before.replace('"width": 2', '"width": 2, "depth": 3'))
    with pytest.raises(UserError, match=r"trained by another version, commit .*no option depth here"):
        main(Options(run))
    noted.write_text(before.replace('"segmentation"', '"painting"'))
    with pytest.raises(UserError, match="an experiment 'painting', which is none of those here"):
        main(Options(run))
    noted.write_text(before)
    (run / "summary.json").unlink()
    with pytest.raises(UserError, match="holds an unfinished run: give its command again with --resume"):
        main(Options(run))
