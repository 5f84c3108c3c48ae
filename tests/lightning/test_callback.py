"""The callback of Lightning: the steps are those of a loop by hand, and the model is left as it was."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import topolayer as tl

from ..helpers.bad_inputs import Bad
from ..helpers.regularized import Net, energy, samples, shapes

pytest.importorskip("lightning", reason="needs the extra `lightning`")

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from topolayer import lightning
from topolayer.lightning import RegularizerCallback

# Advice about workers, logging intervals and launchers, and what Lightning calls that torch deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:lightning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

X = samples(12)
WEIGHT = 0.3


class Fitted(LightningModule):
    """A small model with the mean square of what it returns as the loss."""

    def __init__(self, returned: Callable[[Tensor], Any] = lambda loss: loss) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.net = Net()
        self.returned = returned

    def training_step(self, batch: list[Tensor]) -> Any:
        return self.returned(self.net(batch[0]).float().square().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(
    callback: Callback | list[Callback], model: Any = None, batch: int = 3, path: Any = None, **options: Any
) -> Fitted:
    model = Fitted() if model is None else model
    options = {"max_epochs": 1, "logger": False, "enable_checkpointing": False, "accelerator": "cpu"} | options
    trainer = Trainer(callbacks=callback, enable_progress_bar=False, enable_model_summary=False, **options)
    trainer.fit(model, DataLoader(TensorDataset(X), batch_size=batch), ckpt_path=path)
    return model


def by_hand(*, batch: int = 3, every: int = 1, accumulate: int = 1, autocast: bool = False) -> Fitted:
    model = Fitted()
    optimizer = model.configure_optimizers()
    with tl.Regularizer(model, {"net.dec": energy}, every=every) as regularizer:
        for number, x in enumerate(X.split(batch), start=1):
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                loss = model.training_step([x]) + WEIGHT * regularizer()
            (loss / accumulate).backward()
            if number % accumulate == 0:
                optimizer.step()
                optimizer.zero_grad()
    return model


def assert_same(model: nn.Module, expected: nn.Module) -> None:
    for parameter, other in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(parameter, other)


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("autocast", [False, True])
def test_steps_are_those_of_a_loop_by_hand(every: int, accumulate: int, autocast: bool) -> None:
    callback = RegularizerCallback({"net.dec": energy}, weight=WEIGHT, every=every)
    precision = "bf16-mixed" if autocast else "32-true"
    model = fit(callback, accumulate_grad_batches=accumulate, precision=precision)
    assert_same(model, by_hand(every=every, accumulate=accumulate, autocast=autocast))
    with pytest.raises(AssertionError):
        assert_same(model, fit([], accumulate_grad_batches=accumulate, precision=precision))


def test_the_loss_in_float16_is_scaled_with_the_penalty() -> None:
    """The optimizer sees the gradient of the sum, whatever the scale: here with a scaler on the CPU."""
    from lightning.pytorch.plugins import MixedPrecision

    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    plugin = MixedPrecision("bf16-mixed", "cpu")
    plugin.scaler = scaler
    callback = RegularizerCallback({"net.dec": energy}, weight=WEIGHT)
    assert_same(fit(callback, plugins=plugin), by_hand(autocast=True))


@pytest.mark.timeout(300)
def test_processes_average_the_gradients() -> None:
    """Two of them take a half each, in any order, and the step is that of the whole."""
    callback = RegularizerCallback({"net.dec": energy}, weight=WEIGHT)
    assert_same(fit(callback, batch=6, strategy="ddp_fork", devices=2), by_hand(batch=12))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # the compiler's own access
@pytest.mark.parametrize("kind", ["dict", "compiled"])
def test_kinds_of_steps(kind: str) -> None:
    callback = RegularizerCallback({"net.dec": energy}, weight=WEIGHT)
    model: Any = Fitted((lambda loss: {"loss": loss, "more": 1}) if kind == "dict" else (lambda loss: loss))
    fit(callback, torch.compile(model, backend="eager") if kind == "compiled" else model)
    assert_same(model, by_hand())


def test_a_step_without_a_loss_is_skipped() -> None:
    seen: list[tuple[int, ...]] = []
    model = fit(RegularizerCallback({"net.dec": shapes(seen)}, weight=WEIGHT), Fitted(lambda loss: None))
    assert not seen
    assert_same(model, Fitted())


def test_the_weight_is_asked_in_every_batch_and_zero_costs_nothing() -> None:
    seen: list[tuple[int, ...]] = []
    logged: list[dict[str, float]] = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
            logged.append({name: value.item() for name, value in trainer.callback_metrics.items()})

    callback = RegularizerCallback(
        {"net.dec": shapes(seen)}, weight=lambda trainer: max(0, trainer.global_step - 1) / 8
    )
    fit([callback, Watch()])
    assert [step["penalty_weight"] for step in logged] == [0, 0, 0.125, 0.25]
    assert len(seen) == 2  # of four batches
    assert "penalty/net.dec" not in logged[1]
    assert logged[3]["penalty/net.dec"] != logged[2]["penalty/net.dec"] > 0


def test_a_resumed_training_goes_on_counting(tmp_path: Path) -> None:
    """With every=3 and four batches in an epoch, the second batch of the second epoch is due."""

    def run(epochs: int, path: Path | None, seen: list[tuple[int, ...]]) -> Fitted:
        callback = RegularizerCallback({"net.dec": shapes(seen)}, weight=WEIGHT, every=3)
        options = {"max_epochs": epochs, "enable_checkpointing": True, "default_root_dir": tmp_path}
        return fit(callback, path=path, **options)

    first: list[tuple[int, ...]] = []
    second: list[tuple[int, ...]] = []
    run(1, None, first)
    (checkpoint,) = tmp_path.rglob("*.ckpt")
    resumed = run(2, checkpoint, second)
    assert (len(first), len(second)) == (2, 1)
    assert_same(resumed, run(2, None, []))


class Failing(Callback):
    def on_train_batch_end(self, *args: Any) -> None:
        raise OSError("of a disk")


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails: bool) -> None:
    model = Fitted()
    callback = RegularizerCallback({"net.dec": energy}, weight=WEIGHT, every=3)
    if fails:
        with pytest.raises(OSError, match="of a disk"):
            fit([callback, Failing()], model)
    else:
        fit(callback, model)
    assert "training_step" not in vars(model)
    assert not model.net.dec._forward_hooks
    assert callback.state_dict() == {"step": 1 if fails else 4}
    fit(callback, model)  # and takes the next training
    assert callback.state_dict() == {"step": 5 if fails else 8}


# -- pictures


def diagram(h: Tensor) -> tl.Barcode:
    assert len(h) == 1
    return tl.persistence(tl.Freudenthal(h.float(), ndim=1))


@pytest.mark.parametrize("precision", ["32-true", "bf16-true"])
def test_diagrams_go_to_tensorboard(tmp_path: Path, precision: Any) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(tmp_path)
    callback = RegularizerCallback({"net.dec": energy}, weight=WEIGHT, diagram=diagram)
    model = Fitted()
    batches = DataLoader(TensorDataset(X.bfloat16() if precision == "bf16-true" else X), batch_size=3)
    trainer = Trainer(
        callbacks=callback, logger=logger, precision=precision, max_epochs=2, log_every_n_steps=1, accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(model, batches)
    events = EventAccumulator(logger.log_dir).Reload()
    assert [event.step for event in events.Images("penalty/net.dec")] == [4, 8]
    assert len(events.Scalars("penalty/net.dec")) == 8


def test_a_logger_without_figures_is_said_once(tmp_path: Path) -> None:
    callback = RegularizerCallback({"net.dec": energy}, weight=WEIGHT, diagram=diagram)
    with pytest.warns(UserWarning, match="takes figures") as said:
        fit(callback, logger=CSVLogger(tmp_path), max_epochs=2)
    assert len([warning for warning in said if "takes figures" in str(warning.message)]) == 1
    fit(RegularizerCallback({"net.dec": energy}, weight=WEIGHT), logger=CSVLogger(tmp_path))


def test_what_fails_in_a_diagram_is_of_which_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = CSVLogger(tmp_path)
    monkeypatch.setattr(type(logger.experiment), "add_figure", print, raising=False)
    with pytest.raises(TypeError, match="barcode") as raised:
        fit(RegularizerCallback({"net.dec": energy}, weight=1, diagram=lambda h: h), logger=logger)
    assert "layer 'net.dec'" in raised.value.__notes__[-1]


# -- bad input

T, V = TypeError, ValueError


def made(penalties: Any = None, weight: Any = 1.0, **options: Any) -> RegularizerCallback:
    return RegularizerCallback({"net.dec": energy} if penalties is None else penalties, weight=weight, **options)


def manual() -> Fitted:
    model = Fitted()
    model.automatic_optimization = False
    return model


BAD = [
    Bad("", lambda: made([energy]), T, "penalties", "a dict", "list", "such as"),
    Bad("", lambda: made({}), V, "penalties", "at least one", "none", "such as"),
    Bad("", lambda: made({"net.dec": 3}), T, "penalties", "a function", "3", "a pair is"),
    Bad("", lambda: made({"": energy}), V, "penalties", "inside of", "''", "such as 'net'"),
    Bad("", lambda: made(every=0), V, "every", ">= 1", "0", "every step"),
    Bad("", lambda: made(weight="1"), T, "weight", "a finite number", "'1'", ".item()"),
    Bad("", lambda: made(weight=-1), V, "weight", ">= 0", "-1", "a sign belongs"),
    Bad("", lambda: made(weight=float("nan")), V, "weight", "finite", "nan", "0 is"),
    Bad("", lambda: made(diagram=True), T, "diagram", "a function", "True", "None"),
    Bad("", lambda: fit(made({"decoder": energy})), V, "penalties", "no layer 'decoder'", "nearest", "named_modules"),
    Bad("", lambda: fit(made(weight=lambda trainer: None)), T, "weight", "a finite number", "None", ".item()"),
    Bad("", lambda: fit(made(), manual()), V, "pl_module", "automatic", "a Fitted", "manual_backward"),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"{bad.argument}-{bad.came}")
def test_a_message_has_its_four_parts(bad: Bad) -> None:
    with pytest.raises(bad.error) as raised:
        bad.call()
    argument, _, rest = str(raised.value).partition(": ")
    assert argument == bad.argument
    for part in (bad.expected, bad.came, bad.remedy):
        assert part in rest


def test_public_names() -> None:
    assert lightning.__all__ == ["RegularizerCallback"]


# -- documentation


@pytest.fixture
def page() -> Iterator[str]:
    text = (Path(__file__).parents[2] / "docs/tutorials/pipelines.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?RegularizerCallback.*?)^```$", text, re.MULTILINE | re.DOTALL)
    yield block


def test_the_example_of_the_page_runs(page: str, tmp_path: Path) -> None:
    network = nn.Sequential()
    network.add_module("encoder", nn.Conv2d(1, 4, 3))
    network.add_module("decoder", nn.Conv2d(4, 4, 3))
    network.add_module("head", nn.Conv2d(4, 1, 5, padding=4))
    pairs = TensorDataset(*torch.rand(2, 8, 1, 16, 16).unbind())
    script = tmp_path / "script.py"
    names = {"net": network, "pairs": pairs}
    torch.save(names, tmp_path / "names.pt")
    head = "import torch\nglobals().update(torch.load('names.pt', weights_only=False))\n"
    script.write_text(head + page, encoding="utf-8")
    subprocess.run([sys.executable, script.name], cwd=tmp_path, check=True)
    assert list(tmp_path.rglob("events.out.*"))
