"""Choose the weight of a penalty, which the paper does not give for Section 4, on images that are not reported on.

The *training* images are split in two, one part to fit, one held out; validation images are never read. With every
weight of a range of decades a network is trained for a few epochs, always from the same initial weights on the same
batches, and its score on the held-out part stands beside the ratio of the two gradients' norms at the layer:

    python -m experiments.choose_lambda --data coco --root DIR --size 128 --width 8 --layer auto

Take the largest weight that costs nothing on the held-out part; usually the ratio is a few per cent there.
"""

from __future__ import annotations

import dataclasses
import statistics
from dataclasses import dataclass, field

import torch
import tyro

from experiments import console
from experiments.console import Meter
from experiments.files import Row, read_csv, write_csv
from experiments.segmentation import Config, load_training, make_fabric, run_folder, settle, train_run
from experiments.task import Arm
from experiments.training import steps_per_epoch

HELD_OUT = 0.2


@dataclass(frozen=True)
class Sweep:
    """What to try."""

    base: tyro.conf.OmitArgPrefixes[Config] = field(
        default_factory=lambda: Config(
            arms=("topology", "tv"), seeds=(0, 1), epochs=6, name="choose-lambda", resume=True
        )
    )
    """everything that the trained network depends on"""
    topology_lambdas: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2)
    """weights of the topological penalty to try"""
    tv_lambdas: tuple[float, ...] = (1e-7, 1e-6, 1e-5, 1e-4)
    """weights of total variation to try"""


def main(sweep: Sweep) -> None:
    base = settle(sweep.base)
    if base.threads:
        torch.set_num_threads(base.threads)
    train = load_training(base)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0)).tolist()
    held_out = round(HELD_OUT * len(train))
    data = train.subset(order[held_out:]), train.subset(order[:held_out])
    tries: list[tuple[Arm, float]] = [("none", 0.0)]
    tries += [("topology", weight) for weight in sweep.topology_lambdas if "topology" in base.arms]
    tries += [("tv", weight) for weight in sweep.tv_lambdas if "tv" in base.arms]
    fabric = make_fabric(base)
    rows: list[dict[str, object]] = []
    steps = base.epochs * steps_per_epoch(len(data[0]), base.batch_size)
    with Meter(len(tries) * len(base.seeds) * steps) as meter:
        for arm, weight in tries:
            config = dataclasses.replace(
                base, name=f"{base.folder.name}/{arm}-{weight:g}", topology_lambda=weight, tv_lambda=weight
            )
            histories: list[list[Row]] = []
            for seed in base.seeds:
                folder = run_folder(config, seed, arm)
                if not (folder / "summary.json").exists():
                    train_run(config, arm, seed, data, fabric=fabric, meter=meter)
                histories.append(read_csv(folder / "metrics.csv"))
            rows.append({"arm": arm, "lambda": weight, **_summary(histories)})
            write_csv(base.folder / "lambda.csv", rows)
    for line in (base.folder / "lambda.csv").read_text().splitlines():
        console.log.info(line)


def _summary(histories: list[list[Row]]) -> dict[str, float]:
    """Held-out scores after the last epoch, and the gradients' ratio in the first, the middle and the last one."""
    last = [history[-1] for history in histories]
    summary = {
        "held_out_miou": statistics.fmean(row["miou"] for row in last),
        "held_out_person_iou": statistics.fmean(row["person_iou"] for row in last),
        "held_out_mse": statistics.fmean(row["val_mse"] for row in last),
    }
    for name, place in (("first", 0), ("middle", len(histories[0]) // 2), ("last", -1)):
        ratios = [history[place].get("train_gradient_ratio", 0.0) for history in histories]
        summary[f"gradient_ratio_{name}"] = statistics.fmean(ratios)
    return {name: round(value, 4) for name, value in summary.items()}


if __name__ == "__main__":
    options = tyro.cli(Sweep, description=__doc__)
    console.run(lambda: main(options))
