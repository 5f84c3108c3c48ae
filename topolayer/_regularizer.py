"""Penalties on the activations of named layers: forward hooks, and nothing that knows of topology."""

from __future__ import annotations

import difflib
import functools
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Self

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo  # the public torch.compiler.disable loads the compiler at once

from topolayer._models import find_layer, layer_names, unwrapped, version_of
from topolayer._transforms import requires_grad_tells

Penalty = Callable[[Tensor], Tensor]

_MANY = 100  # recorded activations of a layer at which forgotten calls become likely
_SUCH_AS = "such as {'decoder.dec4': topolayer.few_maxima}"


class Regularizer:
    """Adds up penalties on the activations of named layers of a model.

    Forward hooks record what the layers return. A call applies the penalties to the records and forgets them; it
    returns the sum over layers of the mean over *all* samples recorded since the last call.

    * **Steps.** A call ends a step: the forwards between two calls belong to the later one. With ``every=n`` the first
      step is due, then every n-th; the others record nothing, cost nothing and return zero.
    * **Gradient accumulation.** For the mean over ``m`` batches of equal size, call once per batch and divide by ``m``
      as for the loss (each batch is then a step), or call once after ``m`` forwards.
    * **Recorded** are the forwards of a model in training mode (its own flag, not the layer's: a frozen batch norm
      counts), each time a layer runs, but not inside a backward pass (recomputation by activation checkpointing).
      A call that fails drops the records and leaves the step due. After a step that failed before its call, drop
      them with :meth:`clear`.
    * **The penalties run** in the call, under its autocast and grad mode. Under ``DistributedDataParallel`` each
      process penalizes its own samples, and the gradients are averaged as those of the loss are. Add the two before
      the backward pass.
    * **Compiled models.** A hook breaks the graph behind its layer, so ``fullgraph=True`` is out. Code compiled
      earlier would not see the hooks, so creating a regularizer discards all compiled code of the process; it is
      compiled again when called. Create the regularizer once, before the training loop.
    * **Copies** of the model (``deepcopy``, ``pickle``) made meanwhile have inert hooks and no records.

    Args:
        model: the model, bare or wrapped by ``DistributedDataParallel``, ``torch.compile`` or both.
        penalties: what to apply to which layer. Names are those of ``model.named_modules()``, where the ``module.``
            and ``_orig_mod.`` of wrappers may be left out; ``""`` is the model itself. A penalty is any differentiable
            function of an activation, batch first, to one number per sample: ``(B, ...) -> (B,)``.
        every: penalize every n-th step only.

    Raises:
        TypeError: an argument of the wrong kind; later, a layer or a penalty that returns no tensor.
        ValueError: no penalties, an unknown layer (the nearest names are listed), ``every`` below 1; in the call, a
            penalty that does not return one floating-point number per sample.
        RuntimeError: in the call, a layer without records, an activation that was changed in place or, while
            gradients are enabled, does not require grad; any use after :meth:`remove`.

    Example:
        >>> import torch
        >>> import topolayer as tl
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 1, 3))
        >>> def energy(h):
        ...     return h.square().flatten(1).sum(1)
        >>> with tl.Regularizer(model, {"0": tl.few_maxima, "2": energy}) as regularizer:
        ...     loss = model(torch.rand(2, 1, 16, 16)).mean() + 1e-3 * regularizer()
        ...     loss.backward()
        >>> sorted(regularizer.last)
        ['0', '2']
    """

    def __init__(self, model: nn.Module, penalties: Mapping[str, Penalty], *, every: int = 1) -> None:
        layers = _check(model, penalties, every)
        self._model = unwrapped(model)
        self._penalties = dict(penalties)
        self._every = every
        self._step = 0
        self._last: dict[str, Tensor] = {}
        self.clear()
        # Dynamo compiles the absence of hooks in and does not look again: what was compiled before would run past
        # the hooks. (torch.compiler.reset() would do too, but it also switches compiled autograd off, for one.)
        dynamo = sys.modules.get("torch._dynamo")
        if dynamo is not None:
            dynamo.reset_code_caches()
        self._handles = [
            layer.register_forward_hook(functools.partial(self._record, name)) for name, layer in layers.items()
        ]

    @property
    def last(self) -> dict[str, Tensor]:
        """The last penalty of each layer, a detached 0-d tensor, for logging. Skipped steps do not change it."""
        return {name: mean.clone() for name, mean in self._last.items()}  # the clone is not wrapped by torch.func

    @_disable_dynamo  # also in a training step that is compiled as a whole: a penalty may do what cannot be traced
    def __call__(self) -> Tensor:
        """The sum over layers of the mean penalty of all recorded samples, a 0-d tensor. Clears the records.

        A penalty that is not finite is passed through, so that a gradient scaler can skip the step.

        Raises:
            TypeError, ValueError, RuntimeError: as the class says of the call.
        """
        self._check_attached()
        if self._step % self._every:
            self._step += 1
            zero = torch.zeros_like(next(iter(self._last.values())))  # never empty: the first step was due
            # So that backward() works in every step.
            return zero.requires_grad_(torch.is_grad_enabled()) if requires_grad_tells() else zero
        records = self._records
        self.clear()
        missing = [name for name, record in records.items() if not record]
        if missing:
            raise RuntimeError(
                f"nothing was recorded since the last call from layer {', '.join(map(repr, missing))}. Was the model "
                "in eval()? Only model.train() records. Was it run, and the layer in it, as layer(x), not .forward(x)?"
            )
        means = {name: _mean(name, self._penalties[name], record) for name, record in records.items()}
        self._step += 1
        self._last = {name: mean.detach() for name, mean in means.items()}
        device = next(iter(means.values())).device  # the layers may live on several
        return torch.stack([mean.to(device) for mean in means.values()]).sum()

    def clear(self) -> None:
        """Forgets what was recorded since the last call, such as by a step that failed before its call."""
        self._records: dict[str, list[tuple[Tensor, int]]] = {name: [] for name in self._penalties}

    def remove(self) -> None:
        """Takes the hooks off the model and forgets the records. The end of the ``with`` block does so too."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self.clear()

    def __enter__(self) -> Self:
        self._check_attached()
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def __getstate__(self) -> dict[str, object]:
        """The hooks of a copied model hold a copy of the regularizer. It is a removed one, so they do nothing."""
        return {"_handles": [], "_penalties": {}, "_records": {}, "_last": {}}

    def _check_attached(self) -> None:
        if not self._handles:
            raise RuntimeError(
                "this regularizer was removed from its model, by remove() or the end of its `with` block: "
                "create a new one"
            )

    @_disable_dynamo  # traced, the conditions below would become constants
    def _record(self, name: str, layer: nn.Module, args: object, output: object) -> None:
        if not self._handles or not self._model.training or self._step % self._every:
            return
        if torch._C._current_graph_task_id() != -1:  # inside a backward pass, for whatever reason
            return
        if not isinstance(output, Tensor):
            raise TypeError(
                f"layer {name!r} must return one tensor to be penalized, not a {type(output).__name__}: name a layer "
                "inside it, or send the tensor you mean through an nn.Identity and name that"
            )
        self._records[name].append((output, version_of(output)))
        if len(self._records[name]) == _MANY:
            warnings.warn(
                f"layer {name!r} ran {_MANY} times since the regularizer was last called. Each activation is kept with "
                "its graph until the next call: call the regularizer in every step, or drop the records with clear()",
                stacklevel=2,
            )


def _mean(name: str, penalty: Penalty, record: list[tuple[Tensor, int]]) -> Tensor:
    """The mean of one layer's penalty over the samples of all its recorded activations."""
    values: list[Tensor] = []
    training = torch.is_grad_enabled() and requires_grad_tells()
    for activation, version in record:
        shape = tuple(activation.shape)
        if training and not activation.requires_grad:
            raise RuntimeError(
                f"the activation of layer {name!r} does not require grad: its penalty would train nothing. Activation "
                "checkpointing? Pass use_reentrant=False. A forward under no_grad? Drop its records with clear(). "
                "Everything frozen up to this layer? Name a later one. To measure only, call under no_grad."
            )
        if version_of(activation) != version:
            raise RuntimeError(
                f"the activation of layer {name!r} was changed in place after the layer returned it. Name the layer "
                "that changes it, or let that one work out of place (ReLU(inplace=False), x = x + y for x += y)."
            )
        try:
            value = penalty(activation)
        except Exception as error:
            error.add_note(f"in the penalty of layer {name!r}, on an activation of shape {shape}")
            raise
        if not isinstance(value, Tensor):
            raise TypeError(f"the penalty of layer {name!r} must return a tensor, not a {type(value).__name__}")
        if value.ndim != 1 or value.shape != activation.shape[:1] or not value.is_floating_point():
            raise ValueError(
                f"the penalty of layer {name!r} must return one floating-point number per sample, shape "
                f"{shape[:1]} for an activation of shape {shape}, not {value.dtype} of shape {tuple(value.shape)}"
            )
        if training and not value.requires_grad:
            raise RuntimeError(
                f"the penalty of layer {name!r} does not require grad: it would train nothing. Is there a detach(), "
                ".item() or NumPy in it? To measure only, call under no_grad."
            )
        values.append(value.to(values[0].device) if values else value)
    samples = torch.cat(values)
    dtype = torch.promote_types(samples.dtype, torch.float32)
    return samples.mean(dtype=dtype) if len(samples) else samples.sum(dtype=dtype)  # of no samples: 0, not NaN


def _check(model: object, penalties: object, every: object) -> dict[str, nn.Module]:
    """Refuses bad arguments, and finds the layers."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    if not isinstance(penalties, Mapping):
        raise TypeError(
            f"penalties: expected a dict from layer names to functions, {_SUCH_AS}, got {type(penalties).__name__}"
        )
    if not penalties:
        raise ValueError(f"penalties: expected at least one layer, {_SUCH_AS}, got none")
    if not isinstance(every, int) or isinstance(every, bool):
        raise TypeError(f"every: expected an int >= 1, got {every!r}")
    if every < 1:
        raise ValueError(f"every: expected an int >= 1, got {every}")
    layers: dict[str, nn.Module] = {}
    for name, penalty in penalties.items():
        if not isinstance(name, str):
            raise TypeError(f"penalties: expected the name of a layer, a str, got {name!r}")
        if not callable(penalty):
            raise TypeError(f"penalties: expected a function for layer {name!r}, got {penalty!r}")
        layer = find_layer(model, name)
        if layer is None:
            nearest = ", ".join(map(repr, difflib.get_close_matches(name, layer_names(model), n=5, cutoff=0.0)))
            raise ValueError(
                f"penalties: the model has no layer {name!r}; the nearest names are {nearest or 'none'}, and "
                "model.named_modules() has all of them"
            )
        layers[name] = layer
    return layers
