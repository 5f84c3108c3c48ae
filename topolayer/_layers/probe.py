"""Which layer to regularize: a table of all layers of a model whose activations are grids."""

from __future__ import annotations

import inspect
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from topolayer._barcodes.persistence import persistence
from topolayer._checks import check_integer, check_number, dense
from topolayer._filtrations import Freudenthal
from topolayer._layers.batches import check_several, explain, hint, images_of, paired
from topolayer._layers.layouts import LAYOUT_REMEDY, Layouts
from topolayer._layers.magnitude import channel_norm, few_maxima
from topolayer._layers.outputs import as_found, bare_model, named_layers, outputs
from topolayer._layers.rehearsal import Rehearsal, rehearse
from topolayer._layers.table import Cell, LayerTable

ToGrid = Callable[[Tensor], Tensor]
Grids = ToGrid | Callable[[Tensor, str], Tensor]

# The share of masks that have no more components than the recommended k: a few shattered masks do not raise it.
_SHARE_OF_MASKS = 0.95

# A difference between correlations that is not worth a more expensive layer.
_NO_MATTER = 0.05


def probe(
    model: nn.Module,
    batches: Iterable[object],
    masks: Iterable[Tensor] | None = None,
    *,
    layers: Iterable[str] | None = None,
    grids: Grids | None = None,
    prominence: float = 0.25,
    repeats: int = 5,
) -> LayerTable:
    """Lists the topology of all layers of a model in a table: where a penalty is cheap, and where it agrees with masks.

    Each layer is described by the superlevel bars, in dimension 0, of its channel norms, as `few_maxima` sees them.
    A bar is *prominent* if it is longer than `prominence` times the range, maximum less minimum, of its image; the
    component that never dies counts as ending at the minimum. So neither the scale nor the offset of a magnitude
    changes it. On photographs of people correlations were the same for a `prominence` of 0.05 to 0.3 and fell beyond,
    while higher values brought the counts closer to those of the masks; hence 0.25.

    With masks, layers are ranked by how well the number of prominent bars follows the number of components of the
    true mask, against the cost of the penalty:

    * k is the smallest number that at least 95 % of the masks do not exceed, so that the penalty spares the true
      components.
    * A layer is eligible if it can be trained (its parameters and those before it are not all frozen), if it has more
      than k maxima in at least half of the images (the penalty would be zero elsewhere), and if its correlation is
      higher than the best of that many unrelated layers would reach by chance, √(2 ln layers / (images - 1)).
    * The layers about as good as the best come first, ordered by cost; then the others, ordered by correlation. The
      first one is recommended. "About as good" is within 0.05 of the best correlation r, or within its standard error,
      (1 - r²) / √(images - 1), if that is more. The cost of a layer is that of the fastest timed run of all layers of
      its shape, because other work of the machine can only add to it.

    Use masks of images that results are *not* reported on. A few dozen images with different numbers of components are
    needed. With fewer images, or an untrained model, the ranking is chance.

    The model runs uncompiled, in ``eval()`` and without gradients. Its mode, its hooks, its gradients and PyTorch's
    random state (of the CPU, and of the GPUs that the model is on) are left as they were, even if something fails. All
    activations of one batch are held in memory. One forward pass of a *copy* of the model on the first batch, in
    ``train()`` and with gradients, shows what `Regularizer` would meet in a training step: which layers are frozen,
    return no tensor, or have their activation changed in place.

    Args:
        model: any model, bare or wrapped by ``DistributedDataParallel`` or ``torch.compile``.
        batches: what the model takes, batch first, on its device: a tuple holds positional arguments, a mapping
            keyword arguments, anything else is the only argument.
        masks: for each batch a tensor (B, H, W) or (B, 1, H, W), for volumes (B, 1, D, H, W), of bool or of zeros and
            ones; any resolution. Components are those of the Freudenthal triangulation.
        layers: names of the layers in the table; None is all.
        grids: a function that turns every activation into (B, C, H, W) or (B, C, D, H, W). It takes the activation, or
            the activation and the name of its layer, because one model may mix several layouts. For token sequences see
            `tokens_to_grid`; ``h.movedim(-1, 1)`` moves channels that come last. The penalty given to `Regularizer`
            must do the same.

            An activation that `grids` returns as it is may be skipped because it does not look like a grid: if its
            proportions are not those of the images, if a `Linear` or `LayerNorm` returns its shape (channels last), or
            if it is heads or weights of attention. A new tensor, even ``h[:]``, is always taken for a grid.
        prominence: the share of the range beyond which a bar is prominent, 0 <= prominence < 1.
        repeats: how often the penalty is timed, after one run that is not timed.

    Returns:
        The table. Rows are for layers that return *one tensor* that is a grid of floating-point numbers with the
        images on its first axis, which is what `Regularizer` and `few_maxima` take. If a layer returns a tuple or dict,
        look at the layers inside it. A tensor that several layers return, such as a block and its last layer, gets the
        outermost name that `Regularizer` can take in training. `skipped` has all other layers, and why.

    Raises:
        TypeError, ValueError: an argument of the wrong kind; no batch, or one that the model fails on and that looks
            like (x, y) or like a single image; no layer that is a grid; not as many masks as batches, or as images;
            masks with other numbers than zero and one.

    Example:
        >>> import torch, topolayer as tl
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 1, 3))
        >>> table = tl.probe(model, [torch.rand(8, 1, 24, 32)])
        >>> [(row["layer"], row["resolution"], row["channels"]) for row in table.rows]
        [('0', '22x30', 4), ('1', '22x30', 4), ('2', '20x28', 1)]
    """
    _check(batches, masks, grids, prominence, repeats)
    bare = bare_model(model)
    seen = _Seen(named_layers(bare, layers), grids, prominence, repeats)
    with torch.inference_mode(False), torch.no_grad(), as_found(bare):
        for batch, mask in paired(batches, masks):
            seen.add(bare, batch, mask)
    return seen.table()


@dataclass
class _Seen:
    """What is known about all layers so far."""

    named: Mapping[str, nn.Module]
    grids: Grids | None
    prominence: float
    repeats: int
    layers: dict[str, _Layer] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    components: list[Tensor] = field(default_factory=list)
    images: int = 0
    first: int = 0  # images of the first batch
    rehearsal: Rehearsal = field(default_factory=Rehearsal)
    remedy: str = ""

    def add(self, model: nn.Module, batch: object, mask: Tensor | None) -> None:
        if mask is not None:
            self.components.append(_components(mask))
        size = images_of(batch, mask)
        if not size:
            return
        if not self.images:
            self.rehearsal = rehearse(model, batch, self.named)
            self.problems |= self.rehearsal.refused
            self.remedy = hint(batch) if isinstance(batch, Tensor) else ""
        layouts = Layouts(batch, mask)
        try:
            with layouts.watching(model):
                left = {name: layer for name, layer in self.named.items() if name not in self.problems}
                activations, problems = outputs(model, batch, left)
        except (TypeError, ValueError, RuntimeError, AttributeError) as error:
            explain(batch, error)
            raise
        self.problems |= problems
        for name, runs in activations.items():
            try:
                self._add_layer(name, runs, size, layouts)
            except (TypeError, ValueError) as error:
                self.problems[name] = str(error)
        self.images += size
        self.first = self.first or size

    def _add_layer(self, name: str, runs: list[Tensor], size: int, layouts: Layouts) -> None:
        to_grid = _of_layer(self.grids, name)
        layer = self.layers.setdefault(name, _Layer())
        layer.add([_grid(h, size, to_grid, layouts) for h in runs], self.prominence)
        if not self.images:
            times = [_milliseconds(h, to_grid, self.repeats) for h in runs]
            layer.milliseconds = sum(map(statistics.median, times))
            layer.fastest = sum(map(min, times))

    def table(self) -> LayerTable:
        if not self.images:
            raise ValueError(
                "batches: expected at least one batch with an image in it, got none; is it an empty iterator?"
            )
        for name in self.named:
            seen = self.layers[name].images if name in self.layers else 0
            if name not in self.problems and seen != self.images:
                self.problems[name] = f"it ran on {seen} of {self.images} images" if seen else "it did not run"
            elif name not in self.problems and self.rehearsal.ran is not None and name not in self.rehearsal.ran:
                self.problems[name] = "it does not run in train()"
        found = {name: layer for name, layer in self.layers.items() if name not in self.problems}
        if not found:
            reasons = "; ".join(f"{name!r}: {problem}" for name, problem in list(self.problems.items())[:5])
            raise ValueError(
                "model: expected a layer whose activation is a grid (B, C, H, W) or (B, C, D, H, W), got none "
                f"({reasons}); for tokens (B, N, C) pass a function as grids, see topolayer.tokens_to_grid"
                + (f"; {self.remedy}" if self.remedy else "")
            )
        frozen = self.rehearsal.frozen
        rows = tuple(layer.row(name, "frozen" if name in frozen else None) for name, layer in found.items())
        counts = {name: torch.cat(layer.prominent) for name, layer in found.items()}
        table = LayerTable(rows, self.problems, self.images, self.first, self.prominence, counts)
        return _ranked(table, found, torch.cat(self.components)) if self.components else table


@dataclass
class _Layer:
    """What is known about a layer so far: for every batch (images,) numbers, means over the runs of the layer."""

    runs: int = 0
    shape: tuple[int, ...] = ()
    milliseconds: float = 0.0
    fastest: float = 0.0
    maxima: list[Tensor] = field(default_factory=list)
    prominent: list[Tensor] = field(default_factory=list)
    persistence: list[Tensor] = field(default_factory=list)

    def add(self, grids: list[Tensor], prominence: float) -> None:
        """The activations of one batch, one for each run."""
        largest = max(grids, key=lambda h: h.shape[2:].numel())
        self.shape = max(self.shape, tuple(largest.shape[1:]), key=lambda shape: math.prod(shape[1:]) * bool(shape))
        self.runs = max(self.runs, len(grids))
        maxima, prominent, persistence = torch.stack([_bars(channel_norm(h), prominence) for h in grids]).mean(dim=0)
        self.maxima.append(maxima)
        self.prominent.append(prominent)
        self.persistence.append(persistence)

    @property
    def images(self) -> int:
        return sum(map(len, self.maxima))

    def row(self, name: str, why_not: str | None) -> dict[str, Cell]:
        return {
            "layer": name,
            "runs": self.runs,
            "resolution": "x".join(map(str, self.shape[1:])),
            "channels": self.shape[0],
            "maxima": float(torch.cat(self.maxima).mean()),
            "prominent": float(torch.cat(self.prominent).mean()),
            "persistence": float(torch.cat(self.persistence).mean()),
            "milliseconds": self.milliseconds,
            "correlation": None,
            "off_by": None,
            "rank": None,
            "why_not": why_not,
        }


def _needed(grids: Callable[..., Tensor]) -> int:
    """How many arguments a function requires."""
    try:
        parameters = inspect.signature(grids).parameters.values()
    except ValueError:  # written in C, with no signature
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.default is p.empty and p.kind in positional for p in parameters)


def _of_layer(grids: Callable[..., Tensor] | None, name: str) -> ToGrid | None:
    """`grids` as a function of the activation alone, with the name of its layer filled in."""
    if grids is None or _needed(grids) < 2:
        return grids
    return lambda h: grids(h, name)


def _grid(activation: Tensor, images: int, to_grid: ToGrid | None, layouts: Layouts) -> Tensor:
    """The grid for `few_maxima`, or an error that says why there is none."""
    h = activation if to_grid is None else to_grid(activation)
    if not isinstance(h, Tensor):
        raise TypeError(f"grids returns a {type(h).__name__}, not a tensor")
    if h.ndim not in (4, 5) or 0 in h.shape[1:]:
        raise ValueError(f"shape {tuple(h.shape)} is not a grid of channels, (B, C, H, W) or (B, C, D, H, W)")
    if len(h) != images:
        raise ValueError(f"the first axis of shape {tuple(h.shape)} is not that of the {images} images of the batch")
    problem = layouts.problem(h) if h is activation else None
    if problem is not None:
        raise ValueError(f"{problem}; {LAYOUT_REMEDY}")
    return h


def _bars(magnitude: Tensor, prominence: float) -> Tensor:
    """(3, images) float64 on the CPU: how many maxima, how many prominent ones, and total persistence."""
    barcode = persistence(Freudenthal(magnitude, ndim=magnitude.ndim - 1, superlevel=True))
    pixels = magnitude.flatten(1)
    extent = pixels.amax(dim=1) - pixels.amin(dim=1)
    maxima = 1 + barcode.sum(torch.ones_like(barcode.dims))
    prominent = (extent > 0) + barcode.sum(barcode.lengths > prominence * extent[barcode.sample])
    return torch.stack([numbers.cpu().double() for numbers in (maxima, prominent, barcode.sum(barcode.lengths))])


def _milliseconds(activation: Tensor, grids: ToGrid | None, repeats: int) -> list[float]:
    """Times of the penalty and its gradient."""
    times = []
    with torch.enable_grad():
        leaf = activation.detach().clone().requires_grad_()
        for _ in range(1 + repeats):
            start = time.perf_counter()
            penalty = few_maxima(leaf if grids is None else grids(leaf)).sum()
            (gradient,) = torch.autograd.grad(penalty, leaf)
            gradient[(0,) * gradient.ndim].item()  # waits for the device
            times.append(1e3 * (time.perf_counter() - start))
    return times[1:]


def _components(mask: Tensor) -> Tensor:
    """(images,) float64: how many components each mask has."""
    mask = dense("masks", mask)
    if mask.ndim not in (3, 4, 5) or (mask.ndim > 3 and mask.shape[1] != 1) or 0 in mask.shape[1:]:
        raise ValueError(
            f"masks: expected shape (B, H, W), (B, 1, H, W) or (B, 1, D, H, W), got {tuple(mask.shape)}; of several "
            "classes choose one"
        )
    values = mask.detach().squeeze(1) if mask.ndim > 3 else mask.detach()
    if not bool(((values == 0) | (values == 1)).all()):
        raise ValueError(
            f"masks: expected bool, or zeros and ones, got other numbers, such as {float(values.max()):g}; mask > 0.5 "
            "makes a mask of probabilities, mask > 127 of shades of grey, mask == c the mask of one class"
        )
    barcode = persistence(Freudenthal(values.float(), ndim=values.ndim - 1, superlevel=True))
    # A component of the foreground is born at 1. The bar of an image without foreground is born at 0.
    return (barcode.sum(barcode.births) + barcode.essential.sum(barcode.essential.births)).cpu().double()


# -- the recommendation


def _ranked(table: LayerTable, found: Mapping[str, _Layer], components: Tensor) -> LayerTable:
    """The table with correlations, ranks and a recommendation."""
    k = max(1, int(components.sort().values[math.ceil(_SHARE_OF_MASKS * len(components)) - 1]))
    correlations = {name: _spearman(table.counts[name], components) for name in found}
    why_not = {str(row["layer"]): row["why_not"] for row in table.rows}
    for name, layer in found.items():
        if (torch.cat(layer.maxima) > k).double().mean() < 0.5:
            why_not[name] = why_not[name] or "few maxima"
        elif math.isnan(correlations[name]):
            why_not[name] = why_not[name] or "constant"
    compared = [name for name in found if why_not[name] is None]
    chance = min(1.0, math.sqrt(2 * math.log(max(len(compared), 2)) / max(len(components) - 1, 1)))
    why_not |= {name: "chance" for name in compared if correlations[name] <= chance}
    order = _order({name: correlations[name] for name in compared if why_not[name] is None}, found, len(components))
    ranks = {name: rank for rank, name in enumerate(order, 1)}
    rows = []
    for name, row in zip(found, table.rows, strict=True):
        off_by = float((table.counts[name] - components).abs().mean())
        agreement = {"correlation": correlations[name], "off_by": off_by}
        rows.append(row | agreement | {"rank": ranks.get(name), "why_not": why_not[name]})
    table = replace(table, rows=tuple(rows), components=components, chance=chance)
    return replace(table, layer=order[0], k=k) if order else table


def _order(correlations: dict[str, float], found: Mapping[str, _Layer], images: int) -> list[str]:
    """Those about as good as the best by cost, then the others by correlation."""
    best = max(correlations.values(), default=0.0)
    enough = best - max(_NO_MATTER, (1 - best**2) / math.sqrt(max(images - 1, 1)))
    cost: dict[tuple[object, ...], float] = {}  # layers of one shape cost the same, whatever the clock says
    for layer in found.values():
        shape = layer.runs, *layer.shape
        cost[shape] = min(cost.get(shape, math.inf), layer.fastest)

    def place(name: str) -> tuple[bool, float, float]:
        poorer = correlations[name] < enough
        return poorer, 0.0 if poorer else cost[found[name].runs, *found[name].shape], -correlations[name]

    return sorted(correlations, key=place)


def _spearman(first: Tensor, second: Tensor) -> float:
    """Rank correlation; NaN if either is constant."""

    def centred_ranks(numbers: Tensor) -> Tensor:
        _, group, size = torch.unique(numbers, return_inverse=True, return_counts=True)
        ranks: Tensor = (size.cumsum(0) - (size - 1) / 2).double()[group]  # equal numbers get their mean rank
        return ranks - ranks.mean()

    a, b = centred_ranks(first), centred_ranks(second)
    scale = a.norm() * b.norm()
    return float((a @ b / scale).clamp(-1, 1)) if scale > 0 else math.nan


# -- arguments


def _check(batches: object, masks: object, grids: object, prominence: object, repeats: object) -> None:
    check_several("batches", batches, axes=3)
    if masks is not None:
        check_several("masks", masks, axes=2)
    if grids is not None and not callable(grids):
        raise TypeError(
            f"grids: expected a function, got {type(grids).__name__}; such as lambda h, name: h.movedim(-1, 1)"
        )
    if callable(grids) and _needed(grids) > 2:
        raise TypeError(
            "grids: expected a function of an activation, or of it and the name of its layer, got one that needs "
            f"{_needed(grids)} arguments; give the others by functools.partial"
        )
    share = check_number("prominence", prominence, infinite=True, remedy="0.25 is usual")
    if not 0 <= share < 1:
        raise ValueError(
            f"prominence: expected a share of the range, >= 0 and < 1, got {share}; divide a percentage by 100"
        )
    check_integer("repeats", repeats, least=1, remedy="the penalty must be timed once")
