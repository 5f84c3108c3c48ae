"""PersLay: numbers that other programs gave, definitions, gradients, barcodes with few bars or none."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import topolayer as tl
from topolayer import nn

from ..helpers.diagrams import NO_BARS, apart, barcode, no_bars

FIRST = [[0.0, 1.0], [0.5, 0.75], [0.25, 1.75], [1.0, 1.5], [0.125, 0.375]]
SECOND = [[0.25, 0.5], [0.75, 2.0], [0.0, 0.5]]
BARS = tl.Barcode.from_diagram([torch.tensor(FIRST), torch.tensor(SECOND)])
CENTERS = torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5], [0.5, 0.5], [0.0, 1.0], [0.5, 1.0]])
LEVELS = torch.tensor([0.25, 0.5, 1.0, 1.25])
SQUARES = nn.Power(2, scale=1.5)


def assert_are(found: Tensor, expected: Any) -> None:
    torch.testing.assert_close(found, torch.tensor(expected).reshape(found.shape), rtol=1e-5, atol=1e-6)


# -- other programs


@pytest.mark.parametrize(
    ("pooling", "expected"),
    {
        "sum": [
            [0.62886119, 0.55588686, 1.88991249, 1.49057353, 3.53396678, 2.84044933],
            [0.38183218, 0.41212183, 0.63072133, 1.12505674, 0.67081308, 1.92424965],
        ],
        "mean": [
            [0.12577224, 0.11117737, 0.3779825, 0.29811472, 0.70679337, 0.56808984],
            [0.12727739, 0.13737394, 0.21024044, 0.37501892, 0.22360437, 0.64141655],
        ],
        "max": [
            [0.37402833, 0.17124265, 1.05997241, 0.6922515, 1.9617964, 1.9617964],
            [0.2649931, 0.22009432, 0.375, 0.88266444, 0.37051338, 1.76762033],
        ],
        2: [
            [0.37402833, 0.12197772, 0.17124265, 0.12197772, 1.05997241, 0.6922515],
            [0.6922515, 0.48529077, 1.9617964, 1.5, 1.9617964, 0.68675005],  # of the other three centers
            [0.2649931, 0.07070481, 0.22009432, 0.12132269, 0.375, 0.18501654],
            [0.88266444, 0.17168751, 0.37051338, 0.2649931, 1.76762033, 0.12132269],
        ],
    }.items(),
    ids=str,
)
def test_gaussians_of_torchperslay(pooling: Any, expected: list[list[float]]) -> None:
    """torchperslay 0.1.5: Perslay(PowerPerslayWeight(1.5, 2.0), GaussianPerslayPhi([2, 3], [[0, 1], [0, 1.5]], 0.4,
    0.6)). Means and maxima of each diagram alone, for its mask is one of sums and of the largest.
    """
    layer = nn.PersLay(nn.Gaussian(CENTERS, sigma=(0.4, 0.6)), weight=SQUARES, pooling=pooling)
    assert_are(layer(BARS), expected)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    {
        "sum": [
            [0.18367548, 0.23678415, 0.92901957, 0.73101068, 2.78657913, 2.05207586],
            [0.23692536, 0.15581664, 0.50542867, 0.5645389, 0.51466584, 1.66890001],
        ],
        "max": [
            [0.07305375, 0.07818912, 0.68312287, 0.31275648, 1.49207759, 1.26432359],
            [0.17078072, 0.07818912, 0.3730194, 0.33065879, 0.33065879, 1.57748449],
        ],
    }.items(),
)
def test_gaussians_of_gudhi(pooling: Any, expected: list[list[float]]) -> None:
    """GUDHI 3.13.0 with TensorFlow 2.21.0: Perslay(PowerPerslayWeight(1.5, 2.0), GaussianPerslayPhi((2, 3), ((0, 1),
    (0, 1.5)), 0.4)), which has the factor of a density.
    """
    layer = nn.PersLay(nn.Gaussian(CENTERS, sigma=0.4), weight=SQUARES, pooling=pooling)
    assert_are(layer(BARS) / (2 * math.pi * 0.4**2), expected)


@pytest.mark.parametrize(
    ("pooling", "tents", "flats"),
    [
        (
            "sum",
            [[0.38671875, 1.59375, 2.53125, 1.78125], [0.09375, 0.0, 0.5859375, 1.171875]],
            [[2.94400907, 4.11760664, 4.25977564, 3.75279355], [0.51615506, 0.75632846, 1.85735512, 2.17672801]],
        ),
        (
            "mean",
            [[0.07734375, 0.31874999, 0.50625002, 0.35624999], [0.03125, 0.0, 0.1953125, 0.390625]],
            [[0.5888018, 0.82352132, 0.85195512, 0.75055873], [0.17205168, 0.2521095, 0.61911839, 0.72557598]],
        ),
        (
            "max",
            [[0.375, 0.84375, 2.53125, 1.6875], [0.09375, 0.0, 0.5859375, 1.171875]],
            [[1.6875, 2.6233871, 3.2974515, 3.11897874], [0.29148746, 0.52195346, 1.82179666, 2.16595745]],
        ),
        (
            2,
            [
                [0.375, 0.01171875, 0.84375, 0.75, 2.53125, 0.0, 1.6875, 0.09375],
                [0.09375, 0.0, 0.0, 0.0, 0.5859375, 0.0, 1.171875, 0.0],
            ],
            [
                [1.6875, 1.16594982, 2.6233871, 1.38621271, 3.2974515, 0.75, 3.11897874, 0.33405021],
                [0.29148746, 0.17779259, 0.52195346, 0.1875, 1.82179666, 0.02844682, 2.16595745, 0.00861651],
            ],
        ),
    ],
    ids=str,
)
def test_tents_and_flats_of_gudhi(pooling: Any, tents: list[list[float]], flats: list[list[float]]) -> None:
    """GUDHI 3.13.0 with TensorFlow 2.21.0: TentPerslayPhi(levels), FlatPerslayPhi(levels, 5.0), and the weight of
    above. torchperslay 0.1.3 has the two, but mixes up the bars of a diagram.
    """
    for transform, expected in ((nn.Tent(LEVELS), tents), (nn.Flat(LEVELS, softness=0.2), flats)):
        assert_are(nn.PersLay(transform, weight=SQUARES, pooling=pooling)(BARS), expected)


def test_weights_of_torchperslay() -> None:
    """torchperslay 0.1.5 on (birth, length): GridPerslayWeight with the boundaries [[0, 1.25], [0, 1.6]], and
    GaussianMixturePerslayWeight of (0, 0.5) and (0.5, 1) with 0.5 and 0.8, whose squares it does not double.
    """
    found = {tuple(bar): place for place, bar in enumerate(torch.stack([BARS.births, BARS.deaths], 1).tolist())}
    order = [found[tuple(bar)] for bar in FIRST + SECOND]
    numbers = torch.arange(1.0, 13.0).reshape(4, 3)
    grid = nn.Grid(numbers, births=(0, 1.25), lengths=(0, 1.6))(BARS.births, BARS.deaths)
    assert_are(grid[order, 0], [2.0, 4.0, 3.0, 10.0, 1.0, 1.0, 9.0, 1.0])
    mixture = nn.Gaussian(torch.tensor([[0.0, 0.5], [0.5, 1.0]]), sigma=(0.5 / 2**0.5, 0.8 / 2**0.5))
    expected = [1.04451334, 0.74888903, 0.69020855, 0.26723531, 1.08860552, 1.02972841, 0.75010729, 1.24891973]
    ones = nn.PersLay(lambda births, deaths: torch.ones(len(births), 1), weight=mixture)
    assert_are(ones(BARS)[:, 0], [sum(expected[:5]), sum(expected[5:])])


# -- vectorizations of the package


@pytest.mark.parametrize("superlevel", [False, True])
def test_landscapes_silhouettes_and_images(superlevel: bool) -> None:
    bars, levels = barcode((2, 3), superlevel, (0, 1)), torch.linspace(0, 4, 7, dtype=torch.float64)
    for dim in (0, 1):
        landscape = nn.PersLay(nn.Tent(levels), pooling=3, dim=dim)(bars)
        expected = tl.landscape(bars, levels, k=3, dim=dim)
        torch.testing.assert_close(landscape, expected.mT.flatten(-2))
        silhouette = nn.PersLay(nn.Tent(levels), weight=nn.Power(2).double(), dim=dim)(bars)
        lengths = bars.select(dim=dim).sum(bars.select(dim=dim).lengths ** 2)
        torch.testing.assert_close(silhouette, tl.silhouette(bars, levels, p=2, dim=dim) * lengths[..., None])
        image = nn.PersLay(
            nn.Gaussian(torch.cartesian_prod(levels, levels), sigma=0.5), weight=nn.Power().double(), dim=dim
        )(bars)
        expected = tl.persistence_image(bars, levels, levels, sigma=0.5, dim=dim).mT.flatten(-2)
        torch.testing.assert_close(image / (2 * math.pi * 0.5**2), expected)


def test_lines_are_linear() -> None:
    line, linear = nn.Line(3), torch.nn.Linear(2, 3)
    line.load_state_dict(linear.state_dict())
    rows = torch.stack([BARS.births, BARS.lengths], dim=1)
    torch.testing.assert_close(line(BARS.births, BARS.deaths), linear(rows))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert line(BARS.births, BARS.deaths).dtype == torch.float32
    # The largest of negative features is negative; 0 stands for bars that are not there.
    torch.nn.init.constant_(line.weight, -1)
    torch.nn.init.constant_(line.bias, -1)
    found = nn.PersLay(line, pooling=6)(BARS).reshape(2, 3, 6)
    assert (found[0, :, :5] < 0).all() and (found[0, :, 5:] == 0).all()
    assert (found[1, :, :3] < 0).all() and (found[1, :, 3:] == 0).all()


# -- gradients


def _layers() -> list[nn.PersLay]:
    kinds = [nn.Gaussian(CENTERS, sigma=(0.4, 0.6)), nn.Tent(LEVELS + 0.013), nn.Flat(LEVELS, softness=0.3), nn.Line(2)]
    weights = [nn.Power(1.5), nn.Gaussian(CENTERS[:2] + 0.1, sigma=0.5), None, nn.Power()]
    poolings: list[Any] = ["sum", "mean", 2, "max"]
    layers = zip(kinds, weights, poolings, strict=True)
    return [nn.PersLay(kind, weight=weight, pooling=pooling).double() for kind, weight, pooling in layers]


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # torch's own, in forward mode
@pytest.mark.parametrize("layer", _layers(), ids=lambda layer: type(layer.transform).__name__)
def test_gradients(layer: nn.PersLay) -> None:
    names = list(dict(layer.named_parameters()))

    def found(values: Tensor, *parameters: Tensor) -> Tensor:
        state = dict(zip(names, parameters, strict=True))
        bars = tl.persistence(tl.Freudenthal(values, superlevel=True))
        return torch.func.functional_call(layer, state, (bars,))

    inputs = (apart(2, 4, 4), *(parameter.detach().requires_grad_() for parameter in layer.parameters()))
    assert gradcheck(found, inputs, check_forward_ad=True)
    assert gradgradcheck(found, inputs)


def test_gaussians_far_from_the_origin() -> None:
    """Their derivative is a difference of sums, which would be lost to rounding there."""
    births, lengths = torch.rand(2, 50, generator=torch.Generator().manual_seed(0)).unbind(0)
    gradients = []
    for shift, dtype in ((0.0, torch.float64), (4096.0, torch.float32)):
        born = (births.to(dtype) + shift).requires_grad_()
        gaussian = nn.Gaussian(CENTERS.to(dtype) + torch.tensor([shift, 0.0]), sigma=0.2)
        gaussian(born, born + lengths).square().sum().backward()
        assert gaussian.centers.grad is not None and born.grad is not None
        gradients.append((born.grad.double(), gaussian.centers.grad.double()))
    for near, far in zip(*gradients, strict=True):
        assert (near - far).abs().max() < 0.02 * near.abs().max()  # births are rounded to 2**-11 there


def test_the_gradient_of_a_grid_goes_to_its_numbers() -> None:
    grid = nn.Grid(torch.ones(2, 2), births=(0, 1), lengths=(0, 1))
    nn.PersLay(nn.Line(1), weight=grid)(BARS).sum().backward()
    assert grid.weights.grad is not None and grid.weights.grad.count_nonzero() == 4


def test_a_layer_trains() -> None:
    """Images with one bump or two, told apart."""
    torch.manual_seed(0)
    x = torch.linspace(0, 1, 32)
    one = torch.stack([(-((x - c) ** 2) / 0.01).exp() for c in torch.linspace(0.3, 0.7, 10)])
    two = torch.stack([(-((x - c) ** 2) / 0.005).exp() + (-((x - 0.9) ** 2) / 0.005).exp() for c in one.argmax(1) / 60])
    signals, labels = torch.cat([one, two]), torch.arange(20) // 10
    layer = nn.PersLay(nn.Gaussian(torch.rand(4, 2), sigma=0.3), weight=nn.Power())
    model = torch.nn.Sequential(layer, torch.nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    bars = tl.persistence(tl.Freudenthal(signals, ndim=1, superlevel=True))
    for _ in range(200):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(bars)[:, 0], labels.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ((model(bars)[:, 0] > 0) == (labels > 0)).all()


# -- what a layer may get


@pytest.mark.parametrize("case", NO_BARS)
@pytest.mark.parametrize("pooling", ["sum", "mean", "max", 3])
def test_no_bars(case: str, pooling: Any) -> None:
    """Bars that never die are no bars of a layer."""
    bars, values = no_bars(case)
    layer = nn.PersLay(nn.Gaussian(CENTERS.double(), sigma=1.0), weight=nn.Power(), pooling=pooling)
    found = layer(bars)
    assert found.shape == (*bars.batch_shape, 6 * (pooling if isinstance(pooling, int) else 1))
    assert (found == 0).all()
    found.sum().backward()
    assert values.grad is not None and (values.grad == 0).all()


def test_extended_bars_have_features() -> None:
    edges = torch.tensor([[0, 1], [1, 2], [0, 2]])
    bars = tl.extended_persistence(tl.LowerStar(torch.tensor([0.0, 3.0, 1.0]), edges))
    assert nn.PersLay(nn.Tent(torch.tensor([1.5])), dim=1)(bars).tolist() == [1.5]  # the loop, from 3 back to 0


@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_many_bars(pooling: Any) -> None:
    """More than are transformed at once."""
    ends = torch.rand(20_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64).sort(dim=1).values
    parts = ends.split([3, 9_000, 0, 10_997])
    layer = nn.PersLay(nn.Tent(LEVELS.double()), weight=nn.Power().double(), pooling=pooling)
    each = torch.stack([layer(tl.Barcode.from_diagram(part)) for part in parts])
    torch.testing.assert_close(layer(tl.Barcode.from_diagram(list(parts))), each)
    lengths, place = ends[:, 1] - ends[:, 0], 9_003
    expected = (lengths[place:] * (lengths / 2 - (0.5 - ends.mean(1)).abs()).relu()[place:]).sum()
    torch.testing.assert_close(each[3, 1] * (10_997 if pooling == "mean" else 1), expected)


def test_functions_of_bars() -> None:
    """Any function is a transformation or a weight, and the channels of a weight are added up."""
    layer = nn.PersLay(
        lambda births, deaths: torch.stack([births, deaths], 1),
        weight=lambda births, deaths: torch.ones(len(births), 3),
    )
    expected = 3 * torch.stack([BARS.sum(BARS.births), BARS.sum(BARS.deaths)], dim=1)
    torch.testing.assert_close(layer(BARS), expected)


def test_state_and_copies() -> None:
    torch.manual_seed(0)
    layer = nn.PersLay(nn.Line(3), weight=nn.Grid(torch.rand(2, 2), births=(0, 1), lengths=(0, 2)))
    other = nn.PersLay(nn.Line(3), weight=nn.Grid(torch.zeros(2, 2), births=(0, 1), lengths=(0, 2)))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(BARS), layer(BARS))
    assert torch.equal(copy.deepcopy(layer)(BARS), layer(BARS))
    assert repr(nn.PersLay(nn.Power(2), pooling=4, dim=1)) == (
        "PersLay(\n  pooling=4, dim=1\n  (transform): Power(p=2)\n)"
    )
    assert repr(nn.Gaussian(CENTERS, sigma=1)) == "Gaussian(centers=(6, 2), log_sigma=(2,))"


def test_parameters_are_copies() -> None:
    levels = LEVELS.clone()
    tent = nn.Tent(levels)
    levels += 1
    assert torch.equal(tent.levels, LEVELS)
    assert nn.Tent(LEVELS.half()).levels.dtype == torch.float32
