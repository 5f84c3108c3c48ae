"""The regularizer on compiled models: the same numbers as without a compiler, whatever was compiled and when."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import topolayer as tl

from ..helpers import regularized
from ..helpers.problems import OLD_COMPILER

pytestmark = [
    pytest.mark.timeout(120),
    # Dynamo looks at .grad of tensors that have none and hides the warning, but not where warnings are errors.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
    # Inductor imports a module of torch that uses what torch deprecates.
    pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning"),
]

Forward = Callable[[Tensor], Tensor]


class Net(regularized.Net):
    """With an operation between two layers, for the compiler to fuse."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dec(self.enc(x).sigmoid()))


def whole(net: Net, backend: str) -> Forward:
    return torch.compile(net, backend=backend)


def in_place(net: Net, backend: str) -> Forward:
    net.compile(backend=backend)
    return net


def submodule(net: Net, backend: str) -> Forward:
    net.dec = torch.compile(net.dec, backend=backend)
    return net


def submodule_in_place(net: Net, backend: str) -> Forward:
    net.dec.compile(backend=backend)
    return net


def function(net: Net, backend: str) -> Forward:
    """What the regularizer cannot see from the model."""
    return torch.compile(lambda x: net(x), backend=backend)


WAYS = [whole, in_place, submodule, submodule_in_place, function]


def energy(h: Tensor) -> Tensor:
    return h.square().flatten(1).sum(1)


PENALTIES = {"dec.0": energy, "dec": lambda h: energy(h) ** 2}


def samples(n: int) -> Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(n))


def gradients(model: nn.Module, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, materialize_grads=True))


def step(model: nn.Module, forward: Forward, regularizer: tl.Regularizer, x: Tensor) -> list[Tensor]:
    loss = forward(x).sum() + 0.1 * regularizer()
    return [loss.detach(), *gradients(model, loss)]


def expected(net: Net, x: Tensor) -> list[Tensor]:
    """The same without a compiler."""
    with tl.Regularizer(net, PENALTIES) as regularizer:
        return step(net, net, regularizer, x)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    torch._dynamo.reset()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
    torch._dynamo.reset()


@pytest.mark.parametrize("called_before", [False, True])
@pytest.mark.parametrize(("compiled", "backend"), [*((way, "eager") for way in WAYS), (whole, "aot_eager")])
def test_numbers_are_those_of_the_plain_model(
    compiled: Callable[[Net, str], Forward], backend: str, called_before: bool
) -> None:
    net, x = Net(), samples(5)
    wanted = expected(net, x)
    forward = compiled(net, backend)
    out = forward(x).detach() if called_before else None
    with tl.Regularizer(net, PENALTIES) as regularizer:
        for _ in range(2):
            torch.testing.assert_close(step(net, forward, regularizer, x), wanted)
    if out is not None:
        torch.testing.assert_close(forward(x).detach(), out)


@pytest.mark.parametrize("compiled", WAYS)
def test_after_removal_the_hooks_are_gone_and_new_ones_fire(compiled: Callable[[Net, str], Forward]) -> None:
    net, x = Net(), samples(5)
    wanted = expected(net, x)
    forward = compiled(net, "eager")
    for _ in range(2):
        seen: list[int] = []
        with tl.Regularizer(net, {"dec.0": lambda h, seen=seen: seen.append(len(h)) or energy(h)}) as regularizer:
            forward(samples(3))
            regularizer()
        forward(samples(3))
        assert seen == [3]
        with tl.Regularizer(net, PENALTIES) as regularizer:
            torch.testing.assert_close(step(net, forward, regularizer, x), wanted)
        torch.testing.assert_close(forward(samples(3)).sum(), net(samples(3)).sum())


@pytest.mark.parametrize("compiled", WAYS)
def test_records_accumulate_steps_are_skipped_and_eval_is_not_recorded(compiled: Callable[[Net, str], Forward]) -> None:
    net = Net()
    forward = compiled(net, "eager")
    forward(samples(2))
    seen: list[int] = []

    def penalty(h: Tensor) -> Tensor:
        seen.append(len(h))
        return energy(h)

    with tl.Regularizer(net, {"enc": penalty, "dec": penalty}, every=2) as regularizer:
        for n in (2, 4, 6):
            net.eval()
            forward(samples(9))
            net.train()
            forward(samples(n))
            forward(samples(n + 1))
            assert (regularizer() > 0) == (n != 4)
    assert seen == [2, 3, 2, 3, 6, 7, 6, 7]


@pytest.mark.parametrize("compiled", [whole, in_place])
def test_the_compiled_model_itself_as_a_layer(compiled: Callable[[Net, str], Forward]) -> None:
    net, x = Net(), samples(5)
    forward = compiled(net, "eager")
    out = forward(x)
    with tl.Regularizer(net, {"": energy}) as regularizer:
        forward(x)
        torch.testing.assert_close(regularizer(), energy(out).mean())


def test_in_a_training_step_compiled_as_a_whole_the_penalties_are_not() -> None:
    net, x = Net(), samples(5)
    wanted = expected(net, x)
    graphs: list[str] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        graphs.append(graph.code)
        return graph.forward

    with tl.Regularizer(net, PENALTIES) as regularizer:

        @torch.compile(backend=backend)
        def loss(x: Tensor) -> Tensor:
            return net(x).sum() + 0.1 * regularizer()

        for _ in range(3):
            value = loss(x)
            torch.testing.assert_close([value.detach(), *gradients(net, value)], wanted)
    assert any("sigmoid" in graph for graph in graphs) and not any("square" in graph for graph in graphs)


def test_a_compiled_penalty() -> None:
    net, x = Net(), samples(5)
    wanted = expected(net, x)
    forward = whole(net, "aot_eager")
    compiled = {name: torch.compile(penalty, backend="aot_eager") for name, penalty in PENALTIES.items()}
    with tl.Regularizer(net, compiled) as regularizer:
        torch.testing.assert_close(step(net, forward, regularizer, x), wanted)


@pytest.mark.parametrize("called_before", [False, True])
def test_checkpointing_in_a_compiled_model_records_once(called_before: bool) -> None:
    class Checkpointed(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(checkpoint(self.dec, self.enc(x).sigmoid(), use_reentrant=False))

    net, x = Checkpointed(), samples(5)
    wanted = expected(net, x)
    forward = whole(net, "aot_eager")
    if called_before:
        forward(x).sum().backward()
    with tl.Regularizer(net, PENALTIES) as regularizer:
        for _ in range(2):
            torch.testing.assert_close(step(net, forward, regularizer, x), wanted)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_change_in_place_by_compiled_code_is_noticed(backend: str) -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Linear(6, 1))
    forward = torch.compile(model, backend=backend)
    with tl.Regularizer(model, {"0": energy}) as regularizer:
        forward(samples(3))
        with pytest.raises(RuntimeError, match="layer '0' was changed in place"):
            regularizer()


def test_a_layer_that_returns_no_tensor_is_named() -> None:
    class Pair(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x

    class First(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair = Pair()

        def forward(self, x: Tensor) -> Tensor:
            return self.pair(x)[0]

    model = First()
    with tl.Regularizer(model, {"pair": energy}), pytest.raises(TypeError, match="'pair' must return one tensor"):
        torch.compile(model, backend="eager")(samples(3))


def test_a_copy_of_a_compiled_model_does_not_record() -> None:
    net, x = Net(), samples(5)
    wanted = expected(net, x)
    model = torch.compile(net, backend="eager")
    with tl.Regularizer(model, PENALTIES) as regularizer:
        loss = model(x).sum()
        copy.deepcopy(model)(samples(3))
        loss = loss + 0.1 * regularizer()
        torch.testing.assert_close([loss.detach(), *gradients(net, loss)], wanted)


def test_other_compiled_code_goes_on_and_the_configuration_stays() -> None:
    other = nn.Linear(4, 1)
    compiled = torch.compile(other, backend="aot_eager")
    config = torch._dynamo.config.get_config_copy()
    out = compiled(samples(3))  # its backward is still to come
    with tl.Regularizer(Net(), {"enc": energy}):
        out.sum().backward()
        torch.testing.assert_close(compiled(samples(3)), other(samples(3)))
    assert other.weight.grad is not None
    torch.testing.assert_close(other.weight.grad, samples(3).sum(0, keepdim=True))
    assert torch._dynamo.config.get_config_copy() == config


@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="inductor needs a C++ compiler")
@pytest.mark.skipif(OLD_COMPILER, reason="an option below is newer than torch 2.4")
def test_inductor(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
    model, x = nn.Sequential(nn.Linear(4, 6), nn.Tanh()), samples(5)
    quick = {"compile_threads": 1, "cpp.vec_isa_ok": False}  # no worker processes, no probing for vector instructions
    compiled = torch.compile(model, options=quick)
    compiled(x)
    with tl.Regularizer(compiled, {"0": energy}) as regularizer:
        loss = compiled(x).sum() + regularizer()
    h = model[0](x)
    by_hand = h.tanh().sum() + energy(h).mean()
    torch.testing.assert_close(loss, by_hand)
    torch.testing.assert_close(gradients(model, loss), gradients(model, by_hand))
