"""A tracer that runs a model leaves no records, and does not disturb the next step (contract, points 12 and 15)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import checkpoint as checkpoints
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

import topolayer as tl

from ..helpers.regularized import Net, energy, gradients, samples

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("seeded"),
    pytest.mark.filterwarnings("ignore:.torch.jit.* is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.torch.jit.* is deprecated:FutureWarning"),
]


def fake(net: nn.Module) -> None:
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with mode:
        net(mode.from_tensor(samples(3)))


def counted(net: nn.Module) -> None:
    with FlopCounterMode(display=False):
        net(samples(3)).sum().backward()
    net.zero_grad()


TRACERS: dict[str, Callable[[nn.Module], object]] = {
    "jit.trace": lambda net: torch.jit.trace(net, samples(3), check_trace=False),
    "export": lambda net: torch.export.export(net, (samples(3),), strict=False),
    "make_fx": lambda net: make_fx(net)(samples(3)),
    "make_fx before dispatch": lambda net: make_fx(net, pre_dispatch=True)(samples(3)),
    "make_fx of sizes": lambda net: make_fx(net, tracing_mode="symbolic", _allow_non_fake_inputs=True)(samples(3)),
    "symbolic_trace": torch.fx.symbolic_trace,
    "fake tensors": fake,
    "FlopCounterMode": counted,
}


@pytest.mark.parametrize("tracer", TRACERS)
def test_a_tracer_leaves_no_records(net: Net, tracer: str) -> None:
    with tl.Regularizer(net, {"enc": energy, "dec": energy}) as regularizer:
        net(samples(5))
        TRACERS[tracer](net)
        recorded = regularizer()
        net(samples(5))
        torch.testing.assert_close(recorded, regularizer())
        TRACERS[tracer](net)
        with pytest.raises(RuntimeError, match=r"nothing was recorded.*Under a tracer or FlopCounterMode"):
            regularizer()


def test_the_check_of_jit_trace_is_a_plain_forward_and_the_message_says_so(net: Net) -> None:
    with tl.Regularizer(net, {"enc": energy}) as regularizer:
        torch.jit.trace(net, samples(3))
        with pytest.raises(RuntimeError, match=r"does not require grad.*check_trace=False"):
            regularizer()


# -- what is no tracer


def keep_some(context: object, operator: object, *args: object, **options: object) -> object:
    keep = operator == torch.ops.aten.addmm.default
    policy = checkpoints.CheckpointPolicy
    return policy.MUST_SAVE if keep else policy.PREFER_RECOMPUTE


class Selective(nn.Module):
    """Selective activation checkpointing, which is a dispatch mode, as some tracers are."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        contexts = partial(checkpoints.create_selective_checkpoint_contexts, keep_some)
        return checkpoint(self.net, x, use_reentrant=False, context_fn=contexts)


class Counting(torch.utils._python_dispatch.TorchDispatchMode):
    """A dispatch mode of somebody else, such as for a log."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        return function(*args, **(kwargs or {}))


@pytest.mark.skipif(not hasattr(checkpoints, "CheckpointPolicy"), reason="needs torch 2.5 or later")
def test_selective_checkpointing_is_recorded_once(net: Net) -> None:
    model, x = Selective(net), samples(5)
    by_hand = net(x).sum() + energy(net.enc(x)).mean() + energy(net.dec(net.enc(x))).mean()
    with tl.Regularizer(model, {"net.enc": energy, "net.dec": energy}) as regularizer:
        loss = model(x).sum() + regularizer()
        torch.testing.assert_close(loss, by_hand)
        torch.testing.assert_close(gradients(net, loss), gradients(net, by_hand))
        with pytest.raises(RuntimeError, match="nothing was recorded"):
            regularizer()


@pytest.mark.parametrize(
    "mode", [Counting, ModuleTracker, torch.autograd.graph.save_on_cpu, torch.autograd.detect_anomaly]
)
@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled:UserWarning")
def test_other_modes_are_recorded(net: Net, mode: Callable[[], torch.autograd.graph.save_on_cpu]) -> None:
    with tl.Regularizer(net, {"enc": energy}) as regularizer:
        with mode():
            net(samples(5))
        torch.testing.assert_close(regularizer(), energy(net.enc(samples(5))).mean())
