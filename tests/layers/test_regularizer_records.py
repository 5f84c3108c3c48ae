"""What the regularizer records, and what not: modes, missing layers, activation checkpointing (contract, point 12)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import topolayer as tl

from ..helpers.regularized import Net, energy, gradients, samples, shapes

pytestmark = pytest.mark.usefixtures("seeded")

# -- what is recorded


def test_in_eval_nothing_is_recorded(net: Net) -> None:
    seen: list[tuple[int, ...]] = []
    with tl.Regularizer(net, {"enc": shapes(seen)}) as regularizer:
        net(samples(2))
        net.eval()
        net(samples(3))
        net.train()
        net(samples(4))
        regularizer()
    assert seen == [(2, 6), (4, 6)]


def test_forgotten_calls_are_noticed(net: Net) -> None:
    with (
        tl.Regularizer(net, {"enc": energy}) as regularizer,
        pytest.warns(UserWarning, match=r"^layer 'enc' ran 100 times") as seen,
    ):
        for _ in range(120):
            net(samples(1))
    assert len(seen) == 1 and "clear()" in str(seen[0].message)
    assert not regularizer._records["enc"]  # the end of the block drops them


def test_a_call_in_eval_raises_and_says_why(net: Net) -> None:
    net.eval()
    with tl.Regularizer(net, {"enc": energy}) as regularizer:
        net(samples(2))
        with pytest.raises(RuntimeError, match=r"'enc'.*eval\(\).*model\.train\(\)"):
            regularizer()


def test_the_mode_of_the_model_counts_not_that_of_the_layer() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6))
    model[1].eval()  # a frozen batch norm in a model that trains
    with tl.Regularizer(model, {"1": energy}) as regularizer:
        torch.testing.assert_close(energy(model(samples(3))).mean(), regularizer())


def test_a_missing_layer_is_named_with_what_to_do(net: Net) -> None:
    net.unused = nn.Linear(2, 2)
    with tl.Regularizer(net, {"enc": energy, "unused": energy}) as regularizer:
        net(samples(2))
        with pytest.raises(
            RuntimeError, match=r"from layer 'unused' since the last call\. .*call the layer as layer\(x\)"
        ):
            regularizer()


def test_after_a_failed_step_clear_drops_what_it_recorded(net: Net) -> None:
    with tl.Regularizer(net, {"enc": energy}) as regularizer:
        for n in (2, 5):
            try:
                out = net(samples(n))
                if n == 2:
                    raise MemoryError
                value = regularizer()
            except MemoryError:
                regularizer.clear()
        torch.testing.assert_close(value, energy(net.enc(samples(5))).mean())
        assert out.shape == (5, 1)


def test_without_gradients_it_measures(net: Net) -> None:
    with tl.Regularizer(net, {"enc": energy}) as regularizer, torch.no_grad():
        net(samples(3))
        value = regularizer()
        torch.testing.assert_close(value, energy(net.enc(samples(3))).mean())
        assert not value.requires_grad
    with tl.Regularizer(net, {"enc": energy}) as regularizer, torch.inference_mode():
        net(samples(3))
        assert torch.equal(regularizer(), value)


@pytest.mark.parametrize("cause", ["no_grad", "frozen"])
def test_an_activation_without_gradient_is_refused_where_one_is_needed(net: Net, cause: str) -> None:
    net.enc.requires_grad_(cause != "frozen")
    with tl.Regularizer(net, {"enc": energy}) as regularizer:
        with torch.set_grad_enabled(cause != "no_grad"):
            net(samples(3))
        with pytest.raises(RuntimeError, match=r"layer 'enc' does not require grad.*use_reentrant=False"):
            regularizer()


def test_an_activation_that_was_changed_in_place_is_refused() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True))
    with tl.Regularizer(model, {"0": energy}) as regularizer:
        model(samples(3))
        with pytest.raises(RuntimeError, match="layer '0' was changed in place"):
            regularizer()
    with tl.Regularizer(model, {"1": energy}) as regularizer:
        torch.testing.assert_close(energy(model(samples(3))).mean(), regularizer())


@pytest.mark.parametrize("layer", [nn.LSTM(4, 4), nn.Identity()])
def test_a_layer_that_returns_no_tensor_is_refused(layer: nn.Module) -> None:
    model = nn.Sequential(layer)
    inputs = samples(3) if isinstance(layer, nn.LSTM) else (samples(3),)
    with (
        tl.Regularizer(model, {"0": energy}),
        pytest.raises(TypeError, match=r"layer '0' must return one tensor.*not a tuple"),
    ):
        model(inputs)


# -- checkpointing


class Checkpointed(nn.Module):
    """A Net that recomputes everything but its head in the backward pass."""

    def __init__(self, net: Net, use_reentrant: bool) -> None:
        super().__init__()
        self.net, self.use_reentrant = net, use_reentrant

    def forward(self, x: Tensor) -> Tensor:
        body = nn.Sequential(self.net.enc, self.net.dec)
        return self.net.head(checkpoint(body, x, use_reentrant=self.use_reentrant))


def test_checkpointing_without_reentrance_gives_the_same_gradient_and_records_once(net: Net) -> None:
    x, model = samples(5), Checkpointed(net, use_reentrant=False)
    seen: list[tuple[int, ...]] = []
    penalties = {"net.enc": shapes(seen), "net.dec.0": energy, "net.dec": energy}
    by_hand = [energy(h).mean() for h in (net.enc(x), net.dec[0](net.enc(x)), net.dec(net.enc(x)))]
    expected = gradients(net, net(x).sum() + torch.stack(by_hand).sum())
    runs: list[bool] = []
    net.enc.register_forward_hook(lambda module, args, h: runs.append(True))
    with tl.Regularizer(model, penalties) as regularizer:
        for _ in range(2):
            loss = model(x).sum() + regularizer()
            torch.testing.assert_close(gradients(net, loss), expected)
    assert len(runs) == 4 and seen == [(5, 6), (5, 6)], "recomputed, and yet recorded once a step"


def test_reentrant_checkpointing_is_refused_with_the_remedy(net: Net) -> None:
    model = Checkpointed(net, use_reentrant=True)
    with tl.Regularizer(model, {"net.enc": energy}) as regularizer:
        model(samples(5).requires_grad_())
        with pytest.raises(RuntimeError, match=r"layer 'net\.enc'.*use_reentrant=False"):
            regularizer()


def test_the_last_layer_of_a_reentrant_segment_is_on_the_graph_and_works(net: Net) -> None:
    x, model = samples(5).requires_grad_(), Checkpointed(net, use_reentrant=True)
    energy(net.dec(net.enc(x))).mean().backward()
    expected = {name: p.grad for name, p in net.named_parameters()}
    net.zero_grad()
    with tl.Regularizer(model, {"net.dec": energy}) as regularizer:
        model(x)
        regularizer().backward()  # autograd.grad does not go through reentrant checkpoints
        torch.testing.assert_close({name: p.grad for name, p in net.named_parameters()}, expected)
        with pytest.raises(RuntimeError, match="nothing was recorded"):
            regularizer()


def test_no_forward_within_a_backward_pass_is_recorded(net: Net) -> None:
    def rerun(grad: Tensor) -> None:
        with torch.enable_grad():
            net(samples(9))

    seen: list[tuple[int, ...]] = []
    with tl.Regularizer(net, {"enc": shapes(seen)}) as regularizer:
        out = net(samples(2))
        out.register_hook(rerun)
        out.sum().backward()
        regularizer()
    assert seen == [(2, 6)]


def test_a_loaded_count_drops_the_records_of_the_step_before(net: Net) -> None:
    with tl.Regularizer(net, {"enc": energy}, every=np.int64(2)) as regularizer:
        net(samples(2))
        regularizer.load_state_dict({"step": np.int64(1)})
        assert regularizer().item() == 0  # a step that is skipped
        x = samples(3)
        net(x)
        found = regularizer()
        regularizer.load_state_dict({"step": 0})
        net(x)
        assert torch.equal(found, regularizer())
