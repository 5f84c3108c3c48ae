"""Scores of walls with known mistakes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from experiments.boundaries.metrics import rand_error, scores


def grid() -> torch.Tensor:
    """Walls that cut 32 x 32 pixels into four cells of equal size, (1, 1, 32, 32)."""
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 15:17, :] = mask[..., :, 15:17] = 1
    return mask


def frame() -> torch.Tensor:
    """One closed wall."""
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    mask[..., 10:22, 10:22] = 0
    return mask


def test_the_mask_itself_has_no_errors() -> None:
    for mask in (grid(), frame()):
        found = scores(mask, mask)
        assert found.pop("dice") == 100
        assert all(value == 0 for value in found.values()) and len(found) == 8


def test_a_gap_opens_a_loop_and_merges_two_cells() -> None:
    prediction = frame()
    prediction[..., 8:10, 15] = 0.4
    found = scores(prediction, frame())
    precision = (768**2 + 144**2) / (768 + 144) ** 2  # of pairs of pixels outside of the wall and within it
    for ending in ("", "_v"):
        assert found[f"betti0_error{ending}"] == 0 and found[f"betti1_error{ending}"] == 1
        assert found[f"matching_error{ending}"] == 1
        assert found[f"rand_error{ending}"] == pytest.approx(1 - 2 * precision / (1 + precision), abs=1e-3)
    walls = int(frame().sum())
    assert found["dice"] == pytest.approx(200 * (walls - 2) / (2 * walls - 2))


def test_a_wall_too_many_is_a_component_and_splits_no_cell() -> None:
    prediction = frame()
    prediction[..., 2:5, 2:5] = 1
    found = scores(prediction, frame())
    assert found["betti0_error"] == found["matching_error"] == 1 and found["betti1_error"] == 0
    assert found["rand_error"] == 0  # its pixels belong to the cell around it


def test_a_diagonal_wall_is_closed_in_one_construction_only() -> None:
    """Corners close a loop of 8-connected walls; as 4-connected ones every pixel is a component."""
    x, y = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    diamond = ((x - 16).abs() + (y - 16).abs() == 8).float()[None, None]
    thick = ((x - 16).abs() + (y - 16).abs() <= 8).float() - ((x - 16).abs() + (y - 16).abs() <= 6).float()
    found = scores(diamond, thick[None, None])
    assert found["betti0_error"] == 0 and found["betti1_error"] == 0 and found["rand_error"] == 0
    assert found["betti0_error_v"] == 31 and found["betti1_error_v"] == 1
    precision = (879**2 + 85**2) / (879 + 85) ** 2
    assert found["rand_error_v"] == pytest.approx(1 - 2 * precision / (1 + precision), abs=1e-3)


def test_thick_walls_cost_no_rand_error_and_merged_cells_their_share() -> None:
    """Two of four equal cells merged: of all pairs of pixels 4/16 belong together, and 6/16 are put together."""
    truth = grid()[0, 0].numpy() > 0
    thick = truth.copy()
    thick[13:19], thick[:, 13:19] = True, True
    assert rand_error(thick, truth, "T") == 0
    merged = truth.copy()
    merged[:15, 15:17] = False
    precision = (4 / 16) / (2 / 16 + 4 / 16)
    assert rand_error(merged, truth, "T") == pytest.approx(1 - 2 * precision / (1 + precision), abs=0.01)


def test_predictions_without_walls_or_without_cells_are_scored() -> None:
    for value in (0.0, 1.0, float("nan")):
        found = scores(torch.full((1, 1, 32, 32), value), grid())
        assert all(np.isfinite(float(number)) for number in found.values())
        assert found["rand_error"] == pytest.approx(0.6, abs=0.02)  # all cells are one: a precision of 1/4
    assert scores(torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32))["dice"] == 100
