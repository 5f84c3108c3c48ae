"""Very many induced matchings of small grids and graphs against the slow reference; `make verify`, not `make test`.

    python -m tests.commands.many_matchings --pairs 20000 --seed 0

A round draws a shape, a filtration, a direction, a comparison and a dtype, and a batch of pairs of functions: noise,
masks, binary images, ties; the second is near to the first, or has nothing to do with it; in a quarter of the rounds
with a mask for each pair, and NaN and infinities outside. In every dimension, alone and together, the matched bars must
be those of `tests/helpers/matchings.py`, and the barcodes those of `persistence`; the batch must have the pairs of one
thread with any number; a pair alone those it has in the batch; and exchanged functions exchanged pairs.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import tyro
from rich.progress import track
from torch import Tensor

import topolayer as tl

from ..helpers import reference
from ..helpers.matchings import induced_matching
from ..helpers.problems import COMPLEXES
from .many_grids import MANY_THREADS, WORTH_THREADS

log = logging.getLogger(__name__)

PER_ROUND = 10


@dataclass(frozen=True)
class Config:
    pairs: int = 20_000
    """How many pairs of functions; rounded up to whole rounds of 10."""
    seed: int = 0
    """Round r of a seed is the same whatever the number of pairs."""
    only: int | None = None
    """A single round, by its number: one that failed."""


class Disagreement(AssertionError):
    """The library and the reference differ. The message says on what, and how to see it again."""


# ---------------------------------------------------------------------------------------------------------------
# What is drawn

Rng = np.random.Generator
Values = np.ndarray


def _noise(rng: Rng, shape: tuple[int, ...]) -> Values:
    return rng.permutation(math.prod(shape)).reshape(shape) / math.prod(shape)


def _levels(rng: Rng, shape: tuple[int, ...]) -> Values:
    return rng.integers(0, 6, shape) / 5


def _binary(rng: Rng, shape: tuple[int, ...]) -> Values:
    return (rng.random(shape) < rng.random()).astype(float)


STYLES: tuple[Callable[[Rng, tuple[int, ...]], Values], ...] = (_noise, _levels, _binary)


def _mask_of(rng: Rng, values: Values) -> Values:
    return (values > rng.random()).astype(float)


def _moved(rng: Rng, values: Values) -> Values:
    """Some entries are others."""
    return np.where(rng.random(values.shape) < 0.3, rng.permutation(values.ravel()).reshape(values.shape), values)


def _shaken(rng: Rng, values: Values) -> Values:
    """By less than most differences, ties included."""
    return values + rng.integers(-1, 2, values.shape) / 32


def _other(rng: Rng, values: Values) -> Values:
    return STYLES[rng.integers(len(STYLES))](rng, values.shape)


SECOND: tuple[Callable[[Rng, Values], Values], ...] = (_mask_of, _moved, _shaken, _other)
KINDS = {"F": 3, "V": 3, "T": 3, "graph": 1}  # and how often


@dataclass(frozen=True)
class Round:
    kind: str  # F, V, T or graph
    superlevel: bool
    union: bool
    values: Tensor  # (2, PER_ROUND, *shape)
    mask: Tensor | None = None  # (PER_ROUND, *shape)
    edges: tuple[tuple[int, int], ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape[2:])

    @property
    def dims(self) -> tuple[int, ...]:
        """Those in which the two are matched."""
        return (0,) if self.kind == "graph" else tuple(range(len(self.shape)))

    def filtration(self, values: Tensor, mask: Tensor | None) -> Any:
        if self.kind == "graph":
            edges = torch.tensor(self.edges, dtype=torch.int64).reshape(-1, 2)
            return tl.LowerStar(values, [edges], superlevel=self.superlevel)
        options = {"ndim": len(self.shape), "superlevel": self.superlevel, "mask": mask}
        if self.kind == "F":
            return tl.Freudenthal(values, **options)
        return tl.Cubical(values, construction=self.kind, **options)

    def cells(self, inside: list[bool] | None) -> Callable[[Any], list[reference.Cell]]:
        """What the reference makes of values."""
        if self.kind == "graph":
            return lambda values: reference.lower_star(values, self.edges, self.superlevel)
        return lambda values: COMPLEXES[self.kind](values, self.shape, self.superlevel, inside)

    def matching(self, values: Tensor, mask: Tensor | None, dims: tuple[int, ...]) -> tl.InducedMatching:
        first, second = (self.filtration(each, mask) for each in values)
        return tl.induced_matching(first, second, dims, comparison="union" if self.union else "intersection")


def draw_shape(rng: Rng) -> tuple[int, ...]:
    ndim = int(rng.choice((1, 2, 3), p=(0.05, 0.6, 0.35)))
    largest, entries = ((20, 9, 5)[ndim - 1], (20, 60, 75)[ndim - 1])
    while True:
        shape = tuple(int(side) for side in rng.integers(1 if rng.random() < 0.1 else 2, largest + 1, ndim))
        if math.prod(shape) <= entries:
            return shape


def draw(seed: int, number: int) -> Round:
    rng = np.random.default_rng((seed, number))
    kind = str(rng.choice(list(itertools.chain.from_iterable([name] * often for name, often in KINDS.items()))))
    shape = draw_shape(rng) if kind != "graph" else (int(rng.integers(1, 25)),)
    firsts = [STYLES[rng.integers(len(STYLES))](rng, shape) for _ in range(PER_ROUND)]
    seconds = [SECOND[rng.integers(len(SECOND))](rng, first) for first in firsts]
    dtype = np.dtype(rng.choice((np.float32, np.float64)))
    values = np.stack([firsts, seconds]).astype(dtype)
    superlevel, union = bool(rng.random() < 0.5), bool(rng.random() < 0.5)
    if kind == "graph":
        edges = {tuple(sorted(edge)) for edge in rng.integers(0, shape[0], (2 * shape[0], 2)).tolist()}
        simple = tuple((a, b) for a, b in sorted(edges) if a != b)
        return Round(kind, superlevel, union, torch.from_numpy(values), edges=simple)
    if rng.random() >= 0.25:
        return Round(kind, superlevel, union, torch.from_numpy(values))
    mask = rng.random((PER_ROUND, *shape)) < 0.5 + rng.random() / 2
    mask.reshape(PER_ROUND, -1)[:, rng.integers(math.prod(shape))] = True
    values = np.where(mask, values, rng.choice(np.array([np.nan, np.inf, -np.inf, 0], dtype), values.shape))
    return Round(kind, superlevel, union, torch.from_numpy(values), torch.from_numpy(mask))


# ---------------------------------------------------------------------------------------------------------------
# What must hold

Matched = list[tuple[tuple[int, ...], tuple[int, ...]]]  # (sample, dimension, birth, death) of both, sorted


def expected(drawn: Round) -> Matched:
    """The matched bars of all dimensions, by the reference."""
    size, result = math.prod(drawn.shape), []
    for sample in range(PER_ROUND):
        inside = None if drawn.mask is None else drawn.mask[sample].flatten().tolist()
        first, second = (
            [value if enters else 0.0 for value, enters in zip(row, inside or [True] * size, strict=True)]
            for row in drawn.values[:, sample].double().reshape(2, size).tolist()
        )
        pairs = induced_matching(drawn.cells(inside), first, second, union=drawn.union, superlevel=drawn.superlevel)
        start = sample * size
        for one, other in pairs:
            result.append(tuple((sample, dim, start + birth, start + death) for dim, birth, death in (one, other)))
    return sorted(result)


def found(matching: tl.InducedMatching) -> Matched:
    rows = [
        list(map(tuple, torch.cat([bars.sample[:, None], bars.dims[:, None], bars.pairs], 1).tolist()))
        for bars in (matching.first, matching.second)
    ]
    return sorted((rows[0][i], rows[1][j]) for i, j in matching.pairs.T.tolist())


def _some(pairs: Matched, dims: tuple[int, ...]) -> Matched:
    return [pair for pair in pairs if pair[0][1] in dims]


def check(drawn: Round, truth: Matched, *, number: int, seed: int) -> None:
    """Raises Disagreement if the library does not give the pairs in `truth`."""

    def fail(what: str, got: object, want: object) -> None:
        values = drawn.values.tolist() if drawn.mask is None else torch.where(drawn.mask, drawn.values, 0).tolist()
        raise Disagreement(
            f"{what}: {drawn.kind} of shape {drawn.shape}, superlevel={drawn.superlevel}, union={drawn.union}\n"
            f"values = {values}\nmask = {None if drawn.mask is None else drawn.mask.tolist()}\nedges = {drawn.edges}\n"
            f"got      {got}\nexpected {want}\n"
            f"again: python -m tests.commands.many_matchings --seed {seed} --only {number}"
        )

    def same(one: tl.Barcode, other: tl.Barcode) -> bool:
        tensors = zip(
            (one.pairs, one.dims, one.sample, one.essential.indices),
            (other.pairs, other.dims, other.sample, other.essential.indices),
            strict=True,
        )
        return all(torch.equal(a, b) for a, b in tensors)

    for dims in {drawn.dims, drawn.dims[:1], drawn.dims[-1:]}:
        matching, want = drawn.matching(drawn.values, drawn.mask, dims), _some(truth, dims)
        if found(matching) != want:
            fail(f"dimensions {dims}", found(matching), want)
        for which, barcode in enumerate((matching.first, matching.second)):
            plain = tl.persistence(drawn.filtration(drawn.values[which], drawn.mask), dims)
            if not same(barcode, plain):
                fail(f"barcode {which}, dimensions {dims}", barcode.pairs.tolist(), plain.pairs.tolist())
        exchanged = drawn.matching(drawn.values.flip(0), drawn.mask, dims)
        if sorted(exchanged.pairs.flip(0).T.tolist()) != matching.pairs.T.tolist():
            fail(f"exchanged, dimensions {dims}", exchanged.pairs.tolist(), matching.pairs.tolist())
        alone = number % PER_ROUND
        start = alone * math.prod(drawn.shape)
        mask = None if drawn.mask is None else drawn.mask[alone]
        got = found(drawn.matching(drawn.values[:, alone], mask, dims))
        of_it = [tuple((0, d, b - start, e - start) for _, d, b, e in pair) for pair in want if pair[0][0] == alone]
        if got != of_it:
            fail(f"alone {alone}, dimensions {dims}", got, of_it)
    if number % 8 == 0:
        check_threads(drawn, fail)


def check_threads(drawn: Round, fail: Callable[[str, object, object], None]) -> None:
    """On copies of the batch, as the core starts no thread for few values."""
    copies = -(-WORTH_THREADS // drawn.values[0].numel())
    values = drawn.values[:, None].expand(2, copies, *drawn.values.shape[1:])
    one = drawn.matching(values, drawn.mask, drawn.dims)
    for threads in MANY_THREADS:
        torch.set_num_threads(threads)
        many = drawn.matching(values, drawn.mask, drawn.dims)
        torch.set_num_threads(1)
        if not torch.equal(one.pairs, many.pairs):
            fail(f"{threads} threads", many.pairs.tolist(), one.pairs.tolist())


def verify(config: Config) -> tuple[int, int]:
    """Checks all rounds, or the one that is asked for; the number of pairs of functions, and of matched bars."""
    rounds = range(-(-config.pairs // PER_ROUND)) if config.only is None else [config.only]
    before, matched = torch.get_num_threads(), 0
    torch.set_num_threads(1)
    try:
        for number in track(rounds, description="rounds of pairs"):
            drawn = draw(config.seed, number)
            truth = expected(drawn)
            matched += len(truth)
            check(drawn, truth, number=number, seed=config.seed)
    finally:
        torch.set_num_threads(before)
    return PER_ROUND * len(rounds), matched


def main(config: Config) -> None:
    try:
        pairs, matched = verify(config)
    except Disagreement as disagreement:
        raise SystemExit(str(disagreement)) from None
    log.info("%d pairs of functions: all %d matched bars are those of the reference", pairs, matched)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(tyro.cli(Config, description=__doc__))
