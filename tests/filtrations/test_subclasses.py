"""Subclasses of torch.Tensor: what only changes torch's functions, as MONAI's does, is a plain tensor on the way in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

import topolayer as tl

from ..helpers.problems import CYCLE, SQUARE


class Noted(Tensor):
    """As monai.data.MetaTensor: results carry a note; a batch's is a list, which not every operation keeps in step."""

    note: object = None

    @staticmethod
    def of(tensor: Tensor) -> Noted:
        noted = tensor.as_subclass(Noted)
        noted.note = [{"sample": i} for i in range(len(tensor))]
        return noted

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.stack, torch.where, Tensor.scatter, Tensor.index_select):
            raise ValueError("the notes do not fit together")
        result = super().__torch_function__(func, types, args, kwargs or {})
        if isinstance(result, cls):
            result.note = next((getattr(arg, "note", None) for arg in args), None)
        return result


def _images() -> Tensor:
    return torch.rand(2, 1, 7, 8, generator=torch.Generator().manual_seed(0))


def _lengths(filtration: tl.Filtration, backend: str | None = None) -> Tensor:
    barcode = tl.persistence(filtration, backend=backend)
    return barcode.sum(barcode.lengths)


def _is_plain(h: Tensor) -> Tensor:
    assert type(h) is Tensor
    return h


def _regularized(h: Tensor, penalty: Callable[[Tensor], Tensor] = tl.few_maxima) -> Tensor:
    model = torch.nn.Sequential(torch.nn.Identity())
    with tl.Regularizer(model, {"0": penalty}) as regularizer:
        model(h)
        return regularizer()


MASK = (_images() > 0.5).float()
CALLS: dict[str, Callable[[Tensor], Tensor]] = {
    "native": lambda x: _lengths(tl.Freudenthal(x), "native"),
    "torch": lambda x: _lengths(tl.Cubical(x, superlevel=True), "torch"),
    "gudhi": lambda x: _lengths(tl.Cubical(x, construction="T"), "gudhi"),
    "LowerStar": lambda x: _lengths(tl.LowerStar(x[0, 0, 0, :4], torch.tensor(CYCLE))),
    "Rips": lambda x: _lengths(tl.Rips(torch.tensor(SQUARE) * x[0, 0, 0, 0])),
    "Alpha": lambda x: _lengths(tl.Alpha(x[0, 0])),
    "simplify": lambda x: tl.simplify(tl.Freudenthal(x), k=2),
    "channel_norm": tl.channel_norm,
    "few_maxima": tl.few_maxima,
    "few_maxima of regions": lambda x: tl.few_maxima(x, gradient="region"),
    "few_maxima in half precision": lambda x: tl.few_maxima(x.half()),
    "wasserstein_matching_loss": lambda x: tl.wasserstein_matching_loss(x, MASK),
    "Regularizer": _regularized,
    "Regularizer with a penalty of the user's": lambda x: _regularized(
        x, lambda h: _is_plain(h).square().sum((1, 2, 3))
    ),
    "tokens_to_grid": lambda x: _is_plain(tl.tokens_to_grid(x.flatten(2).mT, grid=(7, 8))),
}


@pytest.mark.parametrize("name", CALLS)
def test_values_become_plain_and_gradients_go_on(name: str) -> None:
    plain, leaf = _images().requires_grad_(), _images().requires_grad_()
    expected, found = CALLS[name](plain), CALLS[name](Noted.of(leaf))
    assert type(found) is Tensor
    assert torch.equal(found, expected)
    for result in (expected, found):
        result.sum().backward()
    assert type(leaf.grad) is Tensor
    assert torch.equal(leaf.grad, plain.grad)


def test_a_leaf_of_the_subclass_gets_its_gradient() -> None:
    leaf = Noted.of(_images()).requires_grad_()
    tl.few_maxima(leaf).sum().backward()
    assert leaf.grad.abs().sum() > 0


def test_masks_become_plain() -> None:
    noted, prediction = Noted.of(MASK), _images()
    for score in (tl.betti_error, tl.wasserstein_matching_loss):
        found = score(Noted.of(prediction), noted)
        assert type(found) is Tensor
        assert torch.equal(found, score(prediction, MASK))
    barcode = tl.persistence(tl.Freudenthal(prediction))
    long = Noted.of(barcode.lengths > 0.3)
    assert type(barcode.select(long).births) is Tensor
    assert type(barcode.sum(Noted.of(barcode.lengths))) is type(barcode.padded(Noted.of(barcode.lengths))[0]) is Tensor


def test_grids_and_weights_become_plain() -> None:
    barcode, grid = tl.persistence(tl.Freudenthal(_images())), torch.linspace(0, 1, 5)
    weight = Noted.of(barcode.lengths.detach())
    for found in (
        tl.landscape(barcode, Noted.of(grid), k=2),
        tl.betti_numbers(barcode, Noted.of(grid)),
        tl.persistence_image(barcode, Noted.of(grid), grid, sigma=0.1, weight=weight),
    ):
        assert type(found) is Tensor


def test_parameters_stay_themselves() -> None:
    parameter = torch.nn.Parameter(_images())
    assert tl.Freudenthal(parameter).values is parameter


class Elsewhere(Tensor):
    """A tensor of which torch knows the shape only, as a DTensor."""

    @staticmethod
    def __new__(cls, shape: tuple[int, ...]) -> Elsewhere:
        return torch.Tensor._make_wrapper_subclass(cls, shape, dtype=torch.float32)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError("nothing is computed with it")


class DTensor(Elsewhere):
    pass


def _fake() -> Tensor:
    with FakeTensorMode():
        return torch.rand(4, 4)


NOT_PLAIN: dict[str, tuple[Callable[[], Tensor], str]] = {
    "meta": (lambda: torch.rand(4, 4, device="meta"), "meta tensor.*on the CPU"),
    "sparse": (lambda: torch.eye(4).to_sparse(), r"sparse_coo.*to_dense\(\)"),
    "compressed": (lambda: torch.eye(4).to_sparse_csr(), r"sparse_csr.*to_dense\(\)"),
    "nested": (lambda: torch.nested.nested_tensor([torch.rand(3, 3), torch.rand(2, 3)]), r"nested.*unbind\(\)"),
    "jagged": (
        lambda: torch.nested.nested_tensor([torch.rand(3, 3), torch.rand(2, 3)], layout=torch.jagged),
        r"nested.*unbind\(\)",
    ),
    "masked": (lambda: torch.masked.masked_tensor(torch.rand(4, 4), torch.eye(4) > 0), r"MaskedTensor.*to_tensor\("),
    "quantized": (lambda: torch.quantize_per_tensor(torch.rand(4, 4), 0.1, 0, torch.quint8), r"quint8.*dequantize\(\)"),
    "fake": (_fake, "FakeTensor.*outside"),
    "distributed": (lambda: DTensor((4, 4)), r"DTensor.*full_tensor\(\)"),
    "unknown": (lambda: Elsewhere((4, 4)), "Elsewhere.*convert"),
}


TAKING: dict[str, Callable[[Tensor], object]] = {
    "values": tl.Freudenthal,
    "distances": tl.Rips,
    "points": tl.Alpha,
    "h": tl.few_maxima,
    "simplices": lambda simplices: tl.LowerStar(torch.rand(4), simplices),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's: nested and masked tensors, quantization, CSR are young
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_tensors_whose_numbers_are_elsewhere(kind: str) -> None:
    make, words = NOT_PLAIN[kind]
    for name, call in TAKING.items():
        with pytest.raises(TypeError, match=rf"^{name}: expected .*{words}"):
            call(make())


def test_several_tensors_are_no_tensor() -> None:
    """A list is refused where torch.as_tensor could not make one tensor of it."""
    several = [torch.rand(3, 3), torch.rand(2, 2)]
    for name, call in {"values": tl.Freudenthal, "h": tl.few_maxima}.items():
        for wrong in (several, tuple(several), several[:1]):
            with pytest.raises(TypeError, match=rf"^{name}: .*got {type(wrong).__name__}; torch\.stack.*each one"):
                call(wrong)
