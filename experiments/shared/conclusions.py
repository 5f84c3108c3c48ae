"""What finished runs answer to the questions of their protocol, and with what power."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from experiments.shared import effects, protocol
from experiments.shared.console import UserError
from experiments.shared.effects import Effect
from experiments.shared.experiment import Experiment
from experiments.shared.files import IMAGES

WANTED = 0.9  # power, where the number of pairs is estimated again


class Scored(Protocol):
    """What is needed of a finished run."""

    @property
    def arm(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def final(self) -> dict[str, float]: ...


@dataclass(frozen=True)
class Answer:
    """An endpoint, its effect so far, and the p values of no effect and of one as large as the margin, adjusted."""

    endpoint: protocol.Endpoint
    effect: Effect
    p: float
    equivalence: float

    @property
    def words(self) -> str:
        """What may be concluded."""
        found = []
        if self.p < effects.LEVEL:
            found.append("above zero" if self.effect.mean > 0 else "below zero")
        if self.equivalence < effects.LEVEL:
            found.append(f"smaller than {self.endpoint.margin:g}")
        return ", ".join(found) or "open"


def protocol_of(folder: Path) -> protocol.Protocol | None:
    """The protocol of the runs in `folder`, if they have one; refused if it is not the one they were begun with."""
    noted = folder / "config.json"
    begun = json.loads(noted.read_text()).get("protocol", "") if noted.exists() else ""
    if not begun:
        return None
    found = protocol.read(folder / protocol.NAME)
    marks = {begun} | {json.loads(path.read_text()).get("protocol", "") for path in folder.glob("seed*/config.json")}
    if marks != {found.digest}:
        raise UserError(
            f"{found.path} was changed after the first run: take it back to what it was, or train under another --name"
        )
    return found


def answers(plan: protocol.Protocol, runs: Iterable[Scored]) -> list[Answer]:
    """One for each endpoint, primary ones first; Holm's adjustment is over the endpoints of a kind."""
    scores: dict[str, dict[str, dict[int, float]]] = {}
    for run in runs:
        for score, value in run.final.items():
            scores.setdefault(score, {}).setdefault(run.arm, {})[run.seed] = value
    found: list[Answer] = []
    for primary in (True, False):
        endpoints = [endpoint for endpoint in plan.endpoints if endpoint.primary == primary]
        shown = [
            effects.effect(effects.contrast(scores.get(end.score, {}), (end.plus, end.minus))) for end in endpoints
        ]
        ps = effects.holm([effect.p for effect in shown])
        same = effects.holm([effect.equivalence(end.margin) for end, effect in zip(endpoints, shown, strict=True)])
        found += map(Answer, endpoints, shown, ps, same)
    return found


def over_images(folder: Path, end: protocol.Endpoint, experiment: Experiment) -> tuple[float, float] | None:
    """The interval of an endpoint by the bootstrap over seeds and images.

    None without numbers of each image, or if they are not of the same images for all seeds.
    """
    arms = (*end.plus, *end.minus)
    files = {arm: {path.parent.name: path for path in folder.glob(f"seed*-{arm}/{IMAGES}")} for arm in arms}
    seeds = set.intersection(*({name.partition("-")[0] for name in files[arm]} for arm in arms))
    values: list[effects.Array] = []
    columns: list[str] = []
    names: set[tuple[str, ...]] = set()
    for seed in sorted(seeds):
        tables = []
        for arm in arms:
            with files[arm][f"{seed}-{arm}"].open(newline="") as file:
                rows = list(csv.DictReader(file))
            columns = [name for name in rows[0] if name != "image"] if rows else []
            tables.append([[float(row[name]) for name in columns] for row in rows])
            names.add(tuple(row["image"] for row in rows))
        values.append(np.concatenate(tables, axis=1))
    if len(values) < 2 or len(names) > 1 or not (end.score in columns or end.score in experiment.pooled):
        return None

    def pool(means: dict[str, Any]) -> Any:
        return experiment.pooled[end.score](means) if end.score in experiment.pooled else means[end.score]

    def score(means: effects.Array) -> effects.Array:
        parts = np.split(means, len(arms), axis=1)
        scores = [pool(dict(zip(columns, part.T, strict=True))) for part in parts]
        return np.asarray(np.mean(scores[: len(end.plus)], axis=0) - np.mean(scores[len(end.plus) :], axis=0))

    every = np.stack(values)
    count = every.shape[1]
    blocks = np.arange(count) * (experiment.blocks or count) // count
    return effects.crossed_bootstrap(every, blocks.tolist(), statistic=score)


def section(folder: Path, runs: Sequence[Scored], experiment: Experiment) -> str:
    """The protocol and its answers so far, for the report; nothing where there is no protocol."""
    plan = protocol_of(folder)
    if plan is None:
        return ""
    committed = json.loads((folder / "config.json").read_text()).get("protocol_commit", "")
    lines = [f"## {plan.title}", "", f"Protocol {plan.digest[:12]}{f', commit {committed}' if committed else ''}.", ""]
    lines += ["| | " + " | ".join(HEADER) + " |", "|---" * (len(HEADER) + 1) + "|"]
    for answer in answers(plan, runs):
        sampled = over_images(folder, answer.endpoint, experiment)
        lines.append("| " + " | ".join(_cells(plan, answer, sampled)) + " |")
    lines += ["", NOTE, ""]
    for name, text in plan.texts.items():
        lines += [f"### {name.replace('_', ' ').capitalize()}", "", text.strip(), ""]
    lines += ["### Options", "", f"{plan.seeds} seeds of {', '.join(plan.arms)}."]
    lines += [f"`{name} = {json.dumps(value)}`" for name, value in plan.options.items()]
    return "\n".join(lines) + "\n"


HEADER = (
    "score",
    "pairs",
    "effect [95 % CI]",
    "over images too",
    "p",
    "margin",
    "p of the margin",
    "so",
    "power before",
    "power now",
)
NOTE = (
    "Over images too: the interval at the end of training if the validation images are a sample as well, by a "
    "bootstrap over seeds and blocks of images. p: of no effect; p of the margin: of an effect as large as the margin "
    "(two one-sided t tests); both adjusted by Holm's method among the primary and among the secondary endpoints. "
    "Power: of finding an effect as large as the margin / of excluding it if there is none; before: with the planned "
    "pairs and the deviation of the pilot, now: with those there are."
)


def _cells(plan: protocol.Protocol, answer: Answer, sampled: tuple[float, float] | None) -> list[str]:
    end, effect = answer.endpoint, answer.effect
    digits = max(2, 2 - math.floor(math.log10(end.margin)))
    interval = ""
    if effect.pairs:
        interval = f"{effect.mean:+.{digits}f}"
    if effect.pairs > 1:
        half = effect.half()
        interval += f" [{effect.mean - half:+.{digits}f}, {effect.mean + half:+.{digits}f}]"
    return [
        f"**{end.name}**" if end.primary else end.name,
        end.score,
        f"{effect.pairs} of {plan.seeds}",
        interval,
        f"[{sampled[0]:+.{digits}f}, {sampled[1]:+.{digits}f}]" if sampled else "",
        _number(answer.p),
        f"±{end.margin:g}",
        _number(answer.equivalence),
        answer.words,
        _powers(end, end.deviation, plan.seeds),
        _powers(end, effect.deviation, effect.pairs),
    ]


def _powers(end: protocol.Endpoint, deviation: float, pairs: int) -> str:
    powers = (
        effects.power(deviation, pairs, end.margin),
        effects.equivalence_power(deviation, pairs, end.margin),
    )
    return " / ".join(f"{100 * power:.0f} %" for power in powers if not math.isnan(power))


def _number(p: float) -> str:
    return "" if math.isnan(p) else f"{p:.2g}"


def blinded(folder: Path, runs: Sequence[Scored]) -> list[str]:
    """How well the endpoints are known and how many pairs they want, by their variance alone: no effect is shown."""
    plan = protocol_of(folder)
    if plan is None:
        raise UserError(f"{folder} holds runs without a protocol: there is no endpoint whose variance could be shown")
    lines = []
    for answer in answers(plan, runs):
        end, deviation = answer.endpoint, answer.effect.deviation
        if not deviation > 0:
            lines.append(f"{end.name}: {answer.effect.pairs} pairs are too few for a variance")
            continue

        def power_of(pairs: int, end: Any = end, deviation: float = deviation) -> float:
            return min(
                effects.power(deviation, pairs, end.margin), effects.equivalence_power(deviation, pairs, end.margin)
            )

        lines.append(
            f"{end.name}: standard deviation {deviation:.3g} of {answer.effect.pairs} pairs ({end.deviation:.3g} in "
            f"the pilot); with {plan.seeds} pairs power {_powers(end, deviation, plan.seeds)}, and "
            f"{effects.pairs_for(WANTED, power_of)} pairs are needed for {100 * WANTED:.0f} %"
        )
    return lines
