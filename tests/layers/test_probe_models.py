"""The table of layers of any model: which layers it has, what it takes, and the model as it was before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import topolayer as tl

from ..helpers.probed import Function, Net, Shows, blobs, peaks, row
from ..helpers.problems import OLD_COMPILER


@pytest.fixture(autouse=True)
def _seeded(seeded: None) -> None:
    """Weights and images are the same in each test."""


def test_rows_and_what_is_left_out() -> None:
    table = tl.probe(Net(), [torch.rand(2, 1, 8, 8)])
    assert [found["layer"] for found in table.rows] == ["enc.0", "enc", "dec.0", "dec", ""]
    assert set(table.skipped) == {"enc.1", "enc.2", "drop", "dec.1", "flat"}
    assert "in place" in table.skipped["enc.1"]
    assert "that of 'enc'" in table.skipped["enc.2"] and "that of 'enc'" in table.skipped["drop"]
    assert "(2, 128) is not a grid" in table.skipped["flat"]


class Shared(nn.Module):
    """One layer that runs three times, at two sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(1)
        self.last = self.pool

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": self.last(self.pool(self.pool(x * 1) * 1)[..., :1, :3] * 0)}


def test_a_layer_that_runs_several_times() -> None:
    """Means over its runs, the shape of the largest, one row for its two names; the model returns a dict."""
    table = tl.probe(Shared(), [peaks(4, 0.25, 3, 1)])
    (found,) = table.rows
    assert (found["layer"], found["runs"], found["resolution"]) == ("pool", 3, "3x9")
    assert (found["maxima"], found["prominent"]) == ((4 + 4 + 1) / 3, (2 + 2 + 0) / 3)
    assert "returns dict" in table.skipped[""]
    assert "runs" in str(table)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: (x, x), "returns tuple"),
        (lambda x: [x], "returns list"),
        (lambda x: None, "returns NoneType"),
        (lambda x: x.flatten(2), r"\(2, 1, 64\) is not a grid"),
        (lambda x: x[:, :, :0], r"\(2, 1, 0, 8\) is not a grid"),
        (lambda x: x.repeat(3, 1, 1, 1), "not that of the 2 images"),
        (lambda x: x / 0, "NaN or infinite"),
        (lambda x: x.long(), "floating-point"),
        (lambda x: x + 1j, "floating-point"),
    ],
)
def test_what_is_no_grid_is_named(function: Callable[[Tensor], Any], reason: str) -> None:
    model = Shows(odd=function, grid=lambda x: x + 1)
    table = tl.probe(model, [torch.rand(2, 1, 8, 8)])
    assert [found["layer"] for found in table.rows] == ["grid"]
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(table.skipped["odd"])
    with pytest.raises(ValueError, match=rf"model: expected a layer .* {reason}"):
        tl.probe(model, [torch.rand(2, 1, 8, 8)], layers=["odd"])


def test_layers_that_run_now_and_then() -> None:
    class Fickle(Shows):
        def forward(self, x: Tensor) -> None:
            self.always(x)
            if len(x) == 2:
                self.sometimes(x)

    model = Fickle(always=lambda x: x + 1, sometimes=lambda x: x + 2, never=lambda x: x)
    table = tl.probe(model, [torch.rand(2, 1, 4, 4), torch.rand(3, 1, 4, 4)])
    assert [found["layer"] for found in table.rows] == ["always"]
    assert table.skipped["sometimes"] == "it ran on 2 of 5 images"
    assert table.skipped["never"] == "it did not run"


def test_chosen_layers() -> None:
    table = tl.probe(Net(), [torch.rand(2, 1, 8, 8)], layers=["dec", "enc.2"])
    assert [found["layer"] for found in table.rows] == ["enc.2", "dec"] and not table.skipped


# -- inputs


class Keyword(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sum = Function(lambda x: x)

    def forward(self, t: Tensor, x: Tensor | list[Tensor], *, scale: float = 1.0) -> Tensor:
        return self.sum((torch.stack(x) if isinstance(x, list) else x) * scale)


@pytest.mark.parametrize(
    "batch",
    [(torch.tensor(0), torch.rand(2, 1, 4, 4)), {"t": torch.tensor(0), "x": torch.rand(2, 1, 4, 4), "scale": 2.0}],
    ids=["tuple", "mapping"],
)
def test_positional_and_keyword_arguments(batch: Any) -> None:
    table = tl.probe(Keyword(), iter([batch, batch]), iter([blobs(1, 2), blobs(3, 1)]))
    assert [found["layer"] for found in table.rows] == ["sum"] and table.images == 4


def test_a_list_is_one_argument() -> None:
    images = [torch.rand(1, 4, 4) for _ in range(3)]
    assert tl.probe(Shows(stack=torch.stack), [images]).images == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_precisions(dtype: torch.dtype) -> None:
    """A square of 300 is infinite in float16."""
    found = row(tl.probe(Shows(layer=lambda x: 100 * x), [peaks(4, 0.25, 3, 1).to(dtype)]), "layer")
    assert (found["prominent"], found["maxima"], found["persistence"]) == (2, 4, 425)


def test_under_autocast_and_in_inference_mode() -> None:
    model, x = Net(), torch.rand(2, 1, 8, 8)
    plain = tl.probe(model, [x])
    with torch.inference_mode():
        assert [found["maxima"] for found in tl.probe(model, [x * 1]).rows] == [f["maxima"] for f in plain.rows]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert len(tl.probe(model, [x]).rows) == len(plain.rows)


def compiled_whole(model: Net) -> nn.Module:
    return torch.compile(model, backend="eager")


def compiled_inside(model: Net) -> nn.Module:
    model.enc = torch.compile(model.enc, backend="eager")
    return model


def compiled_in_place(model: Net) -> nn.Module:
    model.compile(backend="eager")
    return model


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("compiled", [compiled_whole, compiled_inside, compiled_in_place])
@pytest.mark.parametrize("called_before", [False, True])
def test_compiled_models(compiled: Callable[[Net], nn.Module], called_before: bool) -> None:
    if compiled is not compiled_whole and OLD_COMPILER:
        pytest.skip("torch 2.4 fails at a hook in what it compiles")
    x = torch.rand(2, 1, 8, 8)
    model = compiled(Net())
    if called_before:
        model.eval()(x)
    assert [found["layer"] for found in tl.probe(model, [x]).rows] == ["enc.0", "enc", "dec.0", "dec", ""]
    torch.compiler.reset()


# -- the model as it was


def state_of(model: nn.Module) -> dict[str, Any]:
    return {
        "modes": [layer.training for layer in model.modules()],
        "hooks": [len(layer._forward_hooks) for layer in model.modules()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "tensors": [t.clone() for t in model.state_dict().values()],
        "random": torch.get_rng_state(),
        "grad_enabled": torch.is_grad_enabled(),
    }


def noisy(x: Tensor) -> Tensor:
    return x + torch.rand_like(x)


def drawing(x: Tensor) -> Iterator[Tensor]:
    yield noisy(x)
    yield x


def failing(x: Tensor) -> Iterator[Tensor]:
    yield x
    torch.rand(3)
    raise OSError("no more images")


@pytest.mark.parametrize(
    ("batches", "masks", "error"),
    [
        (lambda x: [x, x], None, None),
        (drawing, [blobs(1, 2), blobs(3, 1)], None),
        (failing, None, OSError),
        (lambda x: [x, x[:, :, :, 0]], None, (RuntimeError, ValueError)),
        (lambda x: [x, x], [blobs(1, 2)], ValueError),
        (lambda x: [x, x], [blobs(1, 2), 7 * blobs(1, 2)], ValueError),
        (lambda x: [x, x], [blobs(1, 2), blobs(1, 2, 3)], ValueError),
    ],
)
def test_everything_is_left_as_it_was(batches: Any, masks: Any, error: Any) -> None:
    model = nn.Sequential(Net(), Function(noisy))
    x = torch.rand(2, 1, 8, 8)
    model(x).sum().backward()
    model[0].enc[1].eval()  # type: ignore[index]
    model[0].enc[0].weight.requires_grad_(False)  # type: ignore[index]
    before = state_of(model)
    if error is None:
        tl.probe(model, batches(x), masks)
    else:
        with pytest.raises(error):
            tl.probe(model, batches(x), masks)
    torch.testing.assert_close(state_of(model), before, rtol=0, atol=0)


def test_a_regularizer_sees_nothing_of_it() -> None:
    model, x = Net(), torch.rand(2, 1, 8, 8)
    with tl.Regularizer(model, {"dec": tl.few_maxima}) as regularizer:
        model(x)
        tl.probe(model, [torch.rand(3, 1, 8, 8)])
        alone = tl.few_maxima(model.dec(model.enc(x)))
        model(x)
        assert regularizer().shape == alone.sum().shape
        assert [len(h) for h, _ in regularizer._records["dec"]] == []
