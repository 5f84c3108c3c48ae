"""Precision, logging, bad numbers; hooks that come and go; names and bad input (contract, points 9 and 12)."""

from __future__ import annotations

import copy
import gc
import io
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import topolayer as tl

from ..helpers.regularized import Net, energy, samples, shapes

pytestmark = pytest.mark.usefixtures("seeded")

# -- precision, logging, bad numbers


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


# -- hooks come and go


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
    with pytest.raises(RuntimeError, match=r"removed .* or it is a copy.*on_fit_start\(\)"):
        twin.regularizer()
    torch.testing.assert_close(net.regularizer(), energy(net.enc(samples(2))).mean())


def test_the_state_dict_does_not_change(net: Net) -> None:
    names = list(net.state_dict())
    with tl.Regularizer(net, {"enc": energy}):
        assert list(net.state_dict()) == names


# -- names, bad input


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
