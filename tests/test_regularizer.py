"""The regularizer (point 12 of the contract) on plain models. Compiled and distributed ones have their own files."""

from __future__ import annotations

import copy
import gc
import io
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import topolayer as tl


class Net(nn.Module):
    """Four numbers in, one out, with layers of dotted names, a Sequential and a parameter-free one."""

    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.Linear(4, 6)
        self.dec = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
        self.head = nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dec(self.enc(x)))


def energy(h: Tensor) -> Tensor:
    return h.square().flatten(1).sum(1)


def shapes(seen: list[tuple[int, ...]]) -> Callable[[Tensor], Tensor]:
    """A penalty that writes down what it is applied to."""

    def penalty(h: Tensor) -> Tensor:
        seen.append(tuple(h.shape))
        return energy(h)

    return penalty


def gradients(model: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    names, parameters = zip(*model.named_parameters(), strict=True)
    grads = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return dict(zip(names, grads, strict=True))


def samples(n: int, *shape: int) -> Tensor:
    return torch.randn(n, *(shape or (4,)), generator=torch.Generator().manual_seed(n))


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def net() -> Net:
    return Net()


# ---------------------------------------------------------------------------------------------- what a call returns


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


def test_a_layer_with_two_names_may_go_by_both() -> None:
    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, layer)
    with tl.Regularizer(model, {"0": energy, "1": lambda h: 2 * energy(h)}) as regularizer:
        model(samples(3))
        regularizer()
    torch.testing.assert_close(regularizer.last["1"], 2 * regularizer.last["0"])


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


# ----------------------------------------------------------------------------------------- steps and accumulation


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


# ------------------------------------------------------------------------------------------------- what is recorded


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
        with pytest.raises(RuntimeError, match=r"from layer 'unused'\. .*and the layer in it"):
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


# ---------------------------------------------------------------------------------------------------- checkpointing


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


# ---------------------------------------------------------------------------------- precision, logging, bad numbers


def test_the_penalty_runs_under_the_autocast_of_the_call(net: Net) -> None:
    seen: list[tuple[torch.dtype, bool]] = []

    def penalty(h: Tensor) -> Tensor:
        seen.append((h.dtype, torch.is_autocast_enabled("cpu")))
        return energy(h)

    x = samples(3)
    with tl.Regularizer(net, {"enc": penalty}) as regularizer:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            h = net.enc(x)
        outside = regularizer()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            net(x)
            regularizer()
    assert seen == [(torch.bfloat16, False), (torch.bfloat16, True)]
    assert outside.dtype == torch.float32, "half precision ends at the sum"
    torch.testing.assert_close(outside, energy(h).float().mean())
    outside.backward()
    assert net.enc.weight.grad is not None and net.enc.weight.grad.dtype == torch.float32


def test_last_holds_the_last_penalty_of_every_layer_for_logging(net: Net) -> None:
    with tl.Regularizer(net, {"enc": energy, "head": energy}, every=2) as regularizer:
        assert regularizer.last == {}
        net(samples(3))
        total = regularizer()
        last = regularizer.last
        assert list(last) == ["enc", "head"]
        assert all(value.shape == () and not value.requires_grad for value in last.values())
        assert float(sum(last.values())) == pytest.approx(total.item())
        net(samples(3))
        assert regularizer() == 0
        assert regularizer.last == last, "a skipped step leaves it alone"
        net(samples(4))
        regularizer()
        assert regularizer.last != last
    assert list(regularizer.last) == ["enc", "head"]


def test_last_is_not_changed_by_what_the_caller_does(net: Net) -> None:
    with tl.Regularizer(net, {"enc": energy}) as regularizer:
        net(samples(3))
        value = regularizer()
        before = regularizer.last["enc"].item()
        value *= 1000
        regularizer.last.clear()
        assert regularizer.last["enc"].item() == before


def test_a_nan_is_passed_through_and_a_gradient_scaler_skips_the_step(net: Net) -> None:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    with tl.Regularizer(net, {"enc": lambda h: energy(h) * float("nan"), "dec": energy}) as regularizer:
        loss = net(samples(3)).sum() + regularizer()
        assert loss.isnan()
        assert regularizer.last["enc"].isnan() and regularizer.last["dec"].isfinite()
        before = copy.deepcopy(net.state_dict())
        scaler.scale(loss).backward()
        scaler.step(optimizer)
    torch.testing.assert_close(net.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("penalty", "message"),
    [
        (lambda h: h.square().sum(), r"\(3,\) for .* \(3, 6\), not torch.float32 of shape \(\)"),
        (lambda h: h.square(), r"of shape \(3, 6\)$"),
        (lambda h: h.square().sum(1, keepdim=True), r"of shape \(3, 1\)"),
        (lambda h: h.square().sum(0), r"of shape \(6,\)"),
        (lambda h: (h > 0).sum(1), r"floating-point.*torch.int64"),
    ],
)
def test_a_penalty_must_return_one_number_per_sample(net: Net, penalty: Any, message: str) -> None:
    with tl.Regularizer(net, {"enc": penalty}) as regularizer:
        net(samples(3))
        with pytest.raises(ValueError, match=f"layer 'enc' must return one .*{message}"):
            regularizer()


def test_a_penalty_must_return_a_tensor(net: Net) -> None:
    with tl.Regularizer(net, {"enc": lambda h: energy(h).tolist()}) as regularizer:
        net(samples(3))
        with pytest.raises(TypeError, match="penalty of layer 'enc' must return a tensor, not a list"):
            regularizer()


def test_an_activation_without_a_batch_axis_is_refused() -> None:
    class Total(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum()

    model = nn.Sequential(nn.Linear(4, 4), Total())
    with tl.Regularizer(model, {"1": lambda h: h}) as regularizer:
        model(samples(3))
        with pytest.raises(ValueError, match=r"activation of shape \(\)"):
            regularizer()


def test_an_error_in_a_penalty_says_in_which_layer(net: Net) -> None:
    with tl.Regularizer(net, {"enc": lambda h: h.reshape(7)}) as regularizer:
        net(samples(3))
        with pytest.raises(RuntimeError) as error:
            regularizer()
    assert error.value.__notes__ == ["in the penalty of layer 'enc', on an activation of shape (3, 6)"]


# ------------------------------------------------------------------------------------------------ hooks come and go


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


def test_on_exit_the_hooks_are_gone_and_the_records_too(net: Net) -> None:
    kept: list[weakref.ref[Tensor]] = []
    handle = net.enc.register_forward_hook(lambda module, args, h: kept.append(weakref.ref(h)))
    with tl.Regularizer(net, {"enc": energy, "dec": energy}) as regularizer:
        assert hooks(net) == 3
        net(samples(2))
    assert hooks(net) == 1, "foreign hooks stay"
    assert kept[0]() is None
    with pytest.raises(RuntimeError, match="removed"):
        regularizer()
    with pytest.raises(RuntimeError, match="removed"), regularizer:
        pass
    handle.remove()


def test_an_exception_in_the_block_passes_and_the_hooks_go(net: Net) -> None:
    with pytest.raises(KeyError), tl.Regularizer(net, {"enc": energy}):
        raise KeyError
    assert hooks(net) == 0


def test_remove_does_so_without_a_block_and_more_than_once(net: Net) -> None:
    regularizer = tl.Regularizer(net, {"enc": energy})
    net(samples(2))
    regularizer()
    regularizer.remove()
    regularizer.remove()
    assert hooks(net) == 0
    net(samples(2))
    with pytest.raises(RuntimeError, match="removed"):
        regularizer()


def test_nothing_outlives_the_regularizer_and_the_model() -> None:
    net = Net()
    regularizer = tl.Regularizer(net, {"enc": energy})
    net(samples(2))
    alive = weakref.ref(net), weakref.ref(regularizer)
    del net, regularizer
    gc.collect()
    assert alive[0]() is None and alive[1]() is None


def whole_file(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    assert file.tell() < 20_000, "the activations are not in the file"
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, whole_file])
def test_a_copy_of_the_model_has_inert_hooks_and_no_records(copied: Callable[[nn.Module], nn.Module]) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    with tl.Regularizer(model, {"0": energy}) as regularizer:
        model(samples(10_000))
        twin = copied(model)
        torch.testing.assert_close(twin(samples(3)), model(samples(3)))
        torch.testing.assert_close(regularizer(), energy(model[0](torch.cat([samples(10_000), samples(3)]))).mean())
        with tl.Regularizer(twin, {"0": energy}) as other:
            twin(samples(2))
            assert other() > 0
        assert hooks(model) == 1


def test_averaging_the_weights_does_not_record_the_average(net: Net) -> None:
    seen: list[tuple[int, ...]] = []
    with tl.Regularizer(net, {"enc": shapes(seen)}) as regularizer:
        net(samples(2))
        average = torch.optim.swa_utils.AveragedModel(net)
        average.update_parameters(net)
        average(samples(3))
        regularizer()
    assert seen == [(2, 6)]


def test_a_regularizer_kept_on_its_model_is_copied_as_a_removed_one(net: Net) -> None:
    net.regularizer = tl.Regularizer(net, {"enc": energy})
    net(samples(2))
    twin = copy.deepcopy(net)
    twin(samples(3))
    with pytest.raises(RuntimeError, match="removed"):
        twin.regularizer()
    torch.testing.assert_close(net.regularizer(), energy(net.enc(samples(2))).mean())


def test_the_state_dict_does_not_change(net: Net) -> None:
    names = list(net.state_dict())
    with tl.Regularizer(net, {"enc": energy}):
        assert list(net.state_dict()) == names


# ------------------------------------------------------------------------------------------------ names, bad input


class Fork(nn.Module):
    """A model with a layer of its own that is called ``module``."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda model: torch.compile(model, backend="eager")])
@pytest.mark.parametrize("name", ["module.0", "module.1", "module", ""])
def test_a_name_means_the_same_layer_in_a_wrapped_model(wrap: Any, name: str) -> None:
    model, x = Fork(), samples(3)
    width = {"module.0": 2}.get(name, 3)
    for candidate in (model, wrap(model)):
        seen: list[tuple[int, ...]] = []
        with tl.Regularizer(candidate, {name: shapes(seen)}) as regularizer:
            candidate(x)
            regularizer()
        assert seen == [(3, width)]


# Dynamo looks at .grad of tensors that have none and hides the warning, but not where warnings are errors.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize(
    "name", ["dec.0", "module.dec.0", "_orig_mod.dec.0", "module._orig_mod.dec.0", "module._orig_mod.dec._orig_mod.0"]
)
def test_names_are_looked_up_below_the_wrappers(net: Net, name: str) -> None:
    by_hand = energy(net.dec[0](net.enc(samples(3)))).mean()
    net.dec = torch.compile(net.dec, backend="eager")
    wrapped = nn.DataParallel(torch.compile(net, backend="eager"))
    with tl.Regularizer(wrapped, {name: energy}) as regularizer:
        wrapped(samples(3))
        torch.testing.assert_close(regularizer(), by_hand)
    assert list(regularizer.last) == [name]


def test_eval_of_the_inner_model_counts_when_a_wrapper_was_given(net: Net) -> None:
    wrapped = nn.DataParallel(net)
    with tl.Regularizer(wrapped, {"enc": energy}) as regularizer:
        net.eval()
        wrapped(samples(3))
        with pytest.raises(RuntimeError, match="nothing was recorded"):
            regularizer()


@pytest.mark.parametrize(
    ("name", "nearest"), [("dec0", "'dec.0'"), ("encoder", "'enc'"), ("Head", "'head'"), ("dec.2", "'dec.0'")]
)
def test_an_unknown_layer_is_refused_with_the_nearest_names(net: Net, name: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"no layer '{name}'.*{nearest}"):
        tl.Regularizer(net, {"enc": energy, name: energy})
    assert hooks(net) == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": torch.relu}, TypeError, "^model: expected a torch.nn.Module, got builtin"),
        ({"penalties": {}}, ValueError, "^penalties: expected at least one layer"),
        ({"penalties": [("enc", energy)]}, TypeError, "^penalties: expected a dict .* got list"),
        ({"penalties": {"enc": 0.1}}, TypeError, "^penalties: expected a function for layer 'enc', got 0.1"),
        ({"penalties": {0: energy}}, TypeError, "^penalties: .* a str, got 0"),
        ({"every": 0}, ValueError, "^every: expected an int >= 1, got 0"),
        ({"every": -2}, ValueError, "^every: expected an int >= 1, got -2"),
        ({"every": 2.0}, TypeError, r"^every: expected an int >= 1, got 2\.0"),
        ({"every": True}, TypeError, "^every: expected an int >= 1, got True"),
    ],
)
def test_bad_arguments_are_refused(net: Net, arguments: Any, error: type[Exception], message: str) -> None:
    arguments = {"model": net, "penalties": {"enc": energy}} | arguments
    model, penalties = arguments.pop("model"), arguments.pop("penalties")
    with pytest.raises(error, match=message):
        tl.Regularizer(model, penalties, **arguments)
    assert hooks(net) == 0


def test_a_penalty_that_detaches_is_refused(net: Net) -> None:
    with tl.Regularizer(net, {"enc": lambda h: energy(h.detach())}) as regularizer:
        net(samples(3))
        with pytest.raises(RuntimeError, match=r"penalty of layer 'enc' does not require grad.*detach"):
            regularizer()
        net(samples(3))
        with torch.no_grad():
            assert regularizer() > 0


def test_it_knows_nothing_of_random_numbers(net: Net) -> None:
    before = torch.get_rng_state()
    with tl.Regularizer(net, {"enc": energy}) as regularizer:
        net(samples(3))
        regularizer().backward()
    assert torch.equal(torch.get_rng_state(), before)
