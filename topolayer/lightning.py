"""The penalties of a `Regularizer` in a training with Lightning (the extra `lightning`), as a callback."""

from __future__ import annotations

import functools
import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from topolayer._barcodes.barcode import Barcode
from topolayer._layers.regularizer import Penalty, Regularizer, Select, check_penalties

if find_spec("lightning") is None:
    raise ImportError('topolayer.lightning needs lightning: pip install "topolayer[lightning]"')

from topolayer.metrics.torchvision import import_torchvision as _import_torchvision

_import_torchvision()  # which torchmetrics imports, and lightning imports that

from lightning.pytorch import Callback, LightningModule, Trainer  # noqa: E402  (torchvision has to be importable)

__all__ = ["RegularizerCallback"]


class RegularizerCallback(Callback):
    """Adds penalties on the activations of named layers to the loss that `training_step` returns.

    While `fit` runs, a `Regularizer` is attached to the model, and the model's `training_step` returns the loss plus
    the weighted penalty. What Lightning does with a loss it does with the sum: scaling in mixed precision, the division
    by `accumulate_grad_batches`, the averages over processes. Afterwards the model is as it was. What `training_step`
    itself logs is the loss without the penalty.

    The penalty of each layer is logged as `penalty/NAME`, as of the last step that had one, and the weight as
    `penalty_weight`. In several processes these are the numbers of the first.

    Args:
        penalties: what to apply to which layer, as in `Regularizer`. Names are those of the LightningModule, such as
            "net.decoder".
        weight: a number >= 0, or a function of the trainer that returns one. It is asked in every batch. In batches of
            weight 0 no penalty is computed, and `every` does not count them.
        every: penalize every n-th batch only.
        diagram: a function of the activation of one sample, shape (1, ...), that returns its barcode. At the end of an
            epoch it gets the last one of each layer, and loggers whose `experiment` has `add_figure`, such as
            TensorBoard's, get the picture. None draws none.

    Raises:
        TypeError, ValueError: an argument is of another type or out of its range, at once; at the start of `fit`, an
            unknown layer, or a model that has no automatic optimization.
        ImportError: `diagram` was given, and matplotlib is missing.

    Example:
        >>> import torch, topolayer as tl
        >>> from topolayer.lightning import RegularizerCallback
        >>> callback = RegularizerCallback(
        ...     {"net.decoder": tl.few_maxima},
        ...     weight=lambda trainer: 1e-3 * min(1, trainer.current_epoch / 5),
        ...     diagram=lambda h: tl.persistence(tl.Freudenthal(tl.channel_norm(h), superlevel=True)),
        ... )
        >>> callback.state_dict()
        {'step': 0}
    """

    def __init__(
        self,
        penalties: Mapping[str, Penalty | tuple[Select, Penalty]],
        *,
        weight: float | Callable[[Trainer], float],
        every: int = 1,
        diagram: Callable[[Tensor], Barcode] | None = None,
    ) -> None:
        check_penalties(penalties, every)
        if "" in penalties:
            raise ValueError(
                "penalties: expected layers inside of the LightningModule, got '', the module itself, which Lightning "
                "also runs for the whole training step; name the layer that returns the tensor, such as 'net'"
            )
        if not callable(weight):
            weight = _number(weight)
        if diagram is not None:
            if not callable(diagram):
                raise TypeError(
                    f"diagram: expected a function from an activation to its barcode, got {diagram!r}; None draws none"
                )
            import topolayer.plot  # noqa: F401  (says at once that matplotlib is missing)
        self._penalties, self._weight, self._every, self._diagram = dict(penalties), weight, every, diagram
        self._regularizer: Regularizer | None = None
        self._steps = {"step": 0}
        self._seen: dict[str, Tensor] = {}
        self._detach: Callable[[], None] = _nothing

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Attaches the regularizer: the model is set up, and converted and wrapped if it has to be.

        Args:
            trainer, pl_module: Lightning passes them.

        Raises:
            TypeError, ValueError: as the class says of the start of `fit`.
        """
        if not pl_module.automatic_optimization:
            raise ValueError(
                f"pl_module: expected automatic optimization, got a {type(pl_module).__name__} with "
                "automatic_optimization=False, whose training_step returns no loss to add to; create a "
                "topolayer.Regularizer in its on_fit_start, and add the penalty before manual_backward"
            )
        if self._diagram is not None and trainer.is_global_zero and not any(_drawing(trainer)):
            warnings.warn("none of the trainer's loggers takes figures (add_figure): no diagram is drawn", stacklevel=2)
        penalties = self._penalties
        if self._diagram is not None:
            penalties = {name: self._keeping(name, penalty) for name, penalty in penalties.items()}
        regularizer = Regularizer(pl_module, penalties, every=self._every)
        regularizer.load_state_dict(self._steps)
        step = pl_module.training_step

        @functools.wraps(step)
        def training_step(*args: Any, **kwargs: Any) -> Any:
            output = step(*args, **kwargs)
            # Something else may have wrapped this one, and still call it after the fit.
            return output if self._regularizer is None else self._add(trainer, pl_module, regularizer, output)

        # By its parameters Lightning decides what to pass. It looks through one wrapper, and torch.compile is another.
        training_step.__wrapped__ = inspect.unwrap(step)
        # torch.compile sets one on the module too, in front of that of its class.
        before = {name: value for name, value in vars(pl_module).items() if name == "training_step"}

        def detach() -> None:
            self._steps = regularizer.state_dict()
            self._regularizer, self._detach = None, _nothing
            self._seen.clear()
            regularizer.remove()
            if vars(pl_module).get("training_step") is training_step:
                del vars(pl_module)["training_step"]
                vars(pl_module).update(before)

        vars(pl_module)["training_step"] = training_step
        self._regularizer, self._detach = regularizer, detach

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws the diagrams.

        Args:
            trainer, pl_module: Lightning passes them.
        """
        if self._diagram is not None and trainer.is_global_zero:
            for name, activation in self._seen.items():
                for add_figure in _drawing(trainer):
                    add_figure(f"penalty/{name}", _picture(name, self._diagram, activation), trainer.global_step)
        self._seen.clear()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leaves the model as it was.

        Args:
            trainer, pl_module, exception: Lightning passes them.
        """
        self._detach()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leaves the model as it was.

        Args:
            trainer, pl_module, stage: Lightning passes them.
        """
        self._detach()

    def state_dict(self) -> dict[str, Any]:
        """How many penalties there were, for Lightning's checkpoints: with `every=n` they say which batch is due."""
        return dict(self._steps) if self._regularizer is None else self._regularizer.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on counting.

        Args:
            state_dict: what `state_dict` returned.
        """
        self._steps = dict(state_dict)
        if self._regularizer is not None:  # some strategies restore after the start of the fit
            self._regularizer.load_state_dict(self._steps)

    def _add(self, trainer: Trainer, pl_module: LightningModule, regularizer: Regularizer, output: Any) -> Any:
        """The output of a training step, with the penalty in the loss."""
        loss = output.get("loss") if isinstance(output, Mapping) else output
        if not isinstance(loss, Tensor):
            regularizer.clear()
            return output  # None skips the batch; Lightning refuses the rest
        weight = _number(self._weight(trainer)) if callable(self._weight) else self._weight
        pl_module.log("penalty_weight", weight)
        if weight == 0:
            regularizer.clear()
            return output
        total = loss + weight * regularizer().to(loss.device)
        for name, value in regularizer.last.items():
            pl_module.log(f"penalty/{name}", value)
        return {**output, "loss": total} if isinstance(output, Mapping) else total

    def _keeping(self, name: str, penalty: Any) -> Any:
        """The penalty of a layer, which also keeps the activation of one sample."""
        select, of_activation = penalty if isinstance(penalty, tuple) else (None, penalty)

        @functools.wraps(of_activation)
        def keeping(h: Tensor) -> Tensor:
            if len(h):
                self._seen[name] = h.detach()[:1].clone()  # the rest of the batch is not kept
            value: Tensor = of_activation(h)
            return value

        return keeping if select is None else (select, keeping)


def _nothing() -> None:
    pass


def _number(weight: object) -> float:
    words = "weight: expected a finite number >= 0, or a function of the trainer that returns one, got"
    if not isinstance(weight, Real) or isinstance(weight, bool):
        raise TypeError(f"{words} {weight!r}; a tensor becomes a number with .item()")
    number = float(weight)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{words} {weight}; 0 is a batch without penalties, and a sign belongs into the penalty")
    return number


def _drawing(trainer: Trainer) -> Iterator[Callable[..., object]]:
    """How to add a figure, for each logger that takes them."""
    for logger in trainer.loggers:
        add_figure = getattr(getattr(logger, "experiment", None), "add_figure", None)
        if add_figure is not None:
            yield add_figure


@torch.no_grad()
def _picture(name: str, diagram: Callable[[Tensor], Barcode], activation: Tensor) -> Any:
    from matplotlib.figure import Figure

    from topolayer import plot

    figure = Figure(figsize=(4, 4), layout="constrained")
    try:
        plot.diagram(diagram(activation), sample=0, ax=figure.add_subplot())
    except Exception as error:
        error.add_note(f"in the diagram of layer {name!r}, of an activation of shape {tuple(activation.shape)}")
        raise
    return figure
