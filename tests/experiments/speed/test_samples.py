"""The benchmark of many small samples: whoever takes part computes the same."""

from __future__ import annotations

import pytest
import torch

import topolayer as tl
from experiments.speed.contender import Contender
from experiments.speed.contenders import LOADERS
from experiments.speed.inputs import distances, gaussian, graphs


def there(package: str, job: str) -> list[Contender]:
    try:
        found = [contender for contender in LOADERS[package]() if contender.job == job]
    except ImportError as error:
        pytest.skip(f"{package}: {error}")
    assert found
    return found


@pytest.mark.parametrize("package", ["topolayer", "redzed-tda"])
def test_everyone_computes_the_same_loss_of_clouds(package: str) -> None:
    clouds = gaussian((3, 20, 3))
    barcodes = [tl.persistence(tl.Rips.from_points(cloud), (0, 1)) for cloud in clouds]
    assert all((barcode.dims == 1).any() for barcode in barcodes)
    expected = sum(float(barcode.lengths.square().sum()) for barcode in barcodes) / 3
    for contender in there(package, "clouds"):
        assert contender.outcome(contender.run(clouds)) == pytest.approx(expected, rel=1e-5), contender.name


@pytest.mark.parametrize("package", ["topolayer", "gudhi"])
def test_everyone_finds_the_same_components_of_graphs(package: str) -> None:
    given = graphs(5)
    expected = sum(len(tl.persistence(tl.LowerStar(values, edges))) for values, edges in given.each)
    for contender in there(package, "graphs"):
        assert contender.outcome(contender.run(given)) == expected, contender.name


@pytest.mark.parametrize("package", ["topolayer", "persist0-tda"])
def test_everyone_finds_the_same_components_of_matrices(package: str) -> None:
    for contender in there(package, "matrices"):
        assert contender.outcome(contender.run(distances(20, matrices=3))) == 3 * 19, contender.name


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("package", ["topolayer", "gudhi"])
def test_everyone_finds_the_same_components_of_alpha_complexes(package: str, dimension: int) -> None:
    for contender in there(package, "alpha"):
        assert contender.outcome(contender.run(gaussian((1, 30, dimension))[0])) == 29, contender.name


def test_graphs_are_those_that_stand_alone() -> None:
    given = graphs(6)
    assert torch.equal(given.values, torch.cat([values for values, _ in given.each]))
    assert {len(values) for values, _ in given.each} <= set(range(10, 61))
    first = 0
    for number, (values, edges) in enumerate(given.each):
        mine = given.edges[given.batch[given.edges[:, 0]] == number]
        assert torch.equal(mine, edges + first) and torch.equal(
            given.batch[mine[:, 1]], torch.full_like(mine[:, 1], number)
        )
        assert len(edges) == 3 * len(values) // 2 == len(edges.unique(dim=0)) and bool(
            (edges[:, 0] < edges[:, 1]).all()
        )
        first += len(values)
