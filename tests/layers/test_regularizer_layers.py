"""Which layers the regularizer takes: through wrappers, by a pair that picks a tensor, and which not (points 9, 12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.utils.checkpoint import checkpoint_sequential

import topolayer as tl

from ..helpers.regularized import Net, energy, gradients, samples

pytestmark = [
    pytest.mark.usefixtures("seeded"),
    pytest.mark.filterwarnings("ignore:.torch.jit.* is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.torch.jit.* is deprecated:FutureWarning"),
]

# -- wrappers


class Fabric(nn.Module):
    """With the names of Lightning Fabric's wrapper: what runs, and the model that the user gave."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._forward_module = self._original_module = model

    def forward(self, x: Tensor) -> Tensor:
        return self._forward_module(x)


class Sharded(nn.Module):
    """With the name of FSDP's wrapper, which needs several processes."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._fsdp_wrapped_module = model

    def forward(self, x: Tensor) -> Tensor:
        return self._fsdp_wrapped_module(x)


WRAPPERS: dict[str, tuple[Callable[[nn.Module], nn.Module], str]] = {
    "Fabric": (Fabric, "_forward_module."),
    "FSDP": (Sharded, "_fsdp_wrapped_module."),
    "checkpoint": (checkpoint_wrapper, "_checkpoint_wrapped_module."),
    "several": (lambda net: Fabric(nn.DataParallel(Sharded(net))), "_forward_module.module._fsdp_wrapped_module."),
}


@pytest.mark.parametrize("kind", WRAPPERS)
@pytest.mark.parametrize("inside", [False, True])
def test_names_are_looked_up_below_the_prefixes(net: Net, kind: str, inside: bool) -> None:
    wrap, prefix = WRAPPERS[kind]
    x = samples(3)
    by_hand = energy(net.dec[0](net.enc(x))).mean()
    expected = gradients(net, by_hand)
    names = ["dec.0", "dec." + prefix + "0" if inside else prefix + "dec.0"]
    model: nn.Module = net
    if inside:
        net.dec = wrap(net.dec)
    else:
        model = wrap(net)
    for name in names:
        with tl.Regularizer(model, {name: energy}) as regularizer:
            model(x)
            value = regularizer()
            torch.testing.assert_close(value, by_hand)
        found = [g for g in gradients(net, value).values() if g.any()]
        torch.testing.assert_close(found, [g for g in expected.values() if g.any()])
    with pytest.raises(ValueError, match=r"the nearest names are 'dec\.0'"):
        tl.Regularizer(model, {"dec.00": energy})


# -- layers that return something else than a tensor


class Pyramid(nn.Module):
    def __init__(self, result: type) -> None:
        super().__init__()
        self.first, self.second, self.result = nn.Linear(4, 6), nn.Linear(6, 2), result

    def forward(self, x: Tensor) -> Any:
        levels = {"low": self.first(x)}
        levels["high"] = self.second(levels["low"])
        return levels if self.result is dict else self.result(levels.values())


class Reader(nn.Module):
    def __init__(self, result: type) -> None:
        super().__init__()
        self.encoder = Pyramid(result)

    def forward(self, x: Tensor) -> Tensor:
        levels = self.encoder(x)
        return (levels["high"] if isinstance(levels, dict) else levels[-1]).sum(1)


@pytest.mark.parametrize(
    ("result", "select"), [(list, lambda h: h[0]), (tuple, lambda h: h[-2]), (dict, lambda h: h["low"])]
)
def test_a_pair_says_which_tensor_is_penalized(result: type, select: Any) -> None:
    model, x = Reader(result), samples(5)
    h = model.encoder.first(x)
    with tl.Regularizer(model, {"encoder": (select, energy)}) as regularizer:
        loss = model(x).sum() + regularizer()
    assert list(regularizer.last) == ["encoder"]
    torch.testing.assert_close(gradients(model, loss), gradients(model, model(x).sum() + energy(h).mean()))
    with tl.Regularizer(model, {"encoder": energy}), pytest.raises(TypeError) as error:
        model(x)
    assert f"layer 'encoder' must return one tensor to be penalized, not a {result.__name__}" in str(error.value)
    place = repr("low") if result is dict else 0
    assert f"{{'encoder': (lambda output: output[{place}], topolayer.few_maxima)}}" in str(error.value)


def test_attention_and_recurrent_layers() -> None:
    model = nn.LSTM(4, 6, batch_first=True)
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    x = samples(3, 5, 4)
    for layer, inputs in ((model, (x,)), (attention, (x, x, x))):
        with tl.Regularizer(layer, {"": (lambda output: output[0], energy)}) as regularizer:
            out = layer(*inputs)[0]
            torch.testing.assert_close(regularizer(), energy(out).mean())


def test_what_a_pair_picks_is_checked_like_any_activation() -> None:
    model = Reader(list)
    with (
        tl.Regularizer(model, {"encoder": (lambda h: h, energy)}),
        pytest.raises(TypeError, match="picks a tensor from the output of layer 'encoder' must return one, not a list"),
    ):
        model(samples(3))
    with tl.Regularizer(model, {"encoder": (lambda h: h[7], energy)}), pytest.raises(IndexError) as error:
        model(samples(3))
    assert error.value.__notes__ == ["in the function that picks a tensor from the list of layer 'encoder'"]
    with tl.Regularizer(model, {"encoder": (lambda h: h[0].detach(), energy)}) as regularizer:
        model(samples(3))
        with pytest.raises(RuntimeError, match="layer 'encoder' does not require grad"):
            regularizer()


@pytest.mark.parametrize("pair", [(energy,), (energy, None), (None, energy), (energy, energy, energy), ()])
def test_a_pair_is_two_functions(net: Net, pair: Any) -> None:
    with pytest.raises(TypeError, match=r"expected a function for layer 'enc', got .*; a pair is \(select, penalty\)"):
        tl.Regularizer(net, {"enc": pair})


# -- layers that never run


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)]), "is a ModuleList, .* such as 'layer.1'"),
        (nn.ModuleDict({"a": nn.Linear(4, 4)}), "is a ModuleDict, .* such as 'layer.a'"),
        (nn.ParameterList([torch.zeros(3)]), "is a ParameterList, .* it holds no layers"),
        (nn.Module(), "is a Module, .* it holds no layers"),
    ],
)
def test_a_container_that_never_runs_is_refused(layer: nn.Module, message: str) -> None:
    model = nn.Sequential()
    model.add_module("layer", layer)
    with pytest.raises(ValueError, match=f"^penalties: layer 'layer' {message}"):
        tl.Regularizer(model, {"layer": energy})


def test_a_sequential_whose_children_run_one_by_one_is_named_with_the_child() -> None:
    class Stages(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stages = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))

        def forward(self, x: Tensor) -> Tensor:
            return checkpoint_sequential(self.stages, 2, x, use_reentrant=False)

    model = Stages()
    with tl.Regularizer(model, {"stages": energy}) as regularizer:
        model(samples(3))
        words = (
            r"nothing was recorded .* 'stages' since .*\. 'stages' is a Sequential: .*last one, 'stages\.2'.*ing mode"
        )
        with pytest.raises(RuntimeError, match=words):
            regularizer()
    with tl.Regularizer(model, {"stages.2": energy}) as regularizer:
        out = model(samples(3))
        torch.testing.assert_close(regularizer(), energy(out).mean())


def test_a_frozen_layer_is_named_as_such(net: Net) -> None:
    """Before all other reasons, be it run or not, as where its features were computed once for all."""
    net.enc.requires_grad_(False)
    with tl.Regularizer(net, {"enc": energy}) as regularizer:
        with pytest.raises(
            RuntimeError,
            match=r"nothing was recorded .* 'enc' since .*\. 'enc' is frozen: .*a later one.*training mode",
        ):
            regularizer()
        net(samples(3))
        with pytest.raises(RuntimeError, match=r"train nothing\. Everything frozen .*Name a later one\. Activation"):
            regularizer()


@pytest.mark.parametrize("wrong", [nn.Linear, "net", None, lambda x: x])
def test_what_is_no_model(wrong: Any) -> None:
    got = "the class Linear" if wrong is nn.Linear else type(wrong).__name__
    for call in (lambda: tl.Regularizer(wrong, {"": energy}), lambda: tl.probe(wrong, [torch.rand(1, 1, 8, 8)])):
        with pytest.raises(TypeError, match=rf"^model: expected a torch\.nn\.Module, got {got}; call a class"):
            call()


def test_an_exported_model_has_no_layers() -> None:
    torch.compiler.reset()  # torch 2.4 does not export classes whose layers have changed inside compiled code before
    program = torch.export.export(nn.Sequential(nn.Linear(4, 4)), (samples(3),))
    with pytest.raises(TypeError, match=r"^model: .*got ExportedProgram; .*before torch\.export$"):
        tl.Regularizer(program, {"0": energy})
    with pytest.raises(ValueError, match=r"^penalties: layer '0' .*take the model before torch\.export$"):
        tl.Regularizer(program.module(), {"0": energy})


@pytest.mark.parametrize("name", ["", "0", "1.0"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_scripted_model_is_refused(name: str, inside: bool) -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4))))
    model = nn.Sequential(scripted) if inside else scripted
    name = f"0.{name}".rstrip(".") if inside else name
    with pytest.raises(ValueError, match=f"layer '{name}' is .*scripted.*script it after the training"):
        tl.Regularizer(model, {name: energy})


# -- layers that were replaced


class Adapter(nn.Module):
    """Around a layer, as low-rank adapters are: the layer's hooks still fire, before what is added."""

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base, self.add = base, nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.add(x)


def adapt(net: Net) -> None:
    net.enc = Adapter(net.enc)


def replace(net: Net) -> None:
    net.enc = nn.Linear(4, 6)


def remove(net: Net) -> None:
    del net.enc


@pytest.mark.parametrize("change", [adapt, replace, remove])
def test_a_layer_that_was_replaced_is_named(net: Net, change: Callable[[Net], None]) -> None:
    x = samples(3)
    with tl.Regularizer(net, {"dec": energy, "enc": energy}) as regularizer:
        net(x)
        change(net)
        with pytest.raises(
            RuntimeError, match=r"layer 'enc' was replaced or removed .* SyncBatchNorm.*create the regularizer after"
        ):
            regularizer()


def test_conversion_to_sync_batch_norm() -> None:
    model: nn.Module = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6))
    with tl.Regularizer(model, {"1": energy}) as regularizer:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        model.eval()(samples(3))
        model.train()
        with pytest.raises(RuntimeError, match="layer '1' was replaced or removed"):
            regularizer()


def test_a_replacement_that_takes_the_hooks_along_is_fine(net: Net) -> None:
    with tl.Regularizer(net, {"enc": energy}) as regularizer:
        other = nn.Linear(4, 6)
        other._forward_hooks.update(net.enc._forward_hooks)  # as torch.ao.quantization does
        net.enc = other
        net(samples(3))
        torch.testing.assert_close(regularizer(), energy(other(samples(3))).mean())
