"""Times: every round runs every contender once on every input, so that a slow moment of the machine hits all of them.

From round to round the contenders of an input take turns in going first. Calls that are shorter than `BURST` are timed
in bursts of as many as fill it. Whoever takes long runs in fewer rounds, spread over all of them, and whoever would
take longer than the limit, judged by the next smaller input of the kind, is left out there.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from experiments.shared.console import Interrupted, Meter, log
from experiments.speed.config import EXTREME
from experiments.speed.contender import Contender
from experiments.speed.inputs import Input

BURST = 0.005  # seconds
FEWEST = 3  # rounds that every contender takes part in


@dataclass(frozen=True)
class Key:
    """What was measured: the contender, and what it was given."""

    job: str
    size: str
    kind: str
    contender: str


@dataclass
class Timing:
    """The calls of one contender on one input: seconds per call, one entry per round it took part in."""

    pixels: int
    threads: int
    burst: int  # calls per round
    rounds: int
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Times:
    """All timings, and why the others were left out."""

    measured: Mapping[Key, Timing]
    left_out: Mapping[Key, str]

    def median(self, job: str, size: str, kind: str, contender: str) -> float | None:
        timing = self.measured.get(Key(job, size, kind, contender))
        return None if timing is None else timing.median


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds, seconds per call at most, and seconds per contender and input, roughly."""

    rounds: int
    limit: float
    budget: float


def measure(
    inputs: Sequence[Input], contenders: Sequence[Contender], effort: Effort, *, stop: Callable[[], bool]
) -> Times:
    """Time all contenders on all inputs of their job."""
    inputs = sorted(inputs, key=lambda given: given.values.numel())
    cases = [(given, [c for c in contenders if c.job == given.job and _suits(c, given)]) for given in inputs]
    measured, left_out = _estimate(cases, effort, stop)
    expected = sum(timing.rounds * timing.burst * timing.seconds.pop() for timing in measured.values())
    log.info("%d rounds will take about %.0f s", effort.rounds, expected)
    gc.collect()
    gc.freeze()  # collections during the rounds look at nothing older
    try:
        with Meter(expected) as meter:
            for number in range(effort.rounds):
                _round(number, cases, measured, effort.rounds, meter, stop)
    finally:
        gc.unfreeze()
    return Times(measured, left_out)


def _suits(contender: Contender, given: Input) -> bool:
    return not (contender.natural_only and given.kind in EXTREME)


def _estimate(
    cases: Sequence[tuple[Input, list[Contender]]], effort: Effort, stop: Callable[[], bool]
) -> tuple[dict[Key, Timing], dict[Key, str]]:
    """Run everything once or twice, small inputs first. The only entry of `seconds` is then an estimate."""
    measured: dict[Key, Timing] = {}
    left_out: dict[Key, str] = {}
    per_pixel: dict[tuple[str, str, str], float] = {}
    with Meter(sum(len(group) for _, group in cases)) as meter:
        for given, group in cases:
            pixels = given.values.numel()
            for contender in group:
                key = Key(given.job, given.size, given.kind, contender.name)
                alike = (given.job, given.kind, contender.name)
                limit = effort.limit * contender.patience
                meter.advance(1, f"first calls: {contender.name} {given.size}")
                heed(stop)
                if pixels * per_pixel.get(alike, 0) > limit:
                    left_out[key] = f"> {limit:g} s"
                    continue
                try:
                    seconds = timed(contender, given)
                    if seconds < effort.limit / 4:  # the first call paid for caches and pools
                        seconds = timed(contender, given)
                except Exception as error:
                    log.warning("%s fails on %s %s: %r", contender.name, given.size, given.kind, error)
                    left_out[key] = f"fails ({type(error).__name__})"
                    continue
                per_pixel[alike] = seconds / pixels
                if seconds > 2 * limit:
                    left_out[key] = f"> {limit:g} s"
                    continue
                burst = math.ceil(BURST / seconds)
                rounds = min(effort.rounds, max(FEWEST, int(effort.budget / (burst * seconds))))
                measured[key] = Timing(pixels, contender.threads, burst, rounds, [seconds])
    return measured, left_out


def _round(
    number: int,
    cases: Sequence[tuple[Input, list[Contender]]],
    measured: Mapping[Key, Timing],
    rounds: int,
    meter: Meter,
    stop: Callable[[], bool],
) -> None:
    for given, group in cases:
        first = number % max(1, len(group))
        for contender in group[first:] + group[:first]:
            timing = measured.get(Key(given.job, given.size, given.kind, contender.name))
            if timing is None or (number + 1) * timing.rounds // rounds == number * timing.rounds // rounds:
                continue
            seconds = timed(contender, given, timing.burst)
            timing.seconds.append(seconds)
            meter.advance(seconds * timing.burst, f"round {number + 1}/{rounds}, seconds")
            heed(stop)


def timed(contender: Contender, given: Input, burst: int = 1) -> float:
    """Seconds per call, over `burst` calls in a row."""
    if torch.get_num_threads() != contender.threads:
        torch.set_num_threads(contender.threads)
    began = time.perf_counter()
    for _ in range(burst):
        contender.run(given.values)
    return (time.perf_counter() - began) / burst


def heed(stop: Callable[[], bool]) -> None:
    """Leave where the user asked to."""
    if stop():
        raise Interrupted("stopped before the end: nothing was written")
