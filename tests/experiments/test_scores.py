"""The scores, the learning rate's schedule, the penalties and the report's statistics, against sums done by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

import topolayer as tl
from experiments import report
from experiments.console import UserError
from experiments.files import write_csv
from experiments.images import ImageSet
from experiments.metrics import THRESHOLD, SegmentationScore, ThresholdCurve, foreground, scores
from experiments.penalties import gradient_ratio, normalized, speckle, total_variation
from experiments.segmentation import Config
from experiments.task import Segmentation, squared_error
from experiments.training import epoch_batches, halvings, steps_per_epoch


def test_one_confusion_matrix_of_the_whole_set() -> None:
    score = SegmentationScore(torch.device("cpu"))
    masks = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]).view(3, 1, 2, 2)
    probabilities = torch.tensor([[0.9, 0.4, 0.6, 0.1], [0.7, 0.2, 0.2, 0.2], [0.1, 0.8, 0.5, 0.1]]).view(3, 1, 2, 2)
    score.update(probabilities[:2], masks[:2])
    score.update(probabilities[2:], masks[2:])
    # Person: 2 right, 1 missed, 3 false. Background: 6 right. One half is foreground.
    got = score.compute()
    assert got["person_iou"] == pytest.approx(100 * 2 / 6)
    assert got["miou"] == pytest.approx(100 * (2 / 6 + 6 / 10) / 2)
    assert got["accuracy"] == pytest.approx(100 * 8 / 12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [0.5, 0.49, 0.51])
def test_all_scores_cut_at_the_same_values(value: float, dtype: torch.dtype) -> None:
    """IoU, the curve over thresholds and the Betti error: at least one half is foreground, as in a superlevel set."""
    masks = torch.zeros(1, 1, 4, 4)
    masks[..., :2] = 1
    probabilities = torch.full((1, 1, 4, 4), value).to(dtype)
    score, curve = SegmentationScore(torch.device("cpu")), ThresholdCurve()
    score.update(probabilities, masks)
    curve.update(probabilities, masks)
    found = value >= 0.5
    assert score.compute()["person_iou"] == (50 if found else 0)
    assert float(curve.miou()[100]) == pytest.approx(score.compute()["miou"]) == 25
    assert curve.compute()["found"] == 100 * found
    assert bool(foreground(probabilities).all()) == found
    assert tl.betti_error(probabilities.float(), masks, threshold=THRESHOLD, dims=0) == (not found)


def test_a_class_that_is_nowhere_is_left_out() -> None:
    assert scores(torch.tensor([[8, 0], [0, 0]]))["miou"] == 100


def test_twelve_halvings_every_four_epochs_of_fifty() -> None:
    steps = 7
    for epoch in range(50):
        assert halvings(epoch * steps, steps=steps, epochs=50) == epoch // 4
        assert halvings(epoch * steps + steps - 1, steps=steps, epochs=50) == epoch // 4
    asked = [(25, 0), (100, 0), (100, 80)]
    assert [Config(epochs=epochs, halving_epochs=over).twelve_halvings for epochs, over in asked] == [25, 50, 80]
    assert halvings(99 * steps, steps=steps, epochs=50) == 24


@pytest.mark.parametrize("epochs", [2, 6, 25, 49, 120])
def test_other_runs_have_as_many_halvings(epochs: int) -> None:
    steps = 20
    counts = [halvings(step, steps=steps, epochs=epochs) for step in range(epochs * steps)]
    assert counts[0] == 0 and counts[-1] == 12 and set(counts) == set(range(13))


def test_batches_are_a_permutation_without_the_incomplete_one() -> None:
    batches = epoch_batches(10, 4, seed=1, epoch=0)
    assert steps_per_epoch(10, 4) == len(batches) == 2
    assert len(set(torch.cat(batches).tolist())) == 8
    again, other = epoch_batches(10, 4, seed=1, epoch=0), epoch_batches(10, 4, seed=1, epoch=1)
    assert torch.equal(torch.cat(batches), torch.cat(again))
    assert not torch.equal(torch.cat(batches), torch.cat(other))
    with pytest.raises(UserError, match="lower --batch-size"):
        steps_per_epoch(3, 4)


def test_the_betti_error_counts_components_of_the_prediction() -> None:
    """Two and no person where there are one and two: the mean of 1 and 2. A network that fails predicts nobody."""
    masks = torch.zeros(2, 8, 8, dtype=torch.bool)
    masks[0, 1:4, 1:4] = masks[1, 0, 0] = masks[1, 5:, 5:] = True
    images = ImageSet(torch.zeros(2, 8, 8, 3, dtype=torch.uint8), masks, ("", ""), ("", ""))
    predicted = torch.zeros(2, 1, 8, 8)
    predicted[0, 0, 1:3, 1:3] = predicted[0, 0, 6:, 0] = 0.9
    predicted[1] = math.nan

    class Fixed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.layer(x + torch.rand(x.shape))
            return predicted

    fabric = Fabric(accelerator="cpu", devices=1)
    task = Segmentation(fabric, Fixed(), images, images, None, watched="layer", k=1, reduction="mean", batch_size=2)
    assert task.evaluate()["betti_error"] == 1.5


def test_squared_error_is_a_mean_or_a_sum() -> None:
    prediction = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.5, 0.5, 0.5, 0.5]).view(2, 1, 2, 2)
    mask = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]).view(2, 1, 2, 2)
    assert squared_error(prediction, mask, "sum") == pytest.approx((2 + 1) / 2)
    assert squared_error(prediction, mask, "mean") == pytest.approx((2 + 1) / 8)


def test_total_variation_sums_squared_differences_over_pixels_and_channels() -> None:
    h = torch.tensor([[0.0, 1.0], [3.0, 3.0]]).view(1, 1, 2, 2).repeat(2, 3, 1, 1)
    h[1] *= 2
    assert total_variation(h).tolist() == [3 * (9 + 4 + 1 + 0), 4 * 3 * (9 + 4 + 1 + 0)]
    assert total_variation(h.half()).dtype == torch.float32


def test_normalized_penalties_do_not_depend_on_the_scale() -> None:
    h = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(tl.few_maxima(normalized(h)), tl.few_maxima(normalized(100 * h)))
    assert tl.channel_norm(normalized(h)).square().mean() == pytest.approx(1, abs=1e-5)
    assert torch.isfinite(normalized(torch.zeros(1, 1, 2, 2))).all()


def test_ratio_of_gradients() -> None:
    weight = torch.ones(4, requires_grad=True)
    h = 3 * weight
    ratio = gradient_ratio(Fabric(accelerator="cpu", devices=1), 0.1 * h.sum(), 2 * h.sum(), h)
    assert ratio == pytest.approx(0.05)
    assert weight.grad is None  # the step's own backward pass is still to come


def test_speckle_does_not_depend_on_the_scale_and_vanishes_with_few_maxima() -> None:
    h = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(speckle(h, k=8), speckle(100 * h, k=8))
    ramp = torch.arange(16.0).expand(1, 2, 16, 16)
    assert speckle(h, k=8).min() > 0 and speckle(ramp, k=8) == 0


def write_run(folder: Path, arm: str, seed: int, miou: float) -> None:
    row = {"epoch": 1.0, "miou": miou, "person_iou": miou - 10, "val_mse": 0.1, "val_speckle": 2.0}
    write_row(folder / f"seed{seed}-{arm}", arm, seed, row)


def write_row(
    run: Path, arm: str, seed: int, row: dict[str, float], history: list[dict[str, float]] | None = None
) -> None:
    run.mkdir(parents=True)
    write_csv(run / "metrics.csv", history or [row])
    summary = {"arm": arm, "seed": seed, "final": row, "images_per_second": 10.0}
    (run / "summary.json").write_text(json.dumps(summary))


def test_the_report_compares_pairs(tmp_path: Path) -> None:
    for seed, (none, topology) in enumerate([(50, 51), (60, 62), (40, 43)]):
        write_run(tmp_path, "none", seed, none)
        write_run(tmp_path, "topology", seed, topology)
    write_run(tmp_path, "topology", 3, 99)  # no partner: in the mean, not in the difference
    none, topology = report.compare(report.finished_runs(tmp_path))
    assert (none["arm"], none["seeds"], none["miou"], none["miou_sd"]) == ("none", 3, 50, 10)
    assert (topology["seeds"], topology["pairs"]) == (4, 3)
    # Differences 1, 2, 3: mean 2, deviation 1; the 97.5 % point of Student's t with 2 degrees of freedom is 4.3027.
    assert topology["miou_difference"] == pytest.approx(2)
    assert topology["miou_ci95"] == pytest.approx(4.3027 / math.sqrt(3), abs=1e-4)
    report.write(tmp_path)
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
    none, topology, tv = report.write(tmp_path)
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
    report.write(tmp_path)
    header = (tmp_path / "results.md").read_text().splitlines()[0]
    assert "person IoU" in header and "Betti" not in header


def test_several_folders_are_drawn_side_by_side(tmp_path: Path) -> None:
    for folder in ("small", "large"):
        write_run(tmp_path / folder, "none", 0, 50)
        write_run(tmp_path / folder, "tv", 0, 51)
    report.write_all((tmp_path / "small",))
    assert not (tmp_path / "differences.png").exists()
    report.write_all((tmp_path / "small", tmp_path / "large"))
    assert (tmp_path / "differences.png").stat().st_size > 10_000


def test_folders_of_depth_have_a_panel_for_each_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr("experiments.figures.differences", lambda _, rows, titles: drawn.append((list(rows), titles)))
    row = dict.fromkeys(report.DEPTH.titles, 0.5) | {"epoch": 1.0, "val_loss": 1.0, "val_speckle": 1.0}
    row["mae_from_0.6_to_2"] = 0.1
    for folder in ("a/x", "b/x"):
        for seed in (0, 1):
            write_row(tmp_path / folder / f"seed{seed}-none", "none", seed, row)
            write_row(tmp_path / folder / f"seed{seed}-tv", "tv", seed, row)
    report.write_all((tmp_path / "a/x", tmp_path / "b/x"))
    ((names, titles),) = drawn
    assert set(titles) == {*report.DEPTH.titles, "mae_from_0.6_to_2"}
    assert names == [str(tmp_path / "a/x"), str(tmp_path / "b/x")]
    with pytest.raises(UserError, match="at least one folder"):
        report.write_all(())


def test_one_seed_has_no_interval() -> None:
    mean, half = report.confidence([1.5])
    assert mean == 1.5 and math.isnan(half)


def test_the_workaround_for_torchvision_leaves_it_importable() -> None:
    from experiments import _compat

    declared = len(_compat._declared)
    _compat.import_torchvision()  # the second time there is nothing to mend
    assert len(_compat._declared) == declared
    torchvision = pytest.importorskip("torchvision")
    assert torchvision.ops.box_area(torch.tensor([[0.0, 0.0, 2.0, 3.0]])) == 6


def test_a_report_on_many_scores_has_a_row_for_each(tmp_path: Path) -> None:
    names = ("mae", "rmse", "abs_rel", "abs_rel_usual", "mae_log10", "rmse_log10", "delta1", "delta2", "delta3")
    for seed in range(2):
        for arm, shift in (("none", 0.0), ("tv+topology", -0.5 - seed)):
            row = {"epoch": 1.0, "val_loss": 1.0, "val_speckle": 2.0} | dict.fromkeys(names, 1.0)
            row["mae_from_2_to_5"] = 3 + shift
            write_row(tmp_path / f"seed{seed}-{arm}", arm, seed, row)
    report.write(tmp_path)
    lines = [line.split(" | ") for line in (tmp_path / "results.md").read_text().splitlines() if " | " in line]
    assert [cell.strip("| ") for cell in lines[0]] == ["score", "none", "tv+topology", "Δ tv+topology [95 % CI]"]
    # Differences -0.5 and -1.5: mean -1, deviation 0.7071; the 97.5 % point with 1 degree of freedom is 12.7062.
    (found,) = [line for line in lines if "2 to 5 m" in line[0]]
    assert found[1].startswith("3.0000 ± 0") and found[3].startswith("-1.0000 [-7.3531, +5.3531]")
    (epochs,) = [line for line in lines if "epochs" in line[0]]
    assert epochs[1:3] == ["1 (2 of 2)", "1 (2 of 2)"]
    assert len(lines) == 2 + len(names) + 4
