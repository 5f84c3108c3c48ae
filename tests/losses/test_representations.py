"""Losses of two representations of the same points: numbers of the authors' programs, definitions, gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import single
from scipy.spatial.distance import squareform
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import topolayer as tl
from topolayer.losses import RTDLiteLoss, SignatureLoss, rtd_lite, signature_loss


def cloud(points: int, dimension: int, step: float) -> Tensor:
    """The same numbers everywhere."""
    i = torch.arange(points, dtype=torch.float64)[:, None]
    j = torch.arange(1, dimension + 1, dtype=torch.float64)
    return (step * (i + 1) * j.sqrt()).cos() * j


def distances(points: Tensor) -> Tensor:
    return (points[..., :, None, :] - points[..., None, :, :]).square().sum(-1).sqrt()


DATA, CODES = cloud(25, 4, 1.7), cloud(25, 2, 2.9)


# -- the authors' programs


@pytest.mark.parametrize(
    ("points", "dimension", "raw", "scaled", "gradient"),
    [
        (6, 3, 38.923381690659276, 28.53270149395474, 21.875849723950896),
        (40, 5, 1408.2897141789608, 148.9070183681517, 41.54192009830051),
        (25, 2, 116.32782938267866, 74.94021000318695, 29.928873540541346),
    ],
)
def test_signatures_of_the_authors(points: int, dimension: int, raw: float, scaled: float, gradient: float) -> None:
    """BorgwardtLab/topological-autoencoders at 203e94a: TopologicalSignatureDistance(match_edges="symmetric") of the
    distances, and of those of the data divided by the largest one, with the norm of the gradient at the codes.
    """
    data, codes = cloud(points, dimension, 1.7), cloud(points, 2, 2.9).requires_grad_()
    assert 2 * signature_loss(codes, data).item() == pytest.approx(raw, rel=1e-10)
    loss = 2 * SignatureLoss()(codes, data)
    assert loss.item() == pytest.approx(scaled, rel=1e-10)
    (found,) = torch.autograd.grad(loss, codes)
    assert found.norm().item() == pytest.approx(gradient, rel=1e-10)


@pytest.mark.parametrize(
    ("points", "dimension", "raw", "scaled", "gradient"),
    [
        (6, 3, 3.396214246749878, 0.5476308465003967, 0.5442907493403756),
        (40, 5, 48.19969177246094, 3.706411838531494, 0.9735283529096426),
        (25, 2, 3.433475971221924, 0.9967803955078125, 1.0512535723239627),
    ],
)
def test_rtd_lite_of_the_authors(points: int, dimension: int, raw: float, scaled: float, gradient: float) -> None:
    """ArGintum/RTD-Lite at 67e2fad: RTD_Lite_summ_only, which adds up in float32, with quantiles 1 and without, and the
    norm of the gradient at the codes. The mean of the sums of RTD_Lite's two barcodes is the same.
    """
    data, codes = cloud(points, dimension, 1.7), cloud(points, 2, 2.9).requires_grad_()
    assert rtd_lite(codes, data, quantile=None).item() == pytest.approx(raw, rel=1e-5)
    loss = RTDLiteLoss()(codes, data)
    assert loss.item() == pytest.approx(scaled, rel=1e-5)
    (found,) = torch.autograd.grad(loss, codes)
    assert found.norm().item() == pytest.approx(gradient, rel=1e-5)


# -- definitions


def tree_length(matrix: Tensor) -> float:
    """By SciPy, whose sparse trees take zeros for edges that are missing; single linkage does not."""
    return float(single(squareform(matrix.numpy(), checks=False))[:, 2].sum()) if len(matrix) > 1 else 0.0


def kruskal(matrix: Tensor) -> list[tuple[int, int]]:
    """Edges of a minimal spanning tree, ties by position."""
    i, j = np.triu_indices(len(matrix), 1)
    component, edges = list(range(len(matrix))), []
    for place in np.argsort(matrix.numpy()[i, j], kind="stable"):
        a, b = component[i[place]], component[j[place]]
        if a != b:
            edges.append((int(i[place]), int(j[place])))
            component = [a if number == b else number for number in component]
    return edges


SPACES = {
    "apart": (DATA, CODES),
    "lattice": (torch.arange(30.0).reshape(15, 2).remainder(4).double(), torch.arange(15.0)[:, None].double()),
    "equal points": (torch.cat([DATA[:5], DATA[:5], DATA[:2]]), CODES[:12]),
    "one code": (DATA[:6], torch.ones(6, 2, dtype=torch.float64)),
    "no distance at all": (torch.zeros(4, 3, dtype=torch.float64), torch.ones(4, 1, dtype=torch.float64)),
    "one point": (DATA[:1], CODES[:1]),
}


@pytest.mark.parametrize("data, codes", SPACES.values(), ids=SPACES)
def test_signatures_by_their_definition(data: Tensor, codes: Tensor) -> None:
    """Edges of length 0, which are no bars, count too."""
    first, second = distances(codes), distances(data)
    expected = sum(float(first[i, j] - second[i, j]) ** 2 for matrix in (first, second) for i, j in kruskal(matrix))
    for found in (signature_loss(codes, data), signature_loss(tl.Rips(first), tl.Rips(second))):
        assert found.shape == ()
        assert found.item() == pytest.approx(expected / 2, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("data, codes", SPACES.values(), ids=SPACES)
def test_rtd_lite_by_its_definition(data: Tensor, codes: Tensor) -> None:
    first, second = distances(codes), distances(data)
    expected = (tree_length(first) + tree_length(second)) / 2 - tree_length(torch.minimum(first, second))
    for found in (rtd_lite(codes, data, quantile=None), rtd_lite(tl.Rips(first), tl.Rips(second), quantile=None)):
        assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert rtd_lite(codes, codes, quantile=None).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("quantile", [0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("points", [3, 4, 25])
def test_quantiles_are_torchs(points: int, quantile: float) -> None:
    first, second = distances(CODES[:points]), distances(DATA[:points])
    scaled = [matrix / torch.quantile(matrix, quantile) for matrix in (first, second)]
    expected = rtd_lite(*(tl.Rips(matrix) for matrix in scaled), quantile=None)
    torch.testing.assert_close(rtd_lite(CODES[:points], DATA[:points], quantile=quantile), expected)
    torch.testing.assert_close(rtd_lite(7 * CODES[:points], DATA[:points], quantile=quantile), expected)


def test_the_same_clusters_at_every_scale() -> None:
    """Merges at the same distances in the same order, of points that are elsewhere."""
    line, bent = torch.tensor([[0.0, 0], [1, 0], [3, 0]]), torch.tensor([[0.0, 0], [0, 1], [2, 1]])
    assert rtd_lite(line, bent, quantile=None).item() == 0
    assert signature_loss(line, bent).item() == 0


# -- batches


@pytest.mark.parametrize("loss", [signature_loss, rtd_lite])
def test_batches_are_samples(loss: object) -> None:
    assert callable(loss)
    generator = torch.Generator().manual_seed(0)
    data, codes = (torch.rand(2, 3, 9, d, generator=generator, dtype=torch.float64) for d in (5, 2))
    data[0, 1, 3] = data[0, 1, 4]  # an edge of length 0 in one of them
    found = loss(codes, data)
    assert found.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(found[i, j], loss(codes[i, j], data[i, j]))
    assert loss(codes[:0], data[:0]).shape == (0, 3)


@pytest.mark.parametrize("kind", [SignatureLoss, RTDLiteLoss])
def test_reductions(kind: type[SignatureLoss] | type[RTDLiteLoss]) -> None:
    data, codes = (torch.rand(4, 9, d, generator=torch.Generator().manual_seed(d)) for d in (5, 2))
    each = kind(reduction="none")(codes, data)
    assert each.shape == (4,)
    torch.testing.assert_close(kind()(codes, data), each.mean())
    torch.testing.assert_close(kind(reduction="sum")(codes, data), each.sum())
    empty = codes[:0].requires_grad_()
    loss = kind()(empty, data[:0])
    loss.backward()
    assert loss.item() == 0 and empty.grad is not None


def test_half_precision_is_raised() -> None:
    for loss in (signature_loss, rtd_lite):
        codes = CODES.half().requires_grad_()
        found = loss(codes, DATA.bfloat16())
        assert found.dtype == torch.float32
        found.backward()
        assert codes.grad is not None and codes.grad.dtype == torch.float16


# -- gradients


@pytest.mark.parametrize("loss", [signature_loss, rtd_lite])
def test_gradients(loss: object) -> None:
    assert callable(loss)
    inputs = (CODES[:7].clone().requires_grad_(), DATA[:7].clone().requires_grad_())
    assert gradcheck(loss, inputs)
    assert gradgradcheck(loss, inputs)


def test_the_scale_of_codes_is_learned() -> None:
    """Codes that are a multiple of the data are as good as the data when the number is found."""
    loss, codes = SignatureLoss(), DATA / 4
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.1)
    for _ in range(400):
        found = loss(codes, DATA)
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
    assert found.item() < 1e-6
    assert loss.log_scale.exp().item() == pytest.approx(distances(DATA).max().item() / 4, rel=1e-3)


@pytest.mark.parametrize("kind", [SignatureLoss, RTDLiteLoss])
def test_descent_brings_codes_closer(kind: type[SignatureLoss] | type[RTDLiteLoss]) -> None:
    """Two clusters that the codes mix up."""
    generator = torch.Generator().manual_seed(0)
    data = torch.rand(20, 3, generator=generator) + 10 * (torch.arange(20) % 2)[:, None]
    codes, loss = torch.rand(20, 2, generator=generator).requires_grad_(), kind()
    optimizer = torch.optim.Adam([codes, *loss.parameters()], lr=0.05)
    values = []
    for _ in range(150):
        found = loss(codes, data)
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
        values.append(found.item())
    assert values[-1] < values[0] / 2
    assert math.isfinite(values[-1])
