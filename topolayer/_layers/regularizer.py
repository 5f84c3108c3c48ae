"""Penalties on the activations of named layers, by forward hooks. Nothing here depends on topology."""

from __future__ import annotations

import difflib
import functools
import warnings
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral
from typing import Any, Self

import torch
from torch import Tensor, nn

from topolayer._layers.names import check_module, find_layer, layer_names, runs, unwrapped
from topolayer._tracing import (
    children,
    is_backward,
    is_traced,
    requires_grad_tells,
    untraced,
    version_of,
    watch_hooks,
    without_functions,
)

Penalty = Callable[[Tensor], Tensor]
Select = Callable[[Any], Tensor]

_MANY = 100  # recorded activations of a layer at which forgotten calls become likely
_SUCH_AS = "such as {'decoder.dec4': topolayer.few_maxima}"


class Regularizer:
    """Adds up penalties on the activations of named layers of a model.

    Forward hooks record what the layers return. A call applies the penalties to the records and then drops the records.
    It returns the sum over the layers of the mean over *all* samples recorded since the last call.

    * **Steps.** A call ends a step: the forward passes between two calls belong to the later call. With ``every=n`` the
      first step is due, and then every n-th one. The other steps record nothing, cost nothing and return zero. Calls
      are counted, not steps of the optimizer.
    * **Gradient accumulation.** For the mean over ``m`` batches of equal size, call once per batch and divide by ``m``
      as for the loss (each batch is then a step), or call once after ``m`` forward passes.
    * **Records.** A layer is recorded each time it runs while the model is in training mode. (The flag of the model
      decides, not that of the layer, so a frozen batch norm is recorded.) Nothing is recorded inside a backward pass
      (recomputation by activation checkpointing), under a tracer (``torch.export``, ``torch.jit.trace`` and others) or
      under ``FlopCounterMode``. A call that fails drops the records and leaves the step due. If a step fails before its
      call, drop the records with :meth:`clear`.
    * **The penalties run** in the call, under its autocast and grad mode. Under ``DistributedDataParallel`` each
      process penalizes its own samples, and the gradients are averaged like those of the loss. Add the loss and the
      penalty before the backward pass.
    * **Compiled models.** A hook breaks the graph after its layer, so ``fullgraph=True`` is not possible. Code compiled
      earlier would not see the hooks, so creating a regularizer discards all compiled code of the process; it is
      compiled again when called. Create the regularizer once, before the training loop. Until it is removed,
      ``torch._dynamo.config.skip_nnmodule_hook_guards`` is False.
    * **Copies** of the model (``deepcopy``, ``pickle``) made meanwhile have inert hooks and no records. Conversion to
      ``SyncBatchNorm``, quantization and adapters replace layers, so they have to come first.

    Args:
        model: the model, bare or wrapped by ``DistributedDataParallel``, FSDP, ``torch.compile``, Lightning Fabric or
            several of them.
        penalties: a penalty for each layer, by name. Names are those of ``model.named_modules()``; the ``module.``,
            ``_orig_mod.`` and so on of wrappers may be left out, and ``""`` is the model itself. A penalty is any
            differentiable function from an activation, batch first, to one number per sample: ``(B, ...) -> (B,)``. If
            a layer does not return a tensor, give a pair ``(select, penalty)``, where ``select`` takes what the layer
            returns and picks the tensor.
        every: penalize only every n-th step.

    Raises:
        TypeError: an argument of the wrong kind; later, a layer, ``select`` or a penalty that returns no tensor.
        ValueError: no penalties, an unknown layer (the nearest names are listed), a layer that never runs or is
            scripted, ``every`` below 1; in the call, a penalty that does not return one floating-point number per
            sample.
        RuntimeError: in the call, a layer without records or that was replaced, an activation that was changed in
            place or, while gradients are enabled, does not require grad; any use after :meth:`remove` or of a copy.

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

    def __init__(
        self, model: nn.Module, penalties: Mapping[str, Penalty | tuple[Select, Penalty]], *, every: int = 1
    ) -> None:
        model = check_module(model)
        check_penalties(penalties, every)
        layers = _find_layers(model, penalties)
        self._model = unwrapped(model)
        self._penalties = {name: _pair(penalty) for name, penalty in penalties.items()}
        self._every = every
        self._step = 0
        self._last: dict[str, Tensor] = {}
        self.clear()
        self._undo = [watch_hooks(self)]
        self._hooks = {name: functools.partial(self._record, name) for name in layers}
        self._undo += [layer.register_forward_hook(self._hooks[name]).remove for name, layer in layers.items()]

    @property
    def last(self) -> dict[str, Tensor]:
        """The last penalty of each layer, a detached 0-d tensor, for logging. Skipped steps do not change it."""
        return {name: mean.clone() for name, mean in self._last.items()}  # the clone is not wrapped by torch.func

    @untraced  # also in a training step that is compiled as a whole: a penalty may do what cannot be traced
    def __call__(self) -> Tensor:
        """The sum over layers of the mean penalty of all recorded samples, a 0-d tensor. Clears the records.

        A penalty that is not finite is passed through, so that a gradient scaler can skip the step.

        Raises:
            TypeError, ValueError, RuntimeError: as the class says of the call.
        """
        self._check_attached()
        if self._step % self._every:
            self._step += 1
            zero = self._zero()
            # So that backward() works in every step.
            return zero.requires_grad_(torch.is_grad_enabled()) if requires_grad_tells() else zero
        records = self._records
        self.clear()
        self._check_not_replaced()
        missing = [name for name, record in records.items() if not record]
        if missing:
            raise RuntimeError(
                f"nothing was recorded from layer {', '.join(map(repr, missing))} since the last call."
                + ("" if self._model.training else " The model is in eval(): only model.train() records.")
                + "".join(map(self._hint, missing))
                + " Run the model in training mode before each call. It has to call the layer as layer(x), not as "
                "layer.forward(x). Under a tracer or FlopCounterMode nothing is recorded."
            )
        means = {name: _mean(name, self._penalties[name][1], record) for name, record in records.items()}
        self._step += 1
        self._last = {name: mean.detach() for name, mean in means.items()}
        device = next(iter(means.values())).device  # the layers may live on several
        return torch.stack([mean.to(device) for mean in means.values()]).sum()

    def clear(self) -> None:
        """Drops what was recorded since the last call, for instance by a step that failed before its call."""
        self._records: dict[str, list[tuple[Tensor, int]]] = {name: [] for name in self._penalties}

    def remove(self) -> None:
        """Takes the hooks off the model and drops the records. The end of the ``with`` block does so too."""
        for undo in self._undo:
            undo()
        self._undo = []
        self.clear()

    def state_dict(self) -> dict[str, int]:
        """The number of steps so far, for resuming a training: with ``every=n`` it says which steps are due."""
        return {"step": self._step}

    def load_state_dict(self, state_dict: Mapping[str, int]) -> None:
        """Continues to count steps from there.

        Args:
            state_dict: what :meth:`state_dict` returned.

        Raises:
            ValueError: it is something else.
        """
        step = state_dict.get("step") if isinstance(state_dict, Mapping) else None
        if not isinstance(step, Integral) or isinstance(step, bool) or step < 0:
            raise ValueError(
                "state_dict: expected what Regularizer.state_dict() returned, such as {'step': 12}, "
                f"got {state_dict!r}"
            )
        self._step = int(step)
        self.clear()  # the records belong to a step that no longer counts

    def __enter__(self) -> Self:
        self._check_attached()
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def __repr__(self) -> str:
        penalties = ", ".join(f"{name!r}: {_name(penalty)}" for name, (_, penalty) in self._penalties.items())
        recorded = sum(map(len, self._records.values()))
        state = f"step {self._step}, {recorded} activations recorded" if self._undo else "removed"
        return f"<Regularizer {{{penalties}}}, every={self._every}: {state}>"

    def __getstate__(self) -> dict[str, object]:
        """The hooks of a copied model hold a copy of the regularizer. It is a removed one, so they do nothing."""
        inert: dict[str, object] = {"_undo": [], "_penalties": {}, "_records": {}, "_last": {}}
        return inert | {"_step": self._step, "_every": self._every}

    def _check_attached(self) -> None:
        if not self._undo:
            raise RuntimeError(
                "this regularizer was removed from its model, by remove() or the end of its `with` block, or it is a "
                "copy, as of a model that was pickled for another process: create a new one, there (in Lightning, in "
                "on_fit_start(), not in __init__)"
            )

    def _check_not_replaced(self) -> None:
        for name, hook in self._hooks.items():
            layer = find_layer(self._model, name)
            if layer is None or not any(hook is other for other in layer._forward_hooks.values()):
                raise RuntimeError(
                    f"layer {name!r} was replaced or removed after the regularizer was created. Conversion to "
                    "SyncBatchNorm, quantization and adapters replace layers: create the regularizer after that"
                )

    def _hint(self, name: str) -> str:
        layer = find_layer(self._model, name)
        if not isinstance(layer, nn.Sequential) or not len(layer):
            parameters = [] if layer is None else list(layer.parameters())
            frozen = parameters and not any(parameter.requires_grad for parameter in parameters)
            return f" {name!r} is frozen: if it need not run, name a later one, which is trained." if frozen else ""
        last = f"{name}.{list(children(layer))[-1]}".removeprefix(".")
        return (
            f" {name!r} is a Sequential: where its children are run one by one (checkpoint_sequential, timm's "
            f"set_grad_checkpointing), name its last one, {last!r}."
        )

    def _zero(self) -> Tensor:
        """Like the other results; before there is one, when a training was resumed, like the model."""
        if self._last:
            return torch.zeros_like(next(iter(self._last.values())))
        floats = (parameter for parameter in self._model.parameters() if parameter.is_floating_point())
        like = next(floats, torch.zeros(()))
        return torch.zeros((), dtype=torch.promote_types(like.dtype, torch.float32), device=like.device)

    @untraced  # traced, the conditions below would become constants
    def _record(self, name: str, layer: nn.Module, args: object, output: object) -> None:
        if not self._undo or not self._model.training or self._step % self._every:
            return
        if is_backward():
            return
        if is_traced():
            return
        activation = without_functions(_picked(name, self._penalties[name][0], output))
        self._records[name].append((activation, version_of(activation)))
        if len(self._records[name]) == _MANY:
            warnings.warn(
                f"layer {name!r} ran {_MANY} times since the regularizer was last called. Each activation is kept with "
                "its graph until the next call: call the regularizer in every step, or drop the records with clear()",
                stacklevel=2,
            )


def _picked(name: str, select: Select | None, output: object) -> Tensor:
    """The tensor to be penalized, of all that a layer has returned."""
    if select is None:
        if not isinstance(output, Tensor):
            picks = f"lambda output: output[{next(iter(output), 0) if isinstance(output, Mapping) else 0!r}]"
            raise TypeError(
                f"layer {name!r} must return one tensor to be penalized, not a {type(output).__name__}: give a pair of "
                f"functions, the first of which picks the tensor, such as {{{name!r}: ({picks}, "
                "topolayer.few_maxima)}, or name a layer inside it"
            )
        return output
    try:
        picked = select(output)
    except Exception as error:
        error.add_note(f"in the function that picks a tensor from the {type(output).__name__} of layer {name!r}")
        raise
    if not isinstance(picked, Tensor):
        raise TypeError(
            f"the function that picks a tensor from the output of layer {name!r} must return one, "
            f"not a {type(picked).__name__}"
        )
    return picked


def _mean(name: str, penalty: Penalty, record: list[tuple[Tensor, int]]) -> Tensor:
    """The mean of one layer's penalty over the samples of all its recorded activations."""
    values: list[Tensor] = []
    training = torch.is_grad_enabled() and requires_grad_tells()
    for activation, version in record:
        shape = tuple(activation.shape)
        if training and not activation.requires_grad:
            raise RuntimeError(
                f"the activation of layer {name!r} does not require grad: its penalty would train nothing. Everything "
                "frozen up to this layer? Name a later one. Activation checkpointing? Pass use_reentrant=False. A "
                "forward under no_grad? Drop its records with clear(). torch.jit.trace? "
                "Its check is a plain forward: pass check_trace=False. To measure only, call under no_grad."
            )
        if version_of(activation) != version:
            raise RuntimeError(
                f"the activation of layer {name!r} was changed in place after the layer returned it. Name the layer "
                "that changes it, or make that layer work out of place (ReLU(inplace=False), x = x + y for x += y)."
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


def check_penalties(penalties: object, every: object) -> None:
    """Refuses what no model could take."""
    if not isinstance(penalties, Mapping):
        raise TypeError(
            f"penalties: expected a dict from layer names to functions, {_SUCH_AS}, got {type(penalties).__name__}"
        )
    if not penalties:
        raise ValueError(f"penalties: expected at least one layer, {_SUCH_AS}, got none")
    if not isinstance(every, Integral) or isinstance(every, bool):
        raise TypeError(f"every: expected an int >= 1, got {every!r}")
    if every < 1:
        raise ValueError(f"every: expected an int >= 1, got {every}; 1 penalizes every step")
    for name, penalty in penalties.items():
        if not isinstance(name, str):
            raise TypeError(f"penalties: expected the name of a layer, a str, got {name!r}")
        if not all(map(callable, penalty if isinstance(penalty, tuple) and len(penalty) == 2 else [penalty])):
            raise TypeError(
                f"penalties: expected a function for layer {name!r}, got {_shown(penalty)}; pass the function itself, "
                "such as topolayer.few_maxima, without calling it; a pair is (select, penalty), two functions"
            )


def _shown(thing: object) -> str:
    """What came: a tensor without its numbers."""
    return f"a tensor of shape {tuple(thing.shape)}" if isinstance(thing, Tensor) else repr(thing)


def _find_layers(model: nn.Module, names: Iterable[str]) -> dict[str, nn.Module]:
    """The layers of these names. Refuses those that a model has not, or could not run."""
    layers: dict[str, nn.Module] = {}
    for name in names:
        layer = find_layer(model, name)
        if layer is None:
            nearest = ", ".join(map(repr, difflib.get_close_matches(name, layer_names(model), n=5, cutoff=0.0)))
            raise ValueError(
                f"penalties: the model has no layer {name!r}; the nearest names are {nearest or 'none'}, and "
                "model.named_modules() has all of them"
            )
        _check_runs(name, layer, exported=isinstance(unwrapped(model), torch.fx.GraphModule))
        first = next((first for first, other in layers.items() if other is layer), None)
        if first is not None:
            raise ValueError(
                f"penalties: layer {name!r} is layer {first!r} under another name, and would be penalized twice; name "
                "it once, with a function that adds up both penalties if both are meant"
            )
        layers[name] = layer
    return layers


def _check_runs(name: str, layer: nn.Module, *, exported: bool) -> None:
    if isinstance(layer, torch.jit.RecursiveScriptModule):  # type: ignore[attr-defined]
        raise ValueError(
            f"penalties: layer {name!r} is scripted, so it takes no hooks: take the model before torch.jit.script, and "
            "script it after the training"
        )
    if not runs(layer):
        inside = [f"{name}.{child}".removeprefix(".") for child in children(layer)]
        remedy = f"name one of its layers, such as {inside[-1]!r}" if inside else "it holds no layers"
        if exported:
            remedy = "a graph has operations in place of its layers: take the model before torch.export"
        raise ValueError(f"penalties: layer {name!r} is a {type(layer).__name__}, which never runs: {remedy}")


def _pair(penalty: Any) -> tuple[Select | None, Penalty]:
    """Who picks the tensor, and the penalty."""
    return penalty if isinstance(penalty, tuple) else (None, penalty)


def _name(penalty: Penalty) -> str:
    return getattr(penalty, "__name__", repr(penalty))
