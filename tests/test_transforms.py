"""torch.func and forward mode: derivatives of a loss of a barcode are those of backward; vmap is refused clearly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

import topolayer as tl

Loss = Callable[[Tensor], Tensor]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


GRID = torch.rand(2, 5, 6, dtype=torch.float64, generator=generator())
CLOUD = torch.rand(9, 2, dtype=torch.float64, generator=generator())
VOLUME = torch.rand(3, 4, 3, dtype=torch.float64, generator=generator())
RING = torch.tensor([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 6], [6, 7], [7, 8], [0, 8]])
AXIS = torch.linspace(0, 1, 4, dtype=torch.float64)


def bars(values: Tensor, dims: int | tuple[int, ...] = 0, backend: str | None = None) -> tl.Barcode:
    return tl.persistence(tl.Freudenthal(values, superlevel=True), dims, backend=backend)


def squares(barcode: tl.Barcode) -> Tensor:
    return tl.total_persistence(barcode, p=2, k=1).sum() + barcode.lengths.sum()


def distances(points: Tensor) -> Tensor:
    """Of points, less their diagonal; torch.cdist has no derivative in forward mode."""
    apart = (points[:, None] - points).square().sum(dim=2)
    return torch.where(torch.eye(len(points), dtype=torch.bool), 0, apart)


LOSSES: dict[str, tuple[Loss, Tensor]] = {
    "native": (lambda v: squares(bars(v, backend="native")), GRID),
    "torch": (lambda v: squares(bars(v, backend="torch")), GRID),
    "gudhi": (lambda v: squares(bars(v, (0, 1), backend="gudhi")), GRID),
    "Cubical": (lambda v: squares(tl.persistence(tl.Cubical(v, ndim=3, construction="T"), (0, 1, 2))), VOLUME),
    "LowerStar": (lambda v: squares(tl.persistence(tl.LowerStar(v, RING), (0, 1))), CLOUD.T),
    "Rips": (lambda v: squares(tl.persistence(tl.Rips(distances(v)), (0, 1))), CLOUD),
    "Alpha": (lambda v: squares(tl.persistence(tl.Alpha(v), (0, 1))), CLOUD),
    "few_maxima": (lambda v: tl.few_maxima(v[None], k=1).sum(), GRID),
    "few_maxima, region": (lambda v: tl.few_maxima(v[None], k=1, gradient="region").sum(), GRID),
    "simplify": (lambda v: (v - tl.simplify(tl.Freudenthal(v), k=1)).square().sum(), GRID),
    "persistent_entropy": (lambda v: tl.persistent_entropy(bars(v)).sum(), GRID),
    "wasserstein": (lambda v: tl.wasserstein(bars(v), bars(GRID.flip(0))).sum(), GRID),
    "bottleneck": (lambda v: tl.bottleneck(bars(v), bars(GRID.flip(0))).sum(), GRID),
    "matching_loss": (lambda v: tl.matching_loss(v, GRID.flip(1) > 0.5).sum(), GRID),
    "silhouette": (lambda v: tl.silhouette(bars(v), AXIS).square().sum(), GRID),
    "longest": (lambda v: tl.longest(bars(v), 3).square().sum(), GRID),
    "landscape": (lambda v: tl.landscape(bars(v), AXIS, k=2).square().sum(), GRID),
    "persistence_image": (lambda v: tl.persistence_image(bars(v), AXIS, AXIS, sigma=0.2).square().sum(), GRID),
}
REVERSE_TWICE = "landscape", "persistence_image"  # torch has no forward mode for the backward of masked_scatter

pytestmark = [
    pytest.mark.filterwarnings("ignore:There is a performance drop because:UserWarning"),
    # Forward mode imports a module of torch that uses what torch deprecates.
    pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning"),
]


@pytest.fixture(params=LOSSES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def backward(loss: Loss, values: Tensor) -> Tensor:
    leaf = values.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf)
    assert gradient.any()
    return gradient


def test_reverse_mode(name: str) -> None:
    loss, values = LOSSES[name]
    gradient, value = torch.func.grad_and_value(loss)(values)
    torch.testing.assert_close(gradient, backward(loss, values))
    torch.testing.assert_close(value, loss(values))
    torch.testing.assert_close(torch.func.jacrev(loss)(values), gradient)


def test_forward_mode(name: str) -> None:
    loss, values = LOSSES[name]
    direction = torch.rand(values.shape, dtype=values.dtype, generator=generator())
    along = (backward(loss, values) * direction).sum()
    value, slope = torch.func.jvp(loss, (values,), (direction,))
    torch.testing.assert_close(slope, along)
    torch.testing.assert_close(value, loss(values))
    with forward_ad.dual_level():
        dual = forward_ad.unpack_dual(loss(forward_ad.make_dual(values, direction)))
    torch.testing.assert_close(dual.tangent, along)


def test_second_derivatives(name: str) -> None:
    loss, values = LOSSES[name]
    expected = torch.autograd.functional.hessian(loss, values)
    torch.testing.assert_close(torch.func.jacrev(torch.func.jacrev(loss))(values), expected)
    if name not in REVERSE_TWICE:
        torch.testing.assert_close(torch.func.hessian(loss)(values), expected)


def test_vmap_is_refused_and_told_what_to_do() -> None:
    with pytest.raises(ValueError, match="give the filtration all samples at once"):
        torch.func.vmap(lambda values: squares(bars(values)))(GRID)
    per_sample = torch.func.grad(lambda values: squares(bars(values)))
    with pytest.raises(ValueError, match="give the filtration all samples at once"):
        torch.func.vmap(per_sample)(GRID)


def test_what_is_refused_without_a_transform_is_refused_with_one() -> None:
    with pytest.raises(ValueError, match="expected finite numbers"):
        torch.func.grad(lambda values: squares(bars(values / 0)))(GRID)
    with pytest.raises(ValueError, match="expected distinct points"):
        torch.func.grad(lambda points: tl.Alpha(points.round()).values.sum())(CLOUD)


def test_regularizer_of_a_functional_call() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 1))
    image = torch.rand(2, 1, 9, 8)
    regularizer = tl.Regularizer(model, {"1": lambda h: tl.few_maxima(h, k=1)})

    def loss(weights: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(model, weights, (image,)).square().mean() + regularizer()

    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    gradients, value = torch.func.grad_and_value(loss)(weights)
    direct = model(image).square().mean() + regularizer()
    direct.backward()
    torch.testing.assert_close(value, direct.detach())
    for name, weight in model.named_parameters():
        torch.testing.assert_close(gradients[name], weight.grad)
