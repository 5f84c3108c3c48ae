r"""How the segmentation depends on the penalty: its weight, k, layer and gradient, each varied around one setting.

    python -m experiments.segmentation.sweep --data coco --root DIR --size 64 --width 4 --layer auto --lr 0.1 \
        --momentum 0.9 --lambdas 1e-6 1e-5 1e-4 --gradients critical region --ks 1 8 32 --layers dec1 dec2 dec3

λ is varied with either gradient, k and the layer by themselves; what is not varied is as the options of
``experiments.segmentation`` say. With ``--arms none tv`` the weight of total variation is varied instead. All networks
of a seed start from the same weights and see the same batches.

With ``--held-out 0.2``, the default, a fifth of the *training* images is held out for the scores, and the validation
images are never read: so a weight can be chosen, say the largest without a clear cost, and then be reported on. With
``--held-out 0`` the validation images are scored.

The sweep goes on where it was interrupted, and the same folder takes more values and more seeds. It holds the table
(``sweep.md``, ``sweep.csv``) and the response curves (``sweep.png``) of what is finished.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import tyro

from experiments.segmentation.config import Arm, Config, settle
from experiments.shared import console, report
from experiments.shared.console import Meter, UserError, log, stop_requests
from experiments.shared.files import write_atomically, write_csv, write_json
from experiments.shared.options import FREE, common, processes

VARIED = ("lambda", "gradient", "layer", "k")  # columns of the table that say what was tried


@dataclass(frozen=True)
class Sweep(Config):
    """The setting that is varied, and what to try."""

    # Whatever the names of the settings' folders say may differ, but not layer and k, whose speckle is scored.
    free: ClassVar[tuple[str, ...]] = (
        *FREE, "lambdas", "gradients", "ks", "layers", "tv_lambdas", "topology_lambda", "gradient", "tv_lambda",
    )  # fmt: skip

    arms: tuple[Arm, ...] = ("none", "topology")
    """which penalties to vary; "none", to which all are compared, is always there"""
    seeds: tuple[int, ...] = (0, 1, 2)
    """one run per setting and seed"""
    resume: tyro.conf.Fixed[bool] = True
    """a sweep goes on with unfinished runs"""
    demo: tyro.conf.Fixed[bool] = False
    """it has no preset"""
    protocol: tyro.conf.Fixed[Path | None] = None
    """it comes before one, whose weights it chooses"""
    lambdas: tuple[float, ...] = (1e-6, 1e-5, 1e-4)
    """weights of the topological penalty, with each of --gradients"""
    gradients: tuple[Literal["critical", "region"], ...] = ("critical",)
    """which pixels it pulls on"""
    ks: tuple[int, ...] = ()
    """numbers of local maxima that are left alone"""
    layers: tuple[str, ...] = ()
    """layers that it regularizes"""
    tv_lambdas: tuple[float, ...] = (1e-8, 1e-7, 1e-6)
    """weights of total variation"""
    held_out: float = 0.2
    """share of the training images that are held out for the scores; 0: score the validation images"""

    @property
    def default_name(self) -> str:
        return f"sweep-{self.data}"


@dataclass(frozen=True)
class Setting:
    """One point of the sweep: an arm and its options."""

    arm: Arm
    config: Config

    @property
    def varied(self) -> dict[str, Any]:
        """The values of `VARIED`, as far as the arm has them."""
        config = self.config
        if self.arm == "topology":
            return dict(zip(VARIED, (config.topology_lambda, config.gradient, config.layer, config.k), strict=True))
        return {"lambda": config.tv_lambda, "layer": config.tv_layer} if self.arm == "tv" else {}

    @property
    def name(self) -> str:
        """All that distinguishes the setting, so that a longer sweep finds it again."""
        values = (f"{value:g}" if isinstance(value, float) else str(value) for value in self.varied.values())
        return "-".join((self.arm, *values))


def settings(sweep: Sweep) -> list[Setting]:
    """All settings to train, none of them twice."""
    base = Config(**{field.name: getattr(sweep, field.name) for field in dataclasses.fields(Config)})
    found = [Setting("none", base)]
    if "topology" in sweep.arms:
        changes: list[dict[str, Any]] = [
            {"topology_lambda": weight, "gradient": gradient}
            for gradient in sweep.gradients
            for weight in sweep.lambdas
        ]
        changes += [{"k": k} for k in (sweep.k, *sweep.ks) if sweep.ks]
        changes += [{"layer": layer} for layer in (sweep.layer, *sweep.layers) if sweep.layers]
        found += [Setting("topology", dataclasses.replace(base, **change)) for change in changes]
    if "tv" in sweep.arms:
        found += [Setting("tv", dataclasses.replace(base, tv_lambda=weight)) for weight in sweep.tv_lambdas]
    found = [dataclasses.replace(setting, config=settle(setting.config)) for setting in found]
    return list({setting.name: setting for setting in found}.values())


def table(sweep: Sweep, tried: Sequence[Setting]) -> list[dict[str, Any]]:
    """One row per setting with finished runs: what was varied, means over seeds, differences to "none"."""
    found: list[report.Finished] = []
    ratios: dict[str, dict[str, float]] = {}
    for setting in tried:
        if not any(finished(sweep, setting, seed) for seed in sweep.seeds):
            continue
        every = report.finished_runs(sweep.folder / setting.name, sweep.last_epochs)
        runs_of = [dataclasses.replace(run, arm=setting.name) for run in every if run.seed in sweep.seeds]
        found += runs_of
        ratios[setting.name] = {}
        if setting.arm != "none":
            for when, place in (("first", 0), ("middle", 0.5), ("last", 1)):
                rows = [run.history[round(place * (len(run.history) - 1))] for run in runs_of]
                ratio = statistics.fmean(row["train_gradient_ratio"] for row in rows)
                ratios[setting.name][f"gradient_ratio_{when}"] = ratio
    compared = {row["arm"]: row for row in report.compare(found, sweep.experiment, sweep.last_epochs)}
    return [
        compared[setting.name] | {"setting": setting.name, "arm": setting.arm} | setting.varied | ratios[setting.name]
        for setting in tried
        if setting.name in compared
    ]


def finished(sweep: Sweep, setting: Setting, seed: int) -> bool:
    return (sweep.folder / setting.name / f"seed{seed}-{setting.arm}" / "summary.json").exists()


def write(sweep: Sweep, tried: Sequence[Setting]) -> None:
    """The table and the curves of what is finished."""
    from experiments.segmentation import curves

    rows = table(sweep, tried)
    write_csv(sweep.folder / "sweep.csv", rows)
    scores = sweep.experiment.of(rows[0])
    header = ["arm", *VARIED, "seeds"]
    for title in scores.titles.values():
        header += [title, "Δ [95 % CI]"]
    lines = []
    for row in rows:
        line = [str(row["arm"]), *(str(row.get(name, "")) for name in VARIED), str(row["seeds"])]
        for score in scores.titles:
            line += report.cells(row, score, scores.digits)
        ratio = f"{row['gradient_ratio_middle']:.2g}" if "gradient_ratio_middle" in row else ""
        lines.append([*line, f"{row['val_speckle']:.3g}", ratio])
    where = f"held-out training images ({sweep.held_out:g} of them)" if sweep.held_out else "validation images"
    note = (
        f'Scores of {where}, means over seeds ± standard deviation. Δ: difference to "none" of the same seed, with '
        "Student's 95 % interval. Ratio: norm of the weighted penalty's gradient at the layer to that of the loss's, "
        f"half-way. Speckle: of {sweep.layer}, k = {sweep.k}, in all rows but those of another layer or k.\n"
    )
    text = report.markdown([[*header, "speckle", "ratio"], *lines]) + "\n" + note
    write_atomically(sweep.folder / "sweep.md", text)
    curves.responses(sweep.folder / "sweep.png", rows, base=Setting("topology", sweep).varied)


def main(sweep: Sweep) -> None:
    from experiments.segmentation import task
    from experiments.shared import runs
    from experiments.shared.training import steps_per_epoch

    if processes() != 1:
        raise UserError("the sweep runs in one process: start it without torchrun")
    sweep = settle(sweep)
    tried = settings(sweep)
    with runs.prepared(sweep) as fabric, stop_requests() as stop:
        data = task.load(sweep, "train"), task.load(sweep, "val")
        steps = sweep.epochs * steps_per_epoch(round(sweep.train_share * len(data[0])), sweep.batch_size)
        write_json(sweep.folder / "config.json", common(sweep))
        every = [(seed, setting) for seed in dict.fromkeys(sweep.seeds) for setting in tried]
        todo = [(seed, setting) for seed, setting in every if not finished(sweep, setting, seed)]
        log.info("%d settings, %d of %d runs to go", len(tried), len(todo), len(every))
        with Meter(len(todo) * steps) as meter:
            for number, (seed, setting) in enumerate(every, 1):
                if (seed, setting) in todo:
                    meter.run = f"run {number} of {len(every)}, seed {seed}, {setting.name}"
                    name = f"{sweep.name or sweep.default_name}/{setting.name}"
                    config = dataclasses.replace(setting.config, name=name)
                    task.train_run(runs.Run(config, setting.arm, seed, fabric, meter, stop), data)
                if setting is tried[-1]:
                    write(sweep, tried)
    log.info("in %s: sweep.md, sweep.csv, sweep.png\n%s", sweep.folder, (sweep.folder / "sweep.md").read_text())


if __name__ == "__main__":
    options = tyro.cli(Sweep, description=__doc__)
    console.run(lambda: main(options))
