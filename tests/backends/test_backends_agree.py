"""Backends against each other: 1,000 random inputs with ties in dimension 0, and some in every dimension."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import topolayer as tl

from ..helpers.comparing import BACKENDS, OF_RIPS, found, persistence
from ..helpers.families import FAMILIES, Family, grid_family, rips_family, star_family

pytestmark = pytest.mark.native


def _random_family(rng: random.Random, kind: str) -> Family:
    if kind == "rips":
        return rips_family(rng.randint(1, 9), rng.choice((0.0, 1.0, 2.0, float("inf"))), top=1)
    if kind == "star":
        n = rng.randint(2, 12)
        simplices = [tuple(rng.sample(range(n), 2)) for _ in range(rng.randint(1, 2 * n))]
        return star_family("random", n, simplices)
    ndim = rng.choice((1, 2, 2, 2, 3))
    return grid_family(kind, *(rng.randint(1, (12, 7, 4)[ndim - 1]) for _ in range(ndim)))


@pytest.mark.parametrize("kind", ["F", "V", "T", "star", "rips"])
def test_200_random_inputs_with_ties(kind: str) -> None:
    """Five kinds of 200 inputs each: native, gudhi, the others where they apply, and the reference."""
    rng = random.Random(kind)
    others = {"rips": OF_RIPS[1:-1], "F": ["torch"], "V": ["torch", "cripser"], "T": ["torch", "cripser"]}.get(kind, [])
    for seed in range(200):
        family = _random_family(rng, kind)
        values = family.random(seed=seed, levels=rng.randint(1, 5))
        superlevel = rng.choice(family.signs)
        expected = family.expected(values, superlevel, (0,))
        for backend in ["native", "gudhi", *others]:
            got = found(persistence(family.make(values, superlevel), 0, backend))
            assert got == expected, (backend, family.name, superlevel, values.tolist())


@pytest.mark.parametrize("kind", ["F", "V", "T", "star", "rips"])
def test_all_dimensions_of_random_inputs(kind: str) -> None:
    rng = random.Random(kind)
    for seed in range(25):
        family = _random_family(rng, kind)
        values = family.random((2,), seed=seed, levels=rng.randint(1, 5))
        superlevel = rng.choice(family.signs)
        for name, backend in BACKENDS.items():
            filtration = family.make(values, superlevel)
            dims = tuple(dim for dim in family.dims if backend.unsupported(filtration, (dim,)) is None)
            if dims:
                assert found(persistence(filtration, dims, name)) == family.expected(values, superlevel, dims)


def _all_agree(family: Family, values: torch.Tensor, superlevel: bool) -> None:
    """Every dimension with every backend that has it: at least two, and one result."""
    for dim in family.dims:
        filtration = family.make(values, superlevel)
        able = [name for name, backend in BACKENDS.items() if backend.unsupported(filtration, (dim,)) is None]
        results = {name: found(persistence(filtration, dim, name)) for name in able}
        assert len(results) >= 2 or (family.kind == "F" and dim == 1)
        assert all(result == results["gudhi"] for result in results.values()), (family.name, dim, superlevel)


@pytest.mark.parametrize("kind", "FVT")
@pytest.mark.parametrize("superlevel", [False, True])
def test_larger_images(kind: str, superlevel: bool) -> None:
    """Sizes at which blocks, vector lanes and bytes begin to matter; few levels and many."""
    generator = torch.Generator().manual_seed(0)
    for shape, levels in (((67, 131), 6), ((128, 33), 40), ((200, 201), 1000), ((1, 1000), 9), ((1000, 1), 9)):
        values = torch.randint(0, levels, shape, generator=generator).float()
        _all_agree(grid_family(kind, *shape), values, superlevel)


@pytest.mark.parametrize("kind", "FVT")
@pytest.mark.parametrize("width", range(1, 36))
def test_every_width_up_to_a_vector(kind: str, width: int) -> None:
    """Borders of rows, whatever the width: 5 rows, both dtypes, one level step and many."""
    generator = torch.Generator().manual_seed(width)
    for dtype, levels in ((torch.float32, 3), (torch.float64, 100)):
        values = torch.randint(0, levels, (5, width), generator=generator).to(dtype)
        _all_agree(grid_family(kind, 5, width), values, width % 2 == 0)


@pytest.mark.parametrize("kind", "FVT")
def test_larger_volumes(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    for shape in ((7, 12, 19), (20, 2, 3), (2, 30, 2), (5, 5, 33)):
        values = torch.randint(0, 20, shape, generator=generator).float()
        _all_agree(grid_family(kind, *shape), values, superlevel=shape[0] > 6)


@pytest.mark.parametrize("kind", "FVT")
def test_smooth_images(kind: str) -> None:
    """Few critical pixels and long ways to them; plateaus, by rounding."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 1, 90, 110, generator=generator)
    smooth = torch.nn.functional.avg_pool2d(noise, 9, stride=1, padding=4)[0, 0]
    for values in (smooth, (smooth * 40).round(), torch.cos(smooth * 60), smooth.sort(1).values):
        _all_agree(grid_family(kind, 90, 110), values, superlevel=True)
        _all_agree(grid_family(kind, 90, 110), values, superlevel=False)


def test_larger_clouds() -> None:
    """Lattice points, so that distances tie, in dimensions 0 to 2."""
    generator = torch.Generator().manual_seed(0)
    points = torch.randint(0, 4, (2, 14, 3), generator=generator).double()
    distances = torch.stack([torch.cdist(p, p, compute_mode="donot_use_mm_for_euclid_dist") for p in points])
    for threshold in (float("inf"), 2.0, 3.0):
        filtration = tl.Rips(distances, threshold=threshold)
        first, *others = [found(tl.persistence(filtration, (0, 1, 2), backend=name)) for name in OF_RIPS[1:]]
        assert others and all(other == first for other in others)
        assert found(tl.persistence(filtration, (0, 1), backend="native")) == found(
            tl.persistence(filtration, (0, 1), backend="ripser")
        )


@given(st.data())
def test_any_small_grid(data: st.DataObject) -> None:
    """Shapes and ties by Hypothesis: every backend gives what the reference gives."""
    ndim = data.draw(st.integers(1, 3))
    shape = data.draw(st.tuples(*[st.integers(1, (9, 5, 3)[ndim - 1])] * ndim))
    family = grid_family(data.draw(st.sampled_from("FVT")), *shape)
    size = torch.Size(shape).numel()
    numbers = data.draw(st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.0, -1.0]), min_size=size, max_size=size))
    values = torch.tensor(numbers, dtype=torch.float64).reshape(shape)
    superlevel = data.draw(st.booleans())
    for name, backend in BACKENDS.items():
        filtration = family.make(values, superlevel)
        dims = tuple(dim for dim in family.dims if backend.unsupported(filtration, (dim,)) is None)
        if dims:
            assert found(persistence(filtration, dims, name)) == family.expected(values, superlevel, dims), name


@given(st.data())
def test_any_small_graph(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 7))
    vertex = st.integers(0, n - 1)
    simplices = data.draw(st.lists(st.lists(vertex, min_size=1, max_size=3, unique=True), min_size=1, max_size=6))
    family = star_family("drawn", n, [tuple(s) for s in simplices])
    numbers = data.draw(st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.0]), min_size=n, max_size=n))
    values = torch.tensor(numbers, dtype=torch.float64)
    superlevel = data.draw(st.booleans())
    for name, backend in BACKENDS.items():
        filtration = family.make(values, superlevel)
        dims = tuple(dim for dim in family.dims if backend.unsupported(filtration, (dim,)) is None)
        if dims:
            assert found(persistence(filtration, dims, name)) == family.expected(values, superlevel, dims), name


@given(st.data())
def test_any_small_distance_matrix(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 6))
    family = rips_family(n, data.draw(st.sampled_from([float("inf"), 0.0, 1.0, 2.0])))
    numbers = data.draw(st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0]), min_size=n * n, max_size=n * n))
    values = torch.tensor(numbers, dtype=torch.float64).reshape(n, n).triu(1)
    values = values + values.mT
    for name in OF_RIPS:
        dims = (0, 1) if name == "native" else family.dims
        assert found(persistence(family.make(values, False), dims, name)) == family.expected(values, False, dims), name


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_family_has_two_backends_in_dimension_0(family: Family) -> None:
    able = [n for n, b in BACKENDS.items() if b.unsupported(family.make(family.random(), False), (0,)) is None]
    assert {"native", "gudhi"} <= set(able)
