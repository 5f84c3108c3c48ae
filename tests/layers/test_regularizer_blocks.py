"""The regularizer in compiled models of several equal blocks, whose code dynamo shares (contract, point 12)."""

from __future__ import annotations

import copy
import gc
import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

import topolayer as tl

from ..helpers.regularized import energy, gradients, samples

pytestmark = [
    pytest.mark.timeout(120),
    # Dynamo looks at .grad of tensors that have none and hides the warning, but not where warnings are errors.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Linear(4, 4), nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.act(self.conv(x))


class Loop(nn.Module):
    """As vision transformers are written, with a layer two levels below the block."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), Block()) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class Twice(nn.Module):
    """One of two equal blocks runs twice, around the other."""

    def __init__(self) -> None:
        super().__init__()
        self.b, self.c = Block(), Block()

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.c(self.b(x)))


def chain() -> nn.Module:
    return nn.Sequential(Block(), Block(), Block())


CASES: list[tuple[Callable[[], nn.Module], list[str]]] = [
    (chain, ["2.act"]),
    (chain, ["0.act", "2"]),
    (Loop, ["blocks.2.1.act"]),
    (Loop, ["blocks.0.1", "blocks.1.1.act", "blocks.2.1.conv"]),
    (Twice, ["c.act", "b.conv"]),
    (Twice, ["b"]),
]


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    torch._dynamo.reset()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
    torch._dynamo.reset()


def step(model: nn.Module, forward: Callable[[Tensor], Tensor], layers: list[str]) -> list[Tensor]:
    with tl.Regularizer(model, dict.fromkeys(layers, energy)) as regularizer:
        loss = forward(samples(5)).sum() + regularizer()
    return [loss.detach(), *gradients(model, loss).values()]


@pytest.mark.parametrize(("build", "layers"), CASES)
def test_every_call_of_a_hooked_layer_is_recorded(build: Callable[[], nn.Module], layers: list[str]) -> None:
    model = build()
    forward = torch.compile(model, backend="eager")
    others = [name for name, layer in model.named_modules() if isinstance(layer, Block)][:1]
    forward(samples(5))
    for hooked in (others, layers):  # what was compiled for other hooks is not used either
        torch.testing.assert_close(step(model, forward, hooked), step(model, model.forward, hooked))


def test_also_where_another_thread_compiles() -> None:
    model = chain()
    forward = torch.compile(model, backend="eager")
    with tl.Regularizer(model, {"2.act": energy}) as regularizer:
        thread = threading.Thread(target=lambda: forward(samples(5)))
        thread.start()
        thread.join()
        recorded = regularizer()
        model(samples(5))
        torch.testing.assert_close(recorded, regularizer())


# -- the setting of the compiler


def skips_guards() -> list[bool]:
    """In this thread and in a new one."""
    found = [torch._dynamo.config.skip_nnmodule_hook_guards]
    thread = threading.Thread(target=lambda: found.append(torch._dynamo.config.skip_nnmodule_hook_guards))
    thread.start()
    thread.join()
    return found


def test_hooks_are_guarded_until_the_last_regularizer_is_gone() -> None:
    assert skips_guards() == [True, True]
    with tl.Regularizer(chain(), {"0": energy}) as first:
        assert skips_guards() == [False, False]
        second = tl.Regularizer(chain(), {"0": energy})
        copy.deepcopy(second).remove()
        first.remove()
        first.remove()
        assert skips_guards() == [False, False]
    assert skips_guards() == [False, False]
    second.remove()
    assert skips_guards() == [True, True]


def test_the_setting_comes_back_after_an_exception_and_with_the_garbage() -> None:
    with pytest.raises(KeyError), tl.Regularizer(chain(), {"0": energy}):
        raise KeyError
    assert skips_guards() == [True, True]
    with pytest.raises(ValueError, match="no layer"):
        tl.Regularizer(chain(), {"7": energy})
    assert skips_guards() == [True, True]
    regularizer = tl.Regularizer(chain(), {"0": energy})
    assert skips_guards() == [False, False]
    del regularizer
    gc.collect()
    assert skips_guards() == [True, True]


def test_a_setting_of_the_user_stays() -> None:
    with torch._dynamo.config.patch(skip_nnmodule_hook_guards=False):
        with tl.Regularizer(chain(), {"0": energy}):
            assert skips_guards()[0] is False
        assert torch._dynamo.config.skip_nnmodule_hook_guards is False
    assert skips_guards() == [True, True]
