"""torch.func and forward mode: derivatives of a loss of a barcode are those of backward; vmap is refused clearly."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

import topolayer as tl
from topolayer import losses

from ..backends.test_rank_adapter import Reference

Loss = Callable[[Tensor], Tensor]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


GRID = torch.rand(2, 5, 6, dtype=torch.float64, generator=generator())
CLOUD = torch.rand(9, 2, dtype=torch.float64, generator=generator())
VOLUME = torch.rand(3, 4, 3, dtype=torch.float64, generator=generator())
RING = torch.tensor([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 6], [6, 7], [7, 8], [0, 8]])
CIRCLE = 2 * torch.stack([(torch.arange(9) * 0.7).cos(), (torch.arange(9) * 0.7).sin()], dim=1).double()
AXIS = torch.linspace(0, 1, 4, dtype=torch.float64)


def bars(values: Tensor, dims: int | tuple[int, ...] = 0, backend: str | None = None) -> tl.Barcode:
    return tl.persistence(tl.Freudenthal(values, superlevel=True), dims, backend=backend)


def squares(barcode: tl.Barcode) -> Tensor:
    return tl.total_persistence(barcode, p=2, k=1).sum() + barcode.lengths.sum()


def distances(points: Tensor) -> Tensor:
    """The distances of points, with 0 on the diagonal; torch.cdist has no derivative in forward mode."""
    apart = (points[:, None] - points).square().sum(dim=2)
    return torch.where(torch.eye(len(points), dtype=torch.bool), 0, apart)


def weighted_ring(points: Tensor) -> tl.Simplicial:
    """Vertices of a ring at one coordinate of the points, each edge later than both ends by the other one."""
    ends = points[:, 0][RING]
    values = torch.cat([points[:, 0], ends.amax(dim=1) + points[:, 1]])
    return tl.Simplicial(values, [torch.arange(9)[:, None], RING])


def representatives(values: Tensor) -> Tensor:
    """Pixels of all bars of both dimensions."""
    filtration = tl.Cubical(values, superlevel=True)
    barcode = tl.persistence(filtration, (0, 1))
    return torch.cat(tl.representatives(filtration, barcode, barcode.lengths > 0.1))


def loops(rips: tl.Rips) -> Tensor:
    """The lengths of the edges of all loops."""
    barcode = tl.persistence(rips, (0, 1))
    return rips.values.flatten()[torch.cat(tl.representatives(rips, barcode, barcode.dims == 1))]


LOSSES: dict[str, tuple[Loss, Tensor]] = {
    "native": (lambda v: squares(bars(v, backend="native")), GRID),
    "native, ties": (lambda v: squares(bars(v.repeat(1, 1, 2), backend="native")), GRID),
    "native, Cubical": (lambda v: squares(tl.persistence(tl.Cubical(v), backend="native")), GRID),
    "native, LowerStar": (lambda v: squares(tl.persistence(tl.LowerStar(v, RING), backend="native")), CLOUD.T),
    "native, Rips": (lambda v: squares(tl.persistence(tl.Rips(distances(v)), backend="native")), CLOUD),
    "torch": (lambda v: squares(bars(v, backend="torch")), GRID),
    "gudhi": (lambda v: squares(bars(v, (0, 1), backend="gudhi")), GRID),
    "of a user": (lambda v: squares(tl.persistence(tl.Freudenthal(v), backend=Reference())), GRID),
    "Cubical": (lambda v: squares(tl.persistence(tl.Cubical(v, ndim=3, construction="T"), (0, 1, 2))), VOLUME),
    "mask": (lambda v: squares(tl.persistence(tl.Freudenthal(v, mask=v > 0.3), (0, 1))), GRID),
    "few_maxima of a region": (lambda v: tl.few_maxima(v[None], k=1, region=v[None, :1] > 0.2).sum(), GRID),
    "LowerStar": (lambda v: squares(tl.persistence(tl.LowerStar(v, RING), (0, 1))), CLOUD.T),
    "Simplicial": (lambda v: squares(tl.persistence(weighted_ring(v), (0, 1))), CLOUD),
    "Rips": (lambda v: squares(tl.persistence(tl.Rips(distances(v)), (0, 1))), CLOUD),
    "from_points": (lambda v: squares(tl.persistence(tl.Rips.from_points(v), (0, 1))), CLOUD),
    "from_points, p=3": (lambda v: squares(tl.persistence(tl.Rips.from_points(v, p=3))), CLOUD),
    "Alpha": (lambda v: squares(tl.persistence(tl.Alpha(v), (0, 1))), CLOUD),
    "few_maxima": (lambda v: tl.few_maxima(v[None], k=1).sum(), GRID),
    "few_maxima, region": (lambda v: tl.few_maxima(v[None], k=1, gradient="region").sum(), GRID),
    "simplify": (lambda v: (v - tl.simplify(tl.Freudenthal(v), k=1)).square().sum(), GRID),
    "persistent_entropy": (lambda v: tl.persistent_entropy(bars(v)).sum(), GRID),
    "wasserstein": (lambda v: tl.wasserstein(bars(v), bars(GRID.flip(0))).sum(), GRID),
    "sliced_wasserstein": (lambda v: tl.sliced_wasserstein(bars(v), bars(GRID.flip(0))).square().sum(), GRID),
    "bottleneck": (lambda v: tl.bottleneck(bars(v), bars(GRID.flip(0))).sum(), GRID),
    "wasserstein_matching_loss": (lambda v: tl.wasserstein_matching_loss(v, GRID.flip(1) > 0.5).sum(), GRID),
    "betti_matching_loss": (lambda v: tl.betti_matching_loss(v, GRID.flip(1) > 0.5).sum(), GRID),
    "betti_matching_loss of two": (lambda v: tl.betti_matching_loss(v, GRID.flip(1), min_length=0.1).sum(), GRID),
    "silhouette": (lambda v: tl.silhouette(bars(v), AXIS).square().sum(), GRID),
    "longest_lengths": (lambda v: tl.longest_lengths(bars(v), 3).square().sum(), GRID),
    "betti_numbers": (lambda v: tl.betti_numbers(bars(v), AXIS, softness=0.1).square().sum(), GRID),
    "representatives": (lambda v: v.flatten()[representatives(v)].square().sum(), GRID),
    "of loops": (lambda v: loops(tl.Rips.from_points(v + CIRCLE)).square().sum(), CLOUD),
    "rtd_lite": (lambda v: losses.rtd_lite(v, CLOUD.flip(0)), CLOUD),
    "signature_loss": (lambda v: losses.signature_loss(v, CLOUD.flip(0)), CLOUD),
    "padded": (lambda v: bars(v).padded(bars(v).lengths)[0].square().sum(), GRID),
    "landscape": (lambda v: tl.landscape(bars(v), AXIS, k=2).square().sum(), GRID),
    "persistence_image": (lambda v: tl.persistence_image(bars(v), AXIS, AXIS, sigma=0.2).square().sum(), GRID),
}
# Torch has no forward mode for the backward of masked_scatter.
REVERSE_TWICE = (
    "landscape",
    "persistence_image",
    "padded",
    "sliced_wasserstein",
)

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


def test_vmap_is_refused_and_told_what_to_do(name: str) -> None:
    loss, values = LOSSES[name]
    for function in (loss, torch.func.grad(loss)):
        with pytest.raises(ValueError, match="give the filtration all samples at once"):
            torch.func.vmap(function)(torch.stack([values, values]))


def test_betti_error_refuses_vmap() -> None:
    with pytest.raises(ValueError, match="give the filtration all samples at once"):
        torch.func.vmap(tl.betti_error)(GRID, (GRID > 0.5).double())


def test_no_samples() -> None:
    none = torch.empty(0, 4, 5)
    assert torch.func.grad(lambda values: squares(bars(values, (0, 1))))(none).shape == none.shape
    assert torch.func.jvp(lambda values: tl.few_maxima(values[:, None]).sum(), (none,), (none,)) == (0, 0)


def test_nothing_that_is_kept_is_wrapped() -> None:
    barcode, layer = bars(GRID), nn.ReLU()
    model = nn.Sequential(layer)
    regularizer = tl.Regularizer(model, {"0": lambda h: tl.few_maxima(h, k=1)})

    def loss(values: Tensor) -> Tensor:
        model(values[None])
        return regularizer() + (barcode.ranks * barcode.lengths).sum()

    torch.func.grad(loss)(GRID)
    for kept in (barcode.ranks, regularizer.last["0"]):
        assert torch.equal(copy.deepcopy(kept), kept)


def test_what_is_refused_without_a_transform_is_refused_with_one() -> None:
    with pytest.raises(ValueError, match="expected finite numbers"):
        torch.func.grad(lambda values: squares(bars(values / 0)))(GRID)
    with pytest.raises(ValueError, match="expected points in general position"):
        torch.func.grad(lambda points: tl.Alpha(points[:, [0, 0]]).values.sum())(CLOUD)


@pytest.mark.parametrize("step", [0, 1])
def test_regularizer_of_a_functional_call(step: int) -> None:
    """The penalty is due in every second step: in step 1 it is 0."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 1)).double()
    image = torch.rand(2, 1, 9, 8, dtype=torch.float64)
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    directions = {name: torch.rand_like(weight) for name, weight in weights.items()}

    def loss(weights: dict[str, Tensor]) -> Tensor:
        with tl.Regularizer(model, {"1": lambda h: tl.few_maxima(h, k=1)}, every=2) as regularizer:
            for _ in range(step + 1):
                error = torch.func.functional_call(model, weights, (image,)).square().mean()
                total = error + regularizer()
        assert (total.item() == error.item()) == (step == 1)
        return total

    expected = loss(dict(model.named_parameters()))
    expected.backward()
    gradients, value = torch.func.grad_and_value(loss)(weights)
    torch.testing.assert_close(value, expected.detach())
    for name, weight in model.named_parameters():
        torch.testing.assert_close(gradients[name], weight.grad)
    along = sum((gradients[name] * directions[name]).sum() for name in weights)
    torch.testing.assert_close(torch.func.jvp(loss, (weights,), (directions,))[1], along)
    with forward_ad.dual_level():
        duals = {name: forward_ad.make_dual(weights[name], directions[name]) for name in weights}
        torch.testing.assert_close(forward_ad.unpack_dual(loss(duals)).tangent, along)
