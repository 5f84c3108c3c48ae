"""Very many small random grids against the slow reference; `make verify`, no part of `make test`.

    python -m tests.commands.many_grids --grids 100000 --seed 0 --backends native

A round draws a shape, a filtration, a direction and a dtype, and a batch of grids with values of all kinds: ties,
plateaus, zeros of both signs, denormal, huge, neighboring and arbitrary floats; in a quarter of the rounds a mask for
each grid too, with NaN and infinities outside. In dimension 0, in the top one, in
both together, and in volumes in dimension 1 alone and with the others, the bars must be those of
`tests/helpers/reference.py`, the same indices in the same order; the batch, until it is worth several threads, must
have the bars of one thread with any number; and a grid alone those it has in the batch. What disagrees is printed, so
that it can be pasted into a test, and `--only` runs its round again.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import tyro
from rich.progress import track
from torch import Tensor

import topolayer as tl

from ..helpers import reference
from ..helpers.problems import COMPLEXES

log = logging.getLogger(__name__)

PER_ROUND = 50
MANY_THREADS = (2, 5)
WORTH_THREADS = 5 * 2**14  # values; the core starts a thread for every 2**14


@dataclass(frozen=True)
class Config:
    grids: int = 100_000
    """How many grids; rounded up to whole rounds of 50."""
    seed: int = 0
    """Round r of a seed is the same whatever the number of grids."""
    backends: tuple[str, ...] = ("native",)
    """Backends to compare with the reference, in the dimensions that each of them computes."""
    only: int | None = None
    """A single round, by its number: one that failed."""


class Disagreement(AssertionError):
    """A backend and the reference differ. The message says on what, and how to see it again."""


# ---------------------------------------------------------------------------------------------------------------
# What is drawn

Rng = np.random.Generator
Values = np.ndarray


def draw_shape(rng: Rng, kind: str) -> tuple[int, ...]:
    """One to three axes and mostly up to 36 entries; the reference does not get through many of the others."""
    ndim = int(rng.choice((1, 2, 3), p=(0.15, 0.55, 0.3)))
    large = rng.random() < 0.04
    sides, entries = ((40, 8, 4)[ndim - 1], 36) if not large else ((150, 12, 5)[ndim - 1], (150, 120, 64)[ndim - 1])
    while True:
        shape = tuple(int(side) for side in rng.integers(1, sides + 1, ndim))
        if ndim > 1 and rng.random() < 0.1:  # 1xN, Nx1 and the like
            axis = int(rng.integers(ndim))
            shape = (*shape[:axis], 1, *shape[axis + 1 :])
        if math.prod(shape) <= entries:
            return shape


def _levels(rng: Rng, shape: tuple[int, ...], dtype: np.dtype) -> Values:
    return rng.integers(0, rng.integers(2, 6), shape)


def _distinct(rng: Rng, shape: tuple[int, ...], dtype: np.dtype) -> Values:
    return rng.permutation(math.prod(shape)).reshape(shape)


def _plateaus(rng: Rng, shape: tuple[int, ...], dtype: np.dtype) -> Values:
    coarse = rng.integers(0, 4, [side // 2 + 1 for side in shape])
    for axis, side in enumerate(shape):
        coarse = np.repeat(coarse, rng.integers(1, 5, coarse.shape[axis]), axis)
        coarse = coarse.take(np.arange(side) % coarse.shape[axis], axis)
    return coarse


def _ramp(rng: Rng, shape: tuple[int, ...], dtype: np.dtype) -> Values:
    """From one corner to another, with some entries lifted: long ways to few extrema."""
    slopes = rng.integers(-2, 3, len(shape))
    ramp = sum(slope * axis for slope, axis in zip(slopes, np.indices(shape), strict=True))
    return ramp + 3 * (rng.random(shape) < 0.1)


def _zeros(rng: Rng, shape: tuple[int, ...], dtype: np.dtype) -> Values:
    return rng.choice(np.array([-1, -0.0, -0.0, 0.0, 0.0, 1]), shape)


def _denormals(rng: Rng, shape: tuple[int, ...], dtype: np.dtype) -> Values:
    return rng.integers(-3, 4, shape) * np.finfo(dtype).smallest_subnormal * rng.choice(np.array([1, -1]), shape)


def _huge(rng: Rng, shape: tuple[int, ...], dtype: np.dtype) -> Values:
    largest = np.finfo(dtype).max
    return rng.choice(np.array([-1, -0.5, 0, 0.5, 1], dtype) * largest, shape)


def _hairs(rng: Rng, shape: tuple[int, ...], dtype: np.dtype) -> Values:
    return 1 + rng.integers(-3, 4, shape) * np.finfo(dtype).eps


def _any_bits(rng: Rng, shape: tuple[int, ...], dtype: np.dtype) -> Values:
    bits = np.frombuffer(rng.bytes(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)
    return np.where(np.isfinite(bits), bits, dtype.type(0))


def _constant(rng: Rng, shape: tuple[int, ...], dtype: np.dtype) -> Values:
    return np.full(shape, rng.integers(-1, 2))


STYLES: dict[Callable[[Rng, tuple[int, ...], np.dtype], Values], float] = {
    _levels: 0.35,
    _distinct: 0.1,
    _plateaus: 0.12,
    _ramp: 0.1,
    _zeros: 0.08,
    _denormals: 0.06,
    _huge: 0.05,
    _hairs: 0.06,
    _any_bits: 0.07,
    _constant: 0.01,
}


@dataclass(frozen=True)
class Round:
    kind: str  # F, V or T
    superlevel: bool
    values: Tensor  # (PER_ROUND, *shape)
    mask: Tensor | None = None  # of that shape

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape[1:])

    def filtration(self, values: Tensor, mask: Tensor | None) -> tl.Freudenthal | tl.Cubical:
        """The filtration of values like these: one grid, or several batches of all."""
        options = {"ndim": len(self.shape), "superlevel": self.superlevel, "mask": mask}
        if self.kind == "F":
            return tl.Freudenthal(values, **options)
        return tl.Cubical(values, construction=self.kind, **options)


def draw(seed: int, number: int) -> Round:
    rng = np.random.default_rng((seed, number))
    kind = str(rng.choice(list("FVT")))
    shape = draw_shape(rng, kind)
    dtype = np.dtype(rng.choice((np.float32, np.float64)))
    styles = rng.choice(np.arange(len(STYLES)), PER_ROUND, p=list(STYLES.values()))
    grids = [list(STYLES)[style](rng, shape, dtype).astype(dtype) for style in styles]
    superlevel = bool(rng.random() < 0.5)
    values = np.stack(grids)
    if rng.random() >= 0.25:
        return Round(kind, superlevel, torch.from_numpy(values))
    mask = draw_masks(rng, values.shape)
    values = np.where(mask, values, rng.choice(np.array([np.nan, np.inf, -np.inf, 0], dtype), values.shape))
    return Round(kind, superlevel, torch.from_numpy(values), torch.from_numpy(mask))


def draw_masks(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    """One for each grid of a batch, with at least one entry inside: few entries, most of them, or all."""
    grids, entries = shape[0], math.prod(shape[1:])
    mask = rng.random(shape) < rng.random((grids, *[1] * (len(shape) - 1))) * 1.2
    mask.reshape(grids, -1)[np.arange(grids), rng.integers(entries, size=grids)] = True
    return mask


# ---------------------------------------------------------------------------------------------------------------
# What must hold

Bars = tuple[list[list[int]], list[list[int]]]  # (sample, dimension, birth, death), (sample, dimension, birth)


def expected(drawn: Round) -> Bars:
    """The bars of every dimension in the order of Contract 2, by the reference."""
    size = math.prod(drawn.shape)
    finite: list[list[int]] = []
    essential: list[list[int]] = []
    insides = [None] * len(drawn.values) if drawn.mask is None else drawn.mask.flatten(1).tolist()
    for sample, values in enumerate(drawn.values.double().reshape(-1, size).tolist()):
        inside = insides[sample]
        bars = reference.reduce(COMPLEXES[drawn.kind](values, drawn.shape, drawn.superlevel, inside), values)
        if inside is not None:
            values = [
                value if enters else 0.0 for value, enters in zip(values, inside, strict=True)
            ]  # NaN has no place
        place = reference.ranks(values, drawn.superlevel)
        start = sample * size
        by_death = sorted(bars.finite, key=lambda bar: (bar[0], place[bar[2]], place[bar[1]]))
        finite += [[sample, dim, start + birth, start + death] for dim, birth, death in by_death]
        by_birth = sorted(bars.essential, key=lambda bar: (bar[0], place[bar[1]]))
        essential += [[sample, dim, start + birth] for dim, birth in by_birth]
    return finite, essential


def found(barcode: tl.Barcode) -> Bars:
    rows = torch.cat([barcode.sample[:, None], barcode.dims[:, None], barcode.pairs], 1)
    e = barcode.essential
    return rows.tolist(), torch.stack([e.sample, e.dims, e.indices], 1).tolist()


def _some(bars: Bars, *, dims: tuple[int, ...] | None = None, sample: int | None = None) -> Bars:
    def wanted(row: list[int]) -> bool:
        return (dims is None or row[1] in dims) and (sample is None or row[0] == sample)

    return [row for row in bars[0] if wanted(row)], [row for row in bars[1] if wanted(row)]


@dataclass(frozen=True)
class Check:
    """One way to compute a round's bars. A failure says all that is needed to see it again."""

    drawn: Round
    backend: str
    dims: tuple[int, ...]
    threads: int
    again: str

    def bars(self, values: Tensor, mask: Tensor | None) -> tl.Barcode:
        return tl.persistence(self.drawn.filtration(values, mask), self.dims, backend=self.backend)

    def fail(self, what: str, which: int | slice, got: Bars, want: Bars) -> None:
        values = self.drawn.values[which]
        flat = ", ".join(map(repr, values.flatten().tolist())).replace("nan", "math.nan").replace("inf", "math.inf")
        inside = "" if self.drawn.mask is None else f"mask = torch.tensor({self.drawn.mask[which].tolist()})\n"
        raise Disagreement(
            f"{what}: backend {self.backend!r}, {self.drawn.kind} of shape {self.drawn.shape}, "
            f"superlevel={self.drawn.superlevel}, dims={self.dims}, {self.threads} thread(s)\n"
            f"values = torch.tensor([{flat}], dtype={values.dtype}).reshape({tuple(values.shape)})\n{inside}"
            f"got      {got}\nexpected {want}\nagain: {self.again} --backends {self.backend}"
        )

    def against_the_reference(self, truth: Bars) -> None:
        got, want = found(self.bars(self.drawn.values, self.drawn.mask)), _some(truth, dims=self.dims)
        for sample in range(len(self.drawn.values)):
            mine, theirs = _some(got, sample=sample), _some(want, sample=sample)
            if mine != theirs:
                self.fail(f"grid {sample} of its batch", sample, mine, theirs)
        if got != want:
            self.fail("order of samples", slice(None), got, want)

    def alone(self, truth: Bars, sample: int) -> None:
        start = sample * math.prod(self.drawn.shape)
        finite, essential = _some(truth, dims=self.dims, sample=sample)
        want = (
            [[0, dim, birth - start, death - start] for _, dim, birth, death in finite],
            [[0, dim, birth - start] for _, dim, birth in essential],
        )
        mask = None if self.drawn.mask is None else self.drawn.mask[sample]
        got = found(self.bars(self.drawn.values[sample], mask))
        if got != want:
            self.fail("alone", sample, got, want)

    def by_many_threads(self) -> None:
        """On copies of the batch, as the core starts no thread for few values."""
        copies = -(-WORTH_THREADS // self.drawn.values.numel())
        values = self.drawn.values.expand(copies, *self.drawn.values.shape)
        mask = None if self.drawn.mask is None else self.drawn.mask.expand(values.shape)
        one = self.bars(values, mask)
        torch.set_num_threads(self.threads)
        many = self.bars(values, mask)
        torch.set_num_threads(1)
        pairs = (one.pairs, many.pairs), (one.dims, many.dims), (one.essential.indices, many.essential.indices)
        if not all(torch.equal(a, b) for a, b in pairs):
            self.fail(f"one thread and many, on {copies} copies", slice(None), found(many), found(one))


def check(drawn: Round, truth: Bars, backend: str, *, number: int, seed: int) -> None:
    """Raises Disagreement if the backend does not give the bars in `truth`."""
    again = f"python -m tests.commands.many_grids --seed {seed} --only {number}"
    top = len(drawn.shape) - 1
    filtration = drawn.filtration(drawn.values, drawn.mask)
    of_all_grids: tuple[tuple[int, ...], ...] = ((0,), (top,), (0, top))[: 3 if top else 1]
    of_volumes = ((1,), (0, 1, 2), (number % 2, 1 + number % 2)) if top == 2 else ()
    for dims in of_all_grids + of_volumes:
        if tl.backends()[backend].unsupported(filtration, dims) is not None:
            continue
        one = Check(drawn, backend, dims, 1, again)
        one.against_the_reference(truth)
        one.alone(truth, number % PER_ROUND)
        if number % 4 == 0:
            for threads in MANY_THREADS:
                replace(one, threads=threads).by_many_threads()


def verify(config: Config) -> int:
    """Checks all rounds, or the one that is asked for; the number of grids."""
    unknown = set(config.backends) - set(tl.backends())
    if unknown:
        raise SystemExit(f"--backends: unknown {sorted(unknown)}, there are {sorted(tl.backends())}")
    rounds = range(-(-config.grids // PER_ROUND)) if config.only is None else [config.only]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for number in track(rounds, description="rounds of grids"):
            drawn = draw(config.seed, number)
            truth = expected(drawn)
            for backend in config.backends:
                check(drawn, truth, backend, number=number, seed=config.seed)
    finally:
        torch.set_num_threads(before)
    return PER_ROUND * len(rounds)


def main(config: Config) -> None:
    try:
        grids = verify(config)
    except Disagreement as disagreement:
        raise SystemExit(str(disagreement)) from None
    log.info("%d grids: all bars of %s are those of the reference", grids, " and ".join(config.backends))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(tyro.cli(Config, description=__doc__))
