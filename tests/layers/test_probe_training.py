"""What the probe names can be regularized: it works in eval(), the regularizer in train() and with gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import topolayer as tl

from ..helpers.probed import Function, blobs, row


@pytest.fixture(autouse=True)
def _seeded(seeded: None) -> None:
    """Weights and images are the same in each test."""


class Branches(nn.Module):
    """An encoder, a decoder beside it, and a frozen branch that joins a trained one."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.decoder = nn.Conv2d(4, 2, 3, padding=1)
        self.after = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.decoder(self.encoder(x)))  # type: ignore[no-any-return]


def frozen(*names: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        model = Branches()
        for name in names:
            model.get_submodule(name).requires_grad_(False)
        return model

    return make


class WithoutGradients(Branches):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            h = self.encoder(x)
        return self.after(self.decoder(h))  # type: ignore[no-any-return]


class Detached(Branches):
    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.decoder(self.encoder(x).detach()) * 1)  # type: ignore[no-any-return]


ENCODER = {"encoder.0", "encoder.1", "encoder"}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (frozen("encoder"), ENCODER),
        (frozen("encoder.0"), {"encoder.0"}),
        (frozen("decoder", "after"), set()),  # what lies before a frozen layer is trained, so it requires grad
        (frozen("encoder", "decoder", "after"), {*ENCODER, "decoder", "after"}),
        (WithoutGradients, ENCODER),
        (Detached, set()),
    ],
)
def test_frozen_layers_are_not_eligible(make: Callable[[], nn.Module], expected: set[str]) -> None:
    """The regularizer refuses them, and no others."""
    model, masks = make(), blobs(*range(1, 13))
    table = tl.probe(model, [masks[:, None]], [masks], repeats=1)
    assert {found["layer"] for found in table.rows if found["why_not"] == "frozen"} == expected
    assert all(found["rank"] is None for found in table.rows if found["why_not"])
    assert table.layer not in expected
    assert ("frozen: nothing that the activation depends on requires grad" in str(table)) == bool(expected)
    for found in table.rows:
        with tl.Regularizer(model, {str(found["layer"]): tl.few_maxima}) as regularizer:
            model(masks[:, None])
            if found["layer"] in expected:
                with pytest.raises(RuntimeError, match="does not require grad"):
                    regularizer()
            else:
                regularizer()


def test_without_masks_the_reason_is_told_too() -> None:
    table = tl.probe(frozen("encoder")(), [torch.rand(2, 1, 8, 8)])
    assert [found["why_not"] for found in table.rows] == ["frozen"] * 3 + [None] * 2


@pytest.mark.parametrize("wrapped", [nn.DataParallel, lambda model: torch.compile(model, backend="eager")])
def test_names_below_wrappers(wrapped: Any) -> None:
    prefix = "module." if wrapped is nn.DataParallel else "_orig_mod."
    model = wrapped(frozen("encoder")())
    table = tl.probe(model, [torch.rand(2, 1, 8, 8)], layers=[f"{prefix}encoder", f"{prefix}decoder"])
    assert [found["why_not"] for found in table.rows] == ["frozen", None]


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad:UserWarning")  # torch's, in eval()
def test_reentrant_checkpoints_hide_gradients() -> None:
    class Checkpointed(Branches):
        def forward(self, x: Tensor) -> Tensor:
            h = self.encoder(x)
            return self.after(checkpoint(self.decoder, h, use_reentrant=True))  # type: ignore[no-any-return]

    table = tl.probe(Checkpointed(), [torch.rand(2, 1, 8, 8)])
    assert row(table, "decoder")["why_not"] == "frozen" and row(table, "after")["why_not"] is None


# -- of equal layers one that both take


class Noise(nn.Module):
    def forward(self, h: Tensor) -> Tensor:
        return h.mul_(torch.rand_like(h)) if self.training else h


class TwoOutputs(nn.Sequential):
    """Deep supervision: training has an output more."""

    def forward(self, x: Tensor) -> Any:
        h = super().forward(x)
        return (h, h) if self.training else h


class FunctionalDropout(nn.Module):
    def forward(self, h: Tensor) -> Tensor:
        return nn.functional.dropout(h, 0.5, self.training, inplace=True)


def conv() -> nn.Module:
    return nn.Conv2d(1, 1, 3, padding=1)


@pytest.mark.parametrize(
    ("layers", "name", "refused", "reason"),
    [
        ((conv, lambda: nn.Dropout(0.5, inplace=True)), "1", "0", "in train() its activation is changed in place"),
        ((conv, FunctionalDropout), "1", "0", "in train() its activation is changed in place"),
        ((conv, Noise), "1", "0", "in train() its activation is changed in place"),
        ((lambda: TwoOutputs(conv()),), "0.0", "0", "in train() it returns tuple, not one tensor"),
        ((conv, nn.Dropout), "0", "1", "its activation is that of '0'"),
        ((conv, nn.Identity), "0", "1", "its activation is that of '0'"),
    ],
)
def test_the_name_of_equal_layers(layers: Any, name: str, refused: str, reason: str) -> None:
    model, x = nn.Sequential(*(layer() for layer in layers)), torch.rand(2, 1, 8, 8)
    table = tl.probe(model, [x])
    assert [found["layer"] for found in table.rows] == [name]
    assert reason in table.skipped[refused]
    with tl.Regularizer(model, {name: tl.few_maxima}) as regularizer:
        model(x)
        regularizer().backward()


def test_what_runs_in_eval_only_is_left_out() -> None:
    class Sigmoid(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            h = self[0](x)
            return h if self.training else self[1](h)  # type: ignore[no-any-return]

    table = tl.probe(Sigmoid(conv(), nn.Sigmoid()), [torch.rand(2, 1, 8, 8)])
    assert [found["layer"] for found in table.rows] == ["0"]
    assert table.skipped["1"] == "it does not run in train()"


# -- the rehearsal leaves no trace


def test_a_model_that_cannot_be_copied_or_trained_is_seen_as_it_is() -> None:
    class Shy(Branches):
        def __deepcopy__(self, memo: object) -> None:
            raise NotImplementedError

    class Strict(Branches):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                raise ValueError("expected targets")
            return super().forward(x)

    for model in (Shy(), Strict()):
        model.encoder.requires_grad_(False)
        table = tl.probe(model, [torch.rand(1, 1, 8, 8)])
        assert [found["why_not"] for found in table.rows] == ["frozen"] * 3 + [None] * 2


def test_the_users_hooks_see_no_training_step() -> None:
    model, modes = Branches(), []
    model.decoder.register_forward_hook(lambda layer, args, output: modes.append(layer.training))
    tl.probe(model, [torch.rand(2, 1, 8, 8)])
    assert modes == [False] and model.training


def test_buffers_and_batches_stay() -> None:
    model, x = (
        nn.Sequential(Function(lambda x: x.add_(1) if x.requires_grad else x), Branches()),
        torch.rand(2, 1, 8, 8),
    )
    buffers, before = {name: b.clone() for name, b in model.named_buffers()}, x.clone()
    tl.probe(model, [x])
    assert torch.equal(x, before)
    torch.testing.assert_close(dict(model.named_buffers()), buffers, rtol=0, atol=0)


def test_a_model_without_parameters_is_not_frozen() -> None:
    table = tl.probe(nn.Sequential(nn.AvgPool2d(2)), [torch.rand(2, 1, 8, 8)])
    assert [found["why_not"] for found in table.rows] == [None]
