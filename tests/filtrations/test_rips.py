"""Contract 10: Rips."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import topolayer as tl

from ..helpers.comparing import OF_RIPS, found
from ..helpers.families import rips_family
from ..helpers.problems import DTYPES, SQUARE, WIDE

pytestmark = pytest.mark.native


def _dims(backend: str) -> tuple[int, ...]:
    return (0, 1) if backend == "native" else (0, 1, 2)


def _distances(n: int = 6, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    """No two of the same length."""
    upper = torch.rand(n, n, generator=torch.Generator().manual_seed(seed), dtype=dtype).triu(1) + torch.ones(
        n, n
    ).triu(1)
    return (upper + upper.mT).to(dtype)


# -- only the entries i < j


@pytest.mark.parametrize("backend", OF_RIPS)
def test_gradcheck_on_the_upper_triangle(backend: str) -> None:
    n = 6
    rows, columns = torch.triu_indices(n, n, 1)
    lengths = _distances(n)[rows, columns].requires_grad_()

    def diagram(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        matrix = torch.zeros(n, n, dtype=x.dtype).index_put((rows, columns), x)
        barcode = tl.persistence(tl.Rips(matrix + matrix.mT), _dims(backend), backend=backend)
        return barcode.births, barcode.deaths

    assert gradcheck(diagram, (lengths,))
    assert gradgradcheck(diagram, (lengths,))


@pytest.mark.parametrize("backend", OF_RIPS)
def test_gradcheck_on_the_matrix(backend: str) -> None:
    """Entry by entry: nothing from below the diagonal or on it. (A step of gradcheck is no asymmetry to be refused.)"""
    matrix = _distances().requires_grad_()

    def deaths(x: torch.Tensor) -> torch.Tensor:
        return tl.persistence(tl.Rips(x), _dims(backend), backend=backend).deaths

    assert gradcheck(deaths, (matrix,))
    deaths(matrix).sum().backward()
    assert torch.equal(matrix.grad, matrix.grad.triu(1))
    assert matrix.grad.sum() == 5 + sum(len(tl.persistence(tl.Rips(matrix), d)) for d in _dims(backend)[1:])


@pytest.mark.parametrize("backend", OF_RIPS)
def test_what_stands_below_the_diagonal_is_not_read(backend: str) -> None:
    """Within rounding: the other triangle may order the edges otherwise."""
    matrix = torch.ones(4, 4, dtype=torch.float64)
    order = torch.tensor([[0, 1, 2, 3], [6, 0, 4, 5], [5, 4, 0, 6], [3, 2, 1, 0]]).double()
    matrix = (matrix + 1e-9 * order).fill_diagonal_(0)
    upper = matrix.triu(1) + matrix.triu(1).mT
    a = tl.persistence(tl.Rips(matrix), _dims(backend), backend=backend)
    b = tl.persistence(tl.Rips(upper), _dims(backend), backend=backend)
    assert torch.equal(a.pairs, b.pairs)
    assert torch.equal(a.deaths, b.deaths)
    rows, columns = (a.pairs[:, 1] // 4, a.pairs[:, 1] % 4)
    assert (rows < columns).all()


# -- vertices


@pytest.mark.parametrize("backend", OF_RIPS)
@pytest.mark.parametrize("diagonal", [0.0, -0.0, 5e-4, -5e-4, 0.14])
def test_whatever_is_small_on_the_diagonal(backend: str, diagonal: float) -> None:
    """A vertex is born at exactly 0, with zero gradient."""
    matrix = _distances()
    expected = tl.persistence(tl.Rips(matrix), _dims(backend), backend=backend)
    matrix = matrix.clone()
    matrix.diagonal().fill_(diagonal)
    matrix.requires_grad_()
    barcode = tl.persistence(tl.Rips(matrix), _dims(backend), backend=backend)
    assert found(barcode) == found(expected)
    components = barcode.select(dim=0)
    assert torch.equal(components.births, torch.zeros(5, dtype=torch.float64))
    assert components.births.signbit().any().item() is False
    assert barcode.essential.births.tolist() == [0.0]
    loss = barcode.sum(barcode.births * 3 + barcode.deaths) + barcode.essential.births.sum()
    loss.backward()
    assert torch.equal(matrix.grad.diagonal(), torch.zeros(6, dtype=torch.float64))
    assert torch.isfinite(matrix.grad).all()
    tl.algebraic(components, p=2, q=1)


@pytest.mark.parametrize("backend", OF_RIPS)
def test_the_component_whose_oldest_vertex_has_the_larger_index_dies(backend: str) -> None:
    """{0, 3} and {1, 2} form first; 0 is older than 1, so the latter dies, under the name of vertex 1."""
    matrix = torch.full((4, 4), 5.0).fill_diagonal_(0)
    matrix[0, 3] = matrix[3, 0] = 1.0
    matrix[1, 2] = matrix[2, 1] = 2.0
    barcode = tl.persistence(tl.Rips(matrix), backend=backend)
    assert barcode.pairs.tolist() == [[15, 3], [10, 6], [5, 1]]
    assert barcode.essential.indices.tolist() == [0]


@pytest.mark.parametrize("backend", OF_RIPS)
def test_coincident_points(backend: str) -> None:
    """Distances of 0: vertices enter before edges, by their dimension; the bar has no length."""
    matrix = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4], [4, 4, 0, 0], [4, 4, 0, 0]])
    barcode = tl.persistence(tl.Rips(matrix), _dims(backend), backend=backend)
    assert barcode.pairs.tolist() == [[10, 2]]
    assert barcode.essential.indices.tolist() == [0]
    assert barcode.ranks.tolist() == [1]


def _with_diagonal(*entries: float) -> torch.Tensor:
    """Distances from 1 to 2, beside these on the diagonal."""
    matrix = _distances(len(entries))
    matrix[0, 1] = matrix[1, 0] = 1.0
    matrix.diagonal().copy_(torch.tensor(entries))
    return matrix


@pytest.mark.parametrize("diagonal", [0.15, -0.15, 7.0, math.nan, math.inf, -math.inf])
def test_a_diagonal_that_shows_rounding_is_refused(diagonal: float) -> None:
    """Its square is more than 0.02 of that of the smallest distance: small distances may be anything."""
    matrix = _with_diagonal(0, 0, diagonal, 0)
    for values in (matrix, torch.stack([_distances(4), matrix]), matrix.float()):
        with pytest.raises(ValueError, match=rf"^distances\b.*diagonal.*{abs(diagonal):.4g}.*from_points"):
            tl.Rips(values)


def test_a_diagonal_beside_equal_points_is_refused() -> None:
    """Unless it is rounding of the largest entry: 64 eps of it."""
    matrix = torch.tensor([[0.0, 0, 1], [0, 0, 1], [1, 1, 0]])
    matrix[2, 2] = 60 * torch.finfo(torch.float32).eps
    assert len(tl.persistence(tl.Rips(matrix))) == 1
    matrix[2, 2] = 70 * torch.finfo(torch.float32).eps
    with pytest.raises(ValueError, match=r"^distances\b.*from_points"):
        tl.Rips(matrix)


def test_a_single_point_has_a_diagonal_too() -> None:
    assert len(tl.persistence(tl.Rips(torch.tensor([[3.0]]))).essential) == 1
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^distances\b"):
            tl.Rips(torch.tensor([[[0.0]], [[bad]]]))


# -- rounding of the input's dtype


def _cosine_distances(dtype: torch.dtype, seed: int) -> torch.Tensor:
    """The distances of ten vectors and the same once more, with rounding of two units."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(10, 16, dtype=torch.float64, generator=generator).repeat(2, 1)
    unit = torch.nn.functional.normalize(vectors, dim=1)
    rounding = torch.randint(-2, 3, (20, 20), generator=generator) * torch.finfo(dtype).eps
    return (1 - unit @ unit.T + rounding).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_negative_by_rounding_counts_as_zero(dtype: torch.dtype) -> None:
    negative = 0
    for seed in range(20):
        matrix = _cosine_distances(dtype, seed).requires_grad_()
        negative += bool((matrix < 0).any())
        filtration = tl.Rips(matrix)
        assert (filtration.values >= 0).all()
        assert len(tl.persistence(filtration).essential) == 1
        filtration.values.sum().backward()
        assert not matrix.grad[matrix < 0].any()
    assert negative > 10


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_cosine_distances_that_are_all_small(dtype: torch.dtype) -> None:
    """One vector is repeated: all entries are rounding, on the scale of 1, which their largest does not show."""
    negative = 0
    for seed in range(50):
        generator = torch.Generator().manual_seed(seed)
        vector = torch.randn(1, 3 + seed, generator=generator, dtype=torch.float64)
        vectors = torch.nn.functional.normalize(vector, dim=1).to(dtype).repeat(12, 1)
        for noise in (0, torch.finfo(dtype).eps):
            noisy = vectors + (noise * torch.randn(12, 3 + seed, generator=generator)).to(dtype)
            distances = 1 - torch.nn.functional.normalize(noisy, dim=1) @ torch.nn.functional.normalize(noisy, dim=1).T
            negative += bool((distances < 0).any())
            for half in (distances, distances / 2, torch.stack([distances, _distances(12, dtype=dtype)])):
                assert tl.Rips(half).values.amin() == 0
    assert negative > 20


def _mended(distances: torch.Tensor) -> torch.Tensor:
    """As messages advise."""
    d = distances.clamp(min=0).triu(1)
    return d + d.mT


@pytest.mark.parametrize("scale", [1e-9, 1e-30, 0.3])
def test_small_distances_have_small_rounding(scale: float) -> None:
    """They are no multiples of eps / 4. What the messages advise is taken."""
    matrix = scale * _distances(dtype=torch.float32)
    for change in ("negative", "diagonal", "asymmetry"):
        wrong = matrix.clone()
        if change == "asymmetry":
            wrong[0, 1] *= 1.01
        else:
            wrong[(0, 1) if change == "negative" else (2, 2)] = -0.3 * scale
        with pytest.raises(ValueError, match=r"^distances\b.*distances\.clamp\(min=0\)\.triu\(1\), and d \+ d\.mT"):
            tl.Rips(wrong)
        assert torch.equal(tl.Rips(_mended(wrong)).values, _mended(wrong))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_more_than_rounding_is_refused(dtype: torch.dtype) -> None:
    """The tolerance is a share of the largest entry of the same matrix, here 2, and of another one's not."""
    matrix = torch.tensor([[0.0, 2, 1], [2, 0, 1], [1, 1, 0]], dtype=dtype)
    rounding = 64 * torch.finfo(dtype).eps * 2
    for share, refused in ((-0.9, False), (-1.1, True)):
        matrix[0, 2] = matrix[2, 0] = share * rounding
        for values in (matrix, torch.stack([matrix, matrix.abs() * 100])):
            if not refused:
                assert tl.Rips(values).values.amin() == 0
                continue
            with pytest.raises(ValueError, match=r"^distances\b.*>= 0.*-.*\(.*0, 2\).*clamp"):
                tl.Rips(values)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_asymmetry_by_rounding_to_half_precision(dtype: torch.dtype) -> None:
    """One unit in the last place, as two roundings of one number leave it."""
    matrix = _distances(dtype=torch.float32).to(dtype)
    upper = torch.nextafter(matrix, torch.full_like(matrix, 9)).triu(1)
    barcode = tl.persistence(tl.Rips(upper + matrix.tril(-1)))
    assert barcode.deaths.tolist() == tl.persistence(tl.Rips(upper + upper.mT)).deaths.tolist()
    matrix[0, 1] *= 3
    with pytest.raises(ValueError, match=r"^distances\b.*symmetric"):
        tl.Rips(matrix)


# -- threshold


@pytest.mark.parametrize("backend", OF_RIPS)
@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0, 1.2, math.sqrt(2), 2.0, math.inf])
def test_threshold_is_inclusive(backend: str, threshold: float) -> None:
    """Bars alive there are essential."""
    matrix = torch.tensor(SQUARE, dtype=torch.float64)
    barcode = tl.persistence(tl.Rips(matrix, threshold=threshold), (0, 1), backend=backend)
    components, loops = barcode.essential.dims.tolist().count(0), barcode.essential.dims.tolist().count(1)
    assert components == (1 if threshold >= 1 else 4)
    assert barcode.dims.tolist().count(0) == 4 - components
    assert loops == (1 <= threshold < math.sqrt(2))
    assert barcode.dims.tolist().count(1) == (threshold >= math.sqrt(2))


@pytest.mark.parametrize("dtype", WIDE, ids=str)
@pytest.mark.parametrize("backend", OF_RIPS)
def test_threshold_is_inclusive_in_the_dtype_of_the_distances(backend: str, dtype: torch.dtype) -> None:
    """0.1 is a hair more in float32 than in float64; a distance and a threshold of 0.1 are still the same number."""
    matrix = torch.tensor([[0, 0.1], [0.1, 0]], dtype=dtype)
    barcode = tl.persistence(tl.Rips(matrix, threshold=0.1), backend=backend)
    assert len(barcode) == 1
    assert len(barcode.essential) == 1


@pytest.mark.parametrize("backend", OF_RIPS)
def test_ties_at_the_threshold(backend: str) -> None:
    for seed, threshold in itertools.product(range(20), (0.0, 1.0, 2.0)):
        family = rips_family(7, threshold)
        values = family.random((2,), seed=seed, levels=3)
        barcode = tl.persistence(tl.Rips(values, threshold=threshold), _dims(backend), backend=backend)
        assert found(barcode) == family.expected(values, dims=_dims(backend))


# -- symmetry


@pytest.mark.parametrize("dtype", WIDE, ids=str)
@pytest.mark.parametrize("n", [30, 300])
def test_the_rounding_of_cdist_is_accepted(dtype: torch.dtype, n: int) -> None:
    points = torch.randn(n, 3, generator=torch.Generator().manual_seed(0), dtype=dtype)
    for mode in ("use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"):
        barcode = tl.persistence(tl.Rips(torch.cdist(points, points, compute_mode=mode)))
        assert len(barcode) == n - 1


@pytest.mark.parametrize(("offset", "scale"), [(2996.0, 2.0), (100.0, 1.0), (5.0, 0.01)])
def test_cdist_far_from_the_origin_is_refused(offset: float, scale: float) -> None:
    """It multiplies matrices, and small distances are lost: up to 39 of 39 bars."""
    points = offset + scale * torch.rand(40, 2, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"^distances\b.*diagonal.*from_points"):
        tl.Rips(torch.cdist(points, points))
    assert len(tl.persistence(tl.Rips.from_points(points))) == 39


def test_coincident_points_by_cdist_are_refused() -> None:
    """Two equal points come out at a distance of some 1e-3 in float32, otherwise on either side of the diagonal."""
    points = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)) + 5
    points = torch.cat([points, points])
    with pytest.raises(ValueError, match=r"^distances\b.*from_points"):
        tl.Rips(torch.cdist(points, points))
    assert len(tl.persistence(tl.Rips.from_points(points))) == 39


@pytest.mark.parametrize("difference", [1e-3, 0.1, 5.0])
def test_asymmetry_is_refused(difference: float) -> None:
    """It names the argument, the entry, and the remedy; in any sample of a batch."""
    matrix = torch.tensor(SQUARE, dtype=torch.float64)
    for upper in (True, False):
        broken = matrix.clone()
        broken[(1, 3) if upper else (3, 1)] += difference
        for values in (broken, torch.stack([matrix, broken])):
            with pytest.raises(ValueError, match=r"^distances\b.*symmetric.*mT"):
                tl.Rips(values)


def test_large_distances_do_not_hide_asymmetry_in_another_sample() -> None:
    matrix = torch.tensor(SQUARE, dtype=torch.float64)
    broken = matrix.clone()
    broken[0, 1] += 0.1
    with pytest.raises(ValueError, match="symmetric"):
        tl.Rips(torch.stack([matrix * 1e6, broken]))


def test_huge_and_tiny_distances_are_compared_without_overflow() -> None:
    """Squares of 1e300 are infinite and of 1e-300 zero."""
    for scale in (1e300, 1e200, 1e-200, 1e-300):
        matrix = torch.tensor(SQUARE, dtype=torch.float64) * scale
        assert len(tl.persistence(tl.Rips(matrix), (0, 1))) == 4
        broken = matrix.clone()
        broken[0, 1] *= 2
        with pytest.raises(ValueError, match="symmetric"):
            tl.Rips(broken)
    for scale in (1e38, 1e25, 1e-25, 1e-38):
        matrix = torch.tensor(SQUARE) * scale
        assert len(tl.persistence(tl.Rips(matrix), (0, 1))) == 4
        broken = matrix.clone()
        broken[0, 1] *= 2
        with pytest.raises(ValueError, match="symmetric"):
            tl.Rips(broken)


# -- dimensions, sizes, and what is kept


def test_every_dimension() -> None:
    """Unbounded: nothing is there above the number of points, and that is no error."""
    matrix = _distances(5)
    barcode = tl.persistence(tl.Rips(matrix), (0, 3, 6))
    assert set(barcode.dims.tolist()) == {0}
    assert len(barcode.essential) == 1


@pytest.mark.parametrize("backend", OF_RIPS)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_points(backend: str, n: int) -> None:
    barcode = tl.persistence(tl.Rips(_distances(n)), _dims(backend), backend=backend)
    assert len(barcode) == n - 1
    assert barcode.essential.indices.tolist() == [0]


def test_batches() -> None:
    """Pairs are flat into the whole batch."""
    matrices = torch.stack([_distances(seed=s) for s in range(6)]).reshape(2, 3, 6, 6)
    barcode = tl.persistence(tl.Rips(matrices), (0, 1))
    assert tuple(barcode.batch_shape) == (2, 3)
    flat = matrices.flatten()
    assert torch.equal(flat[barcode.pairs[:, 1]], barcode.deaths)
    assert barcode.essential.indices.tolist() == [36 * s for s in range(6)]


def test_attributes() -> None:
    matrix = torch.tensor(SQUARE)
    matrix.diagonal().fill_(0.1)
    filtration = tl.Rips(matrix, threshold=1.25)
    assert filtration.threshold == 1.25
    assert filtration.values.diagonal().tolist() == [0] * 4
    assert filtration.batch_shape == ()
    assert (matrix.diagonal() > 0).all()  # the input is left alone
    assert tl.Rips(matrix).threshold == math.inf


def test_a_negative_matrix_is_refused_by_its_entry() -> None:
    with pytest.raises(ValueError, match=r"^distances: .*got -1\.0 at index \(0, 1\)"):
        tl.Rips(torch.tensor([[0.0, -1.0], [-1.0, 0.0]]))
