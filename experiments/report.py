"""Make the tables and curves of finished runs again, of whatever experiment; of several folders also the differences.

    python -m experiments.report runs/segmentation-coco

The differences of all folders go side by side into ``differences.png`` beside the first one. Of runs under a protocol,
``--blinded`` shows the variance of its endpoints and the number of seeds that they want, and no effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import tyro

from experiments.shared import console, report
from experiments.shared.console import UserError, log
from experiments.shared.experiment import Experiment


def part_of(name: str, part: str, folder: Path) -> Any:
    """A module of the experiment whose runs are in `folder`."""
    try:
        return import_module(f"experiments.{name}.{part}")
    except ModuleNotFoundError as error:
        if not f"experiments.{name}.{part}".startswith(str(error.name)):
            raise
        raise UserError(
            f"{folder} holds runs of an experiment {name!r}, which is none of those here: take the version of this "
            "repository that trained them, or train again"
        ) from error


def experiment_of(folder: Path) -> Experiment:
    """The experiment whose runs are in `folder`."""
    found: Experiment = part_of(report.finished_runs(folder)[0].experiment, "experiment", folder).EXPERIMENT
    return found


def write(folders: Sequence[Path]) -> None:
    """Report on every folder, and on their differences."""
    if not folders:
        raise UserError("name at least one folder with runs")
    experiments = [experiment_of(folder) for folder in folders]
    names = {experiment.name for experiment in experiments}
    if len(names) > 1:
        raise UserError(f"these folders hold runs of {' and '.join(sorted(names))}: name those of one experiment")
    stems = [folder.name for folder in folders]
    rows = {
        folder.name if stems.count(folder.name) == 1 else str(folder): report.write(folder, experiments[0])
        for folder in folders
    }
    if len(rows) > 1:
        from experiments.shared import figures

        first = next(iter(rows.values()))[0]
        figures.differences(folders[0].parent / "differences.png", rows, experiments[0].of(first))


def show_variances(folders: Sequence[Path]) -> None:
    """What is known of the endpoints' variances, and of nothing else."""
    from experiments.shared import conclusions

    for folder in folders:
        runs = report.finished_runs(folder, report.last_epochs_of(folder))
        for line in conclusions.blinded(folder, runs):
            log.info("%s: %s", folder, line)


def main(folders: tyro.conf.Positional[tuple[Path, ...]], /, blinded: bool = False) -> None:
    """Report on the runs in FOLDERS.

    Args:
        folders: those of the runs, with a run in each seed*-* below them
        blinded: show the variances of a protocol's endpoints alone
    """
    console.run(lambda: (show_variances if blinded else write)(folders))


if __name__ == "__main__":
    tyro.cli(main)
