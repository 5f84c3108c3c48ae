"""The benchmark: what is refused, prepared, measured in one run, and shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.table import Table

from experiments.shared import console
from experiments.shared.console import Meter, UserError, log, stop_requests
from experiments.speed import report
from experiments.speed.config import NATURAL, Config
from experiments.speed.contender import Contender
from experiments.speed.contenders import assemble
from experiments.speed.inputs import Input, distances, gaussian, graphs, make, missing, parse, prediction_and_target
from experiments.speed.learners import inputs as learning
from experiments.speed.measure import Effort, Times, heed, measure
from experiments.speed.memory import peak_per_pixel
from experiments.speed.step import DEMO, PAPER, Share, share
from experiments.speed.targets import MEASURED, Results, verdicts


def main(config: Config) -> None:
    began = time.monotonic()
    torch.set_num_threads(1)
    folder, made = settle_folder(config), report.provenance()
    inputs = prepare(config)
    contenders, absent = assemble()
    for name, why in absent.items():
        log.info("without %s: %s", name, why)
    effort = Effort(config.rounds, config.limit, config.budget)
    with stop_requests() as stop:
        times = measure(inputs, contenders, effort, stop=stop)
        torch.set_num_threads(1)
        results = Results(times, peaks(config, contenders, times, stop), shares(config, stop))
    report.write(folder, results, contenders, absent, effort, made)
    show(results)
    log.info("after %.0f s in %s: speed.md, speed.csv, speed.png", time.monotonic() - began, folder)


def settle_folder(config: Config) -> Path:
    """Refuse what cannot work, before anything is computed."""
    for option, least in (("rounds", 1), ("steps", 0), ("limit", 0), ("budget", 0)):
        if not getattr(config, option) >= least:
            raise UserError(f"--{option} must be at least {least}, got {getattr(config, option)}")
    if any(points < 2 for points in config.points):
        raise UserError(f"--points must be at least 2, got {min(config.points)}")
    if any(count < 1 for count in config.graphs):
        raise UserError(f"--graphs must be at least 1, got {min(config.graphs)}")
    for size in config.memory:
        parse(size, _axes(size))
    folder = config.out or Path("runs") / f"speed-{time.strftime('%Y%m%d-%H%M%S')}"
    if (folder / "speed.csv").exists():
        raise UserError(f"{folder} holds a benchmark already: give another folder to --out")
    return folder


def prepare(config: Config) -> list[Input]:
    """All inputs. They stay in memory through the whole run."""
    for kind in (*config.kinds, *config.volume_kinds):
        if why := missing(kind):
            log.info("without the kind %s: %s", kind, why)
    kinds = [kind for kind in config.kinds if missing(kind) is None]
    natural = [kind for kind in NATURAL if kind in kinds]
    inputs = [Input("image", size, kind, make(kind, parse(size, 2))) for size in config.sizes for kind in kinds]
    inputs += [
        Input("volume", size, kind, make(kind, parse(size, 3), ndim=3))
        for size in config.volumes
        for kind in config.volume_kinds
        if missing(kind) is None
    ]
    inputs += [Input("distances", f"{n}x{n}", "points", distances(n)) for n in config.points]
    for size in config.matrices:
        count, points = parse(size, 2, leading=1)
        inputs.append(Input("matrices", size, "points", distances(points, matrices=count)))
    inputs += [Input("clouds", size, "points", gaussian((*parse(size, 2, leading=1), 3))) for size in config.clouds]
    inputs += [Input("alpha", size, "points", gaussian((1, *_cloud(size)))[0]) for size in config.alphas]
    inputs += [Input("graphs", str(count), "noise", graphs(count)) for count in config.graphs]
    for size in config.batches:
        axes = _axes(size, of_images=3)
        shape = parse(size, axes, leading=1)
        kinds_of_it = natural if axes == 3 else [kind for kind in natural if kind in config.volume_kinds]
        inputs += [Input("batch", size, kind, make(kind, shape, ndim=axes - 1)) for kind in kinds_of_it]
    inputs += [
        Input("penalty", size, kind, make(kind, parse(size, 4, leading=2)))
        for size in config.activations
        for kind in natural
    ]
    inputs += [
        Input("matching", size, kind, prediction_and_target(kind, size))
        for size in config.matchings
        for kind in ("mask", "noise")
    ]
    if config.batches:
        inputs.append(Input("hashing", "16x1048576", "bytes", torch.zeros(16, 1 << 20, dtype=torch.uint8)))
    if config.learning:
        inputs += learning()
    if not inputs:
        raise UserError("there is nothing to measure: give --sizes and --kinds, or other inputs")
    return inputs


def peaks(
    config: Config, contenders: list[Contender], times: Times, stop: Callable[[], bool]
) -> dict[tuple[str, str, str], float]:
    """Bytes per pixel: ours on all kinds of images and volumes, everyone's on noise who was not too slow for it."""
    todo = [
        (size, kind, contender)
        for size in config.memory
        for kind in (config.kinds if _axes(size) == 2 else config.volume_kinds)
        for contender in contenders
        if missing(kind) is None
        and contender.job == ("image" if _axes(size) == 2 else "volume")
        and (contender.name == MEASURED[contender.job] or (kind == "noise" and not _too_slow(contender, size, times)))
    ]
    found: dict[tuple[str, str, str], float] = {}
    log.info("peaks of memory, each in a process of its own")
    with Meter(len(todo)) as meter:
        for size, kind, contender in todo:
            heed(stop)
            axes = _axes(size)
            given = Input(contender.job, size, kind, make(kind, parse(size, axes), ndim=axes))
            peak = peak_per_pixel(given, contender.name)
            if peak is not None:
                found[size, kind, contender.name] = peak
            meter.advance(1, f"memory: {contender.name}")
    return found


def _cloud(size: str) -> tuple[int, int]:
    """Points and coordinates of a cloud."""
    points, _, dimension = size.partition("x")
    if not points.isdecimal() or dimension not in ("2", "3") or int(points) < 4:
        raise UserError(f"--alphas: {size!r} is no size of a cloud: expected points and coordinates such as 2000x3")
    return int(points), int(dimension)


def _axes(size: str, *, of_images: int = 2) -> int:
    """How many axes are expected: those of images, or one more if the size has so many."""
    return of_images + (size.count("x") == of_images)


def _too_slow(contender: Contender, size: str, times: Times) -> bool:
    return any((key.contender, key.size, key.job) == (contender.name, size, contender.job) for key in times.left_out)


def shares(config: Config, stop: Callable[[], bool]) -> list[Share]:
    """The penalty's share of a step of Section 4's network (unless it has to be quick) and of the demo's."""
    if not config.steps:
        return []
    log.info("training steps with the penalty")
    trainings = [DEMO] if config.quick else [PAPER, DEMO]
    with Meter(len(trainings) * (config.steps + 1)) as meter:

        def advance() -> None:
            meter.advance(1, "training steps")
            heed(stop)

        return [share(training, steps=config.steps, advance=advance) for training in trainings]


def show(results: Results) -> None:
    """The targets, on the screen."""
    table = Table("what", "target", "measured", "met")
    for verdict in verdicts(results):
        met = {True: "yes", False: "no", None: ""}[verdict.met]
        table.add_row(verdict.what, f"{verdict.target} ({verdict.against})", verdict.measured, met)
    console.console.print(table)
