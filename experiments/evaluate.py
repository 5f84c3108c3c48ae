"""Score a finished run on any folder of data in a layout that its experiment reads.

    python -m experiments.evaluate runs/segmentation-coco/seed0-none --root DIR
    python -m experiments.evaluate runs/depth-scenes-unet/seed0-none --data nyu --root DIR --out elsewhere

Without ``--data`` the run's own validation images are scored; the scores are then those that the run reported, to the
last bit on the same processor with the same number of threads. Into RUN/evaluation, or ``--out``:

    scores.md, scores.json   the scores, beside those that the run reported
    images.csv               the scores, or counts of pixels, of each image
    *.png                    images, predictions, and the layer that the experiment regularizes
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import tyro

from experiments.report import part_of
from experiments.shared import console, report
from experiments.shared.console import UserError, log
from experiments.shared.files import IMAGES, environment, write_atomically, write_csv, write_json

PLACES = ("data", "root", "cache")  # options that say which images


@dataclass(frozen=True)
class Options:
    """Score a finished run on any folder of data."""

    run: tyro.conf.Positional[Path]
    """folder of a finished run, such as runs/segmentation-coco/seed0-none"""
    data: str = ""
    """which data, by the name that the experiment's --data has for them (empty: those of the run)"""
    root: Path | None = None
    """folder of the data set"""
    cache: Path | None = None
    """keep what is read from --root in this folder rather than in memory, and use it again"""
    split: Literal["train", "val"] = "val"
    """which part of the data set"""
    limit: int = 0
    """number of images (0: as many as the run looked at of its own data, all of others)"""
    out: Path | None = None
    """where to put the results; evaluation/ in the run's folder if left out"""
    threads: int = 0
    """threads (0: as many as the run had)"""


def main(options: Options) -> None:
    import torch

    from experiments.shared import trained
    from experiments.shared.options import check_data
    from experiments.shared.runs import make_fabric

    if options.limit < 0 or options.threads < 0:
        raise UserError("--limit and --threads must be numbers from 0")
    name = str(trained.noted(options.run).get("experiment", ""))
    config, experiment = (part_of(name, part, options.run) for part in ("config", "experiment"))
    run = trained.read(options.run, config.Config)
    where = placed(options, run.options)
    check_data(where, {option: data for option, data in config.READERS.items() if option in PLACES})
    task, pictures = (part_of(name, part, options.run) for part in ("task", "pictures"))
    torch.set_num_threads(options.threads or run.threads or torch.get_num_threads())
    model = trained.network(run, task.architecture(run.options))
    images = task.load(where, options.split)
    fabric = make_fabric(run.options)
    with torch.inference_mode():
        scores = task.evaluated(run.options, fabric, model, images)
        each = task.of_each(run.options, model, images)
    own = where.data == run.options.data and options.split == "val" and not options.limit
    reported = {score: run.reported[score] for score in scores if score in run.reported} if own else {}
    folder = options.out or options.run / "evaluation"
    pictures.showcase(folder, {run.arm: model.cpu()}, images, run.options)
    write_csv(folder / IMAGES, each)
    write(folder, options, scores, reported, experiment.EXPERIMENT, len(images))


def placed(options: Options, trained_with: Any) -> Any:
    """The run's options with the data that are to be scored."""
    kind = type(trained_with)
    known = get_args(get_type_hints(kind)["data"])
    data = options.data or trained_with.data
    if data not in known:
        raise UserError(f"--data {data}: runs of {kind.experiment.name} are scored on {', '.join(known)}")
    changes: dict[str, Any] = {"data": data, "root": options.root}
    if "cache" in {field.name for field in dataclasses.fields(kind)}:
        changes["cache"] = options.cache
    elif options.cache is not None:
        raise UserError(f"--cache {options.cache}: {kind.experiment.name} keeps its images in memory; leave it out")
    if options.limit or data != trained_with.data:
        changes |= {"train_images": options.limit, "val_images": options.limit}
    if data != trained_with.data:
        changes["held_out"] = 0.0
    return dataclasses.replace(trained_with, **changes)


def write(
    folder: Path, options: Options, scores: dict[str, float], reported: dict[str, float], experiment: Any, images: int
) -> None:
    """The table, on the screen too, and the JSON."""
    shown = experiment.of(scores)
    table = [["score", "here", *["reported"] * bool(reported)]]
    for score, title in shown.titles.items():
        values = [scores[score], *([reported[score]] if reported else [])]
        table.append([title, *(f"{value:.{shown.digits}f}" for value in values)])
    data = options.data or "its own data"
    note = f"{options.run} on {images} images of {data}, {options.split}.\n"
    write_atomically(folder / "scores.md", report.markdown(table) + "\n" + note)
    given = {key: str(value) for key, value in dataclasses.asdict(options).items()}
    content = {"options": given, "scores": scores, "reported": reported, "ran": environment()}
    write_json(folder / "scores.json", content)
    report.show(table, note)
    log.info("in %s: %s", folder, ", ".join(sorted(path.name for path in folder.iterdir())))


if __name__ == "__main__":
    console.run(lambda: main(tyro.cli(Options, description=__doc__)))
