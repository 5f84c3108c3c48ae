"""The report's statistics against sums done by hand, and the files it writes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, get_args

import pytest

from experiments import report as command
from experiments.depth import config as depth
from experiments.depth.experiment import EXPERIMENT as DEPTH
from experiments.segmentation import config as segmentation
from experiments.segmentation.experiment import EXPERIMENT as SEGMENTATION
from experiments.shared import figures, report
from experiments.shared.console import UserError
from experiments.shared.experiment import Experiment
from experiments.shared.files import write_csv


def write_run(folder: Path, arm: str, seed: int, miou: float) -> None:
    row = {"epoch": 1.0, "miou": miou, "person_iou": miou - 10, "val_mse": 0.1, "val_speckle": 2.0}
    write_row(folder / f"seed{seed}-{arm}", arm, seed, row)


def write_row(
    run: Path,
    arm: str,
    seed: int,
    row: dict[str, float],
    history: list[dict[str, float]] | None = None,
    experiment: str = "segmentation",
) -> None:
    run.mkdir(parents=True)
    write_csv(run / "metrics.csv", history or [row])
    summary = {"experiment": experiment, "arm": arm, "seed": seed, "final": row, "images_per_second": 10.0}
    (run / "summary.json").write_text(json.dumps(summary))


def test_the_report_compares_pairs(tmp_path: Path) -> None:
    for seed, (none, topology) in enumerate([(50, 51), (60, 62), (40, 43)]):
        write_run(tmp_path, "none", seed, none)
        write_run(tmp_path, "topology", seed, topology)
    write_run(tmp_path, "topology", 3, 99)  # no partner: in the mean, not in the difference
    none, topology = report.compare(report.finished_runs(tmp_path), SEGMENTATION)
    assert (none["arm"], none["seeds"], none["miou"], none["miou_sd"]) == ("none", 3, 50, 10)
    assert (topology["seeds"], topology["pairs"]) == (4, 3)
    # Differences 1, 2, 3: mean 2, deviation 1; the 97.5 % point of Student's t with 2 degrees of freedom is 4.3027.
    assert topology["miou_difference"] == pytest.approx(2)
    assert topology["miou_ci95"] == pytest.approx(4.3027 / math.sqrt(3), abs=1e-4)
    report.write(tmp_path, SEGMENTATION)
    assert "+2.00 [-0.48, +4.48]" in (tmp_path / "results.md").read_text()
    assert (tmp_path / "convergence.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "results.csv").exists()


def test_the_reported_score_is_the_mean_of_the_last_validations(tmp_path: Path) -> None:
    histories = {"none": [10, 60, 50, 52, 54], "topology": [20, 50, 60, 50, 64], "tv": [1, 2, 3, 4, 50]}
    for arm, values in histories.items():
        rows = [
            {"epoch": 2.0 * number, "miou": float(value), "person_iou": 1.0, "val_mse": 0.1, "val_speckle": 2.0}
            for number, value in enumerate(values, 1)
        ]
        write_row(tmp_path / f"seed0-{arm}", arm, 0, rows[-1] | {"miou_noise": 7.0}, rows)
    (tmp_path / "config.json").write_text('{"last_epochs": 3}')
    none, topology, tv = report.write(tmp_path, SEGMENTATION)
    assert (none["miou"], topology["miou"], topology["miou_difference"], tv["miou"]) == (52, 58, 6, 19)
    assert (none["miou_noise"], none["person_iou"]) == (7, 1)  # of disturbed images there is one score alone
    # Means over three: none 40, 54, 52, so that 52 is reached at the fourth of five validations, in epoch 8.
    assert (none["epochs_to_baseline"], none["reached"]) == (8, "1 of 1")
    assert (topology["epochs_to_baseline"], topology["reached"]) == (8, "1 of 1")  # 43.3, 53.3, 58
    assert (tv["epochs_to_baseline"], tv["reached"]) == (math.inf, "0 of 1")
    text = (tmp_path / "results.md").read_text()
    assert "| not reached (0 of 1) |" in text and "averaged over the last 3 validations" in text


def test_scores_that_older_runs_lack_are_left_out(tmp_path: Path) -> None:
    write_run(tmp_path, "none", 0, 50)
    row = {"epoch": 1.0, "miou": 51.0, "person_iou": 40.0, "betti_error": 2.0, "val_mse": 0.1, "val_speckle": 2.0}
    write_row(tmp_path / "seed0-topology", "topology", 0, row)
    report.write(tmp_path, SEGMENTATION)
    header = (tmp_path / "results.md").read_text().splitlines()[0]
    assert "person IoU" in header and "Betti" not in header


def test_several_folders_are_drawn_side_by_side(tmp_path: Path) -> None:
    for folder in ("small", "large"):
        write_run(tmp_path / folder, "none", 0, 50)
        write_run(tmp_path / folder, "tv", 0, 51)
    command.write((tmp_path / "small",))
    assert not (tmp_path / "differences.png").exists()
    command.write((tmp_path / "small", tmp_path / "large"))
    assert (tmp_path / "differences.png").stat().st_size > 10_000


def test_folders_of_depth_have_a_panel_for_each_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[list[str], Experiment]] = []
    monkeypatch.setattr(figures, "differences", lambda _, rows, experiment: drawn.append((list(rows), experiment)))
    row = dict.fromkeys(DEPTH.titles, 0.5) | {"epoch": 1.0, "val_loss": 1.0, "val_speckle": 1.0}
    row["mae_from_0.6_to_2"] = 0.1
    for folder in ("a/x", "b/x"):
        for seed in (0, 1):
            write_row(tmp_path / folder / f"seed{seed}-none", "none", seed, row, experiment="depth")
            write_row(tmp_path / folder / f"seed{seed}-tv", "tv", seed, row, experiment="depth")
    command.write((tmp_path / "a/x", tmp_path / "b/x"))
    ((names, shown),) = drawn
    assert set(shown.titles) == {*DEPTH.titles, "mae_from_0.6_to_2"}
    assert names == [str(tmp_path / "a/x"), str(tmp_path / "b/x")]
    with pytest.raises(UserError, match="at least one folder"):
        command.write(())


def test_a_report_on_many_scores_has_a_row_for_each(tmp_path: Path) -> None:
    names = ("mae", "rmse", "abs_rel", "abs_rel_usual", "mae_log10", "rmse_log10", "delta1", "delta2", "delta3")
    for seed in range(2):
        for arm, shift in (("none", 0.0), ("tv+topology", -0.5 - seed)):
            row = {"epoch": 1.0, "val_loss": 1.0, "val_speckle": 2.0} | dict.fromkeys(names, 1.0)
            row["mae_from_2_to_5"] = 3 + shift
            write_row(tmp_path / f"seed{seed}-{arm}", arm, seed, row)
    report.write(tmp_path, DEPTH)
    lines = [line.split(" | ") for line in (tmp_path / "results.md").read_text().splitlines() if " | " in line]
    assert [cell.strip("| ") for cell in lines[0]] == ["score", "none", "tv+topology", "Δ tv+topology [95 % CI]"]
    # Differences -0.5 and -1.5: mean -1, deviation 0.7071; the 97.5 % point with 1 degree of freedom is 12.7062.
    (found,) = [line for line in lines if "2 to 5 m" in line[0]]
    assert found[1].startswith("3.0000 ± 0") and found[3].startswith("-1.0000 [-7.3531, +5.3531]")
    (epochs,) = [line for line in lines if "epochs" in line[0]]
    assert epochs[1:3] == ["1 (2 of 2)", "1 (2 of 2)"]
    assert len(lines) == 2 + len(names) + 4


def test_the_experiment_is_that_of_the_runs(tmp_path: Path) -> None:
    row = {"epoch": 1.0, "val_speckle": 1.0}
    for name in ("segmentation", "depth", "gone"):
        write_row(tmp_path / name / "seed0-none", "none", 0, row, experiment=name)
    assert command.experiment_of(tmp_path / "depth") is DEPTH
    with pytest.raises(UserError, match="'gone', which is none of those here"):
        command.write((tmp_path / "gone",))
    with pytest.raises(UserError, match="runs of depth and segmentation: name those of one"):
        command.write((tmp_path / "segmentation", tmp_path / "depth"))
    with pytest.raises(UserError, match="no finished run"):
        command.write((tmp_path,))


@pytest.mark.parametrize(("experiment", "arm"), [(SEGMENTATION, segmentation.Arm), (DEPTH, depth.Arm)])
def test_every_arm_has_a_style_of_its_own(experiment: Experiment, arm: Any) -> None:
    assert set(experiment.arms) == set(get_args(arm))
    assert len({style.colour for style in experiment.arms.values()}) == len(experiment.arms)
