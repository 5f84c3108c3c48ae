"""The regularizer (point 12 of the contract) on plain models: values, steps, accumulation."""

from __future__ import annotations

import copy
import functools
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import topolayer as tl

from ..helpers.regularized import Net, energy, gradients, samples, shapes

pytestmark = pytest.mark.usefixtures("seeded")

# -- what a call returns


def test_value_and_gradient_are_those_of_the_penalty_written_by_hand(net: Net) -> None:
    x = samples(5)
    by_hand = energy(net.dec[0](net.enc(x))).mean()
    with tl.Regularizer(net, {"dec.0": energy}) as regularizer:
        loss = net(x).sum() + 0.1 * regularizer()
    assert regularizer.last["dec.0"].item() == pytest.approx(by_hand.item())
    expected = gradients(net, net(x).sum() + 0.1 * by_hand)
    torch.testing.assert_close(gradients(net, loss), expected)


def test_the_result_is_a_scalar_on_the_graph_and_the_forward_is_unchanged(net: Net) -> None:
    x = samples(3)
    plain = net(x)
    with tl.Regularizer(net, {"enc": energy}) as regularizer:
        assert torch.equal(net(x), plain)
        value = regularizer()
    assert value.shape == () and value.requires_grad


def test_several_layers_are_summed_and_may_share_a_penalty(net: Net) -> None:
    x = samples(5)
    with tl.Regularizer(net, {"enc": energy, "dec": energy, "head": lambda h: h[:, 0]}) as regularizer:
        net(x)
        total = regularizer()
    h = net.enc(x)
    expected = {"enc": energy(h).mean(), "dec": energy(net.dec(h)).mean(), "head": net(x).mean()}
    torch.testing.assert_close(regularizer.last, {name: value.detach() for name, value in expected.items()})
    by_hand = torch.stack(list(expected.values())).sum()
    torch.testing.assert_close(total, by_hand)
    torch.testing.assert_close(gradients(net, total), gradients(net, by_hand))


def test_any_function_of_an_activation_will_do_such_as_total_variation() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU())

    def variation(h: Tensor) -> Tensor:
        return h.diff(dim=-1).square().sum((1, 2, 3)) + h.diff(dim=-2).square().sum((1, 2, 3))

    with tl.Regularizer(model, {"1": variation}) as regularizer:
        h = model(samples(2, 1, 8, 8))
        torch.testing.assert_close(regularizer(), variation(h).mean())


def test_few_maxima_is_a_penalty_like_any_other() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 1, 3))
    with tl.Regularizer(model, {"0": tl.few_maxima, "1": lambda h: tl.few_maxima(h, k=2)}) as regularizer:
        model(samples(2, 1, 20, 20))
        value = regularizer()
    assert regularizer.last["0"] > 0
    grads = gradients(model, value)
    assert grads["0.weight"].abs().sum() > 0 and torch.equal(grads["2.weight"], torch.zeros(1, 3, 3, 3))


def test_records_accumulate_and_the_mean_is_over_all_samples(net: Net) -> None:
    few, many = samples(2), samples(7)
    with tl.Regularizer(net, {"enc": energy}) as regularizer:
        net(few)
        net(many)
        value = regularizer()
    torch.testing.assert_close(value, energy(net.enc(torch.cat([few, many]))).mean())


def test_a_call_clears_the_records(net: Net) -> None:
    with tl.Regularizer(net, {"enc": energy}) as regularizer:
        net(samples(2))
        regularizer()
        with pytest.raises(RuntimeError, match="nothing was recorded"):
            regularizer()
        net(samples(3))
        torch.testing.assert_close(regularizer(), energy(net.enc(samples(3))).mean())
        net.eval()
        regularizer.clear()  # of the run of `enc` in the line above
        with pytest.raises(RuntimeError, match=r"nothing was recorded .* is in eval\(\): only model\.train\(\)"):
            regularizer()


def test_a_layer_that_runs_twice_in_a_forward_is_recorded_twice() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.layer(x))

    model, x = Shared(), samples(3)
    with tl.Regularizer(model, {"layer": energy}) as regularizer:
        model(x)
        value = regularizer()
    once = model.layer(x)
    torch.testing.assert_close(value, energy(torch.cat([once, model.layer(once)])).mean())


def test_a_layer_goes_by_one_of_its_names() -> None:
    """Under two it would be penalized twice in each of its runs."""
    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, layer)
    for wrapped, names in ((model, ("0", "1")), (model, ("1", "0")), (nn.DataParallel(model), ("0", "module.0"))):
        with pytest.raises(
            ValueError, match=rf"^penalties: layer '{names[1]}' is layer '{names[0]}' under.*name it once"
        ):
            tl.Regularizer(wrapped, dict.fromkeys(names, energy))
    with tl.Regularizer(model, {"1": energy}) as regularizer:
        model(samples(3))
        torch.testing.assert_close(regularizer(), (energy(layer(samples(3))) + energy(model(samples(3)))).mean() / 2)


def test_the_model_itself_is_the_layer_without_a_name(net: Net) -> None:
    with tl.Regularizer(net, {"": energy}) as regularizer:
        torch.testing.assert_close(energy(net(samples(3))).mean(), regularizer())


def test_two_regularizers_on_one_layer_do_not_meddle(net: Net) -> None:
    first, second = tl.Regularizer(net, {"enc": energy}), tl.Regularizer(net, {"enc": energy}, every=2)
    net(samples(2))
    assert torch.equal(first(), second())
    first.remove()
    net(samples(2))
    second()
    net(samples(3))
    torch.testing.assert_close(second(), energy(net.enc(samples(3))).mean())
    second.remove()


def test_an_empty_batch_gives_zero_not_nan(net: Net) -> None:
    with tl.Regularizer(net, {"enc": energy}) as regularizer:
        net(torch.zeros(0, 4))
        value = regularizer()
        assert value == 0
        value.backward()
        net(torch.zeros(0, 4))
        net(samples(3))
        torch.testing.assert_close(regularizer(), energy(net.enc(samples(3))).mean())


def test_gradients_of_gradients(net: Net) -> None:
    x = samples(3)
    with tl.Regularizer(net, {"dec": energy}) as regularizer:
        net(x)
        (grad,) = torch.autograd.grad(regularizer(), net.enc.weight, create_graph=True)
    grad.square().sum().backward()
    assert net.dec[0].weight.grad is not None and net.dec[0].weight.grad.abs().sum() > 0


# -- steps and accumulation


@pytest.mark.parametrize("every", [1, 2, 3])
def test_every_nth_step_counts_beginning_with_the_first(net: Net, every: int) -> None:
    seen: list[tuple[int, ...]] = []
    with tl.Regularizer(net, {"enc": shapes(seen)}, every=every) as regularizer:
        for step in range(7):
            net(samples(step + 1))
            value = regularizer()
            assert (value > 0) == (step % every == 0)
    assert seen == [(step + 1, 6) for step in range(0, 7, every)]


def test_a_skipped_step_returns_a_zero_like_the_others_that_can_be_differentiated(net: Net) -> None:
    net.double()
    with tl.Regularizer(net, {"enc": energy}, every=2) as regularizer:
        net(samples(2).double())
        due = regularizer()
        zero = regularizer()
        assert zero == 0 and zero.shape == due.shape and zero.dtype == due.dtype and zero.device == due.device
        zero.backward()
        assert net.enc.weight.grad is None
        with torch.no_grad():
            net(samples(2).double())
            assert not regularizer().requires_grad and not regularizer().requires_grad


def test_a_skipped_step_records_nothing(net: Net) -> None:
    kept: list[weakref.ref[Tensor]] = []
    net.enc.register_forward_hook(lambda module, args, h: kept.append(weakref.ref(h)))
    with tl.Regularizer(net, {"enc": energy}, every=2) as regularizer:
        net(samples(2))
        assert kept.pop()() is not None, "a step that is due holds the activation"
        regularizer()
        net(samples(2))
        assert kept.pop()() is None, "a skipped one does not"
        regularizer()


def test_the_forwards_between_two_calls_belong_to_the_later_call(net: Net) -> None:
    seen: list[tuple[int, ...]] = []
    with tl.Regularizer(net, {"enc": shapes(seen)}, every=2) as regularizer:
        for sizes in [(1, 2), (3, 4), (5, 6)]:
            for size in sizes:
                net(samples(size))
            regularizer()
    assert seen == [(1, 6), (2, 6), (5, 6), (6, 6)]


def test_a_call_that_fails_leaves_its_step_due_and_no_records(net: Net) -> None:
    seen: list[tuple[int, ...]] = []
    with tl.Regularizer(net, {"enc": shapes(seen), "dec": energy}, every=2) as regularizer:
        net.enc(samples(1))
        with pytest.raises(RuntimeError, match="'dec'"):
            regularizer()
        net(samples(3))
        assert regularizer() > 0
        assert regularizer() == 0
    assert seen == [(3, 6)]


def test_gradient_accumulation_gives_the_gradient_of_the_whole_batch_either_way(net: Net) -> None:
    whole, parts = samples(6), samples(6).chunk(3)
    with tl.Regularizer(net, {"dec": energy}) as regularizer:
        expected = gradients(net, net(whole).mean() + 0.1 * regularizer())
        for part in parts:  # a call for each batch
            ((net(part).mean() + 0.1 * regularizer()) / len(parts)).backward()
        torch.testing.assert_close({n: p.grad for n, p in net.named_parameters()}, expected)
        losses = [net(part).mean() for part in parts]  # one call for all
        torch.testing.assert_close(gradients(net, sum(losses) / len(parts) + 0.1 * regularizer()), expected)


def test_a_resumed_training_goes_on_with_the_count(net: Net) -> None:
    with tl.Regularizer(net, {"enc": energy}, every=3) as regularizer:
        for _ in range(4):
            net(samples(2))
            regularizer()
        state = regularizer.state_dict()
    assert state == {"step": 4}
    resumed_net = net.double()
    with tl.Regularizer(resumed_net, {"enc": energy}, every=3) as resumed:
        resumed.load_state_dict(copy.deepcopy(state))
        values = []
        for _ in range(3):
            resumed_net(samples(2).double())
            values.append(resumed())
    assert [bool(value > 0) for value in values] == [False, False, True]
    assert {value.dtype for value in values} == {torch.float64} and all(value.requires_grad for value in values)
    values[0].backward()


@pytest.mark.parametrize("state", [{}, {"step": -1}, {"step": 1.5}, {"step": True}, {"step": "3"}, 3, None])
def test_what_is_no_state_is_refused(net: Net, state: Any) -> None:
    with tl.Regularizer(net, {"enc": energy}) as regularizer:
        with pytest.raises(ValueError, match=r"^state_dict: expected what Regularizer\.state_dict"):
            regularizer.load_state_dict(state)
        assert regularizer.state_dict() == {"step": 0}


def test_clear_in_place_of_a_call_counts_steps_of_an_optimizer_that_runs_the_model_twice(net: Net) -> None:
    """As sharpness-aware minimization does, whose second gradient is the one that counts."""
    seen: list[tuple[int, ...]] = []
    with tl.Regularizer(net, {"enc": shapes(seen)}) as regularizer:
        for step in range(4):
            for forward in (1, 2):
                net(samples(10 * step + forward))
                regularizer() if step % 2 == 0 else regularizer.clear()
    assert seen == [(1, 6), (2, 6), (21, 6), (22, 6)]


def test_its_text_says_what_is_penalized_and_how_far_it_is(net: Net) -> None:
    second = functools.partial(tl.few_maxima, k=4)
    regularizer = tl.Regularizer(net, {"enc": energy, "dec.0": (lambda h: h, second)}, every=2)
    expected = f"<Regularizer {{'enc': energy, 'dec.0': {second!r}}}, every=2: "
    assert repr(regularizer) == expected + "step 0, 0 activations recorded>"
    net(samples(2))
    assert repr(regularizer) == expected + "step 0, 2 activations recorded>"
    regularizer.remove()
    assert repr(regularizer) == expected + "removed>"
    assert repr(copy.deepcopy(regularizer)) == "<Regularizer {}, every=2: removed>"
