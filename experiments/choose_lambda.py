r"""Choose the weight of a penalty, which the paper does not give for Section 4, on images that are not reported on.

The *training* images are split in two, one part to fit, one held out; validation images are never read. With every
weight of a range of decades a network is trained for a few epochs, always from the same initial weights on the same
batches, and its score on the held-out part stands beside the ratio of the two gradients' norms at the layer:

    python -m experiments.choose_lambda --data coco --root DIR --size 128 --width 8 --layer auto \
        --batch-size 8 --lr 0.1 --momentum 0.9 --threads 1

Of the decades, take the largest without a clear cost on the held-out part. On 637 photographs with people this gave
(two seeds, six epochs; the ratio is that of the first batch of the last epoch):

    arm        lambda   held-out mIoU   held-out MSE   gradient ratio
    none                    45.94          0.1057
    topology    1e-6        45.62          0.1067           0.04
    topology    1e-5        45.70          0.1057           0.29        chosen
    topology    1e-4        44.79          0.1073           1.1
    tv          1e-8        45.55          0.1060           0.010       chosen
    tv          1e-7        43.53          0.1116           0.04
    tv          1e-6        43.16          0.1162           0.11

Is a weight good for other networks, and does ``--normalize-activation`` make it so? The weight that gives a ratio of
5 % (64x64 scenes, dec2, after 20 steps) is, for a width of 4, 8 and 16: topology 3.6e-6, 2.3e-6, 1.7e-6, normalized
15e-6, 22e-6, 29e-6; tv 18e-8, 7e-8, 4e-8, normalized 7.6e-7, 6.9e-7, 7.3e-7. So it makes tv's weight independent of
the width, but not topology's: the plain one varies as little, as batch normalization has fixed the channels' scale.
All of them grow several times within the first hundred steps, and shrink with the number of pixels in the loss's mean.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
from dataclasses import dataclass, field

import torch
import tyro

from experiments import console
from experiments.console import Meter, UserError, stop_requests
from experiments.files import Row, read_csv, write_csv, write_json
from experiments.runs import check_folders, make_fabric, run_folder, shared
from experiments.segmentation import Config, load_training, settle, train_run
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
    topology_lambdas: tuple[float, ...] = (1e-6, 1e-5, 1e-4)
    """weights of the topological penalty to try"""
    tv_lambdas: tuple[float, ...] = (1e-8, 1e-7, 1e-6)
    """weights of total variation to try"""


def main(sweep: Sweep) -> None:
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise UserError("the sweep runs in one process: start it without torchrun")
    base = settle(sweep.base)
    check_folders(base)
    write_json(base.folder / "config.json", shared(base))
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
    with stop_requests() as stop, Meter(len(tries) * len(base.seeds) * steps) as meter:
        for arm, weight in tries:
            config = dataclasses.replace(
                base, name=f"{base.folder.name}/{arm}-{weight:g}", topology_lambda=weight, tv_lambda=weight
            )
            histories: list[list[Row]] = []
            for seed in base.seeds:
                folder = run_folder(config, seed, arm)
                if not (folder / "summary.json").exists():
                    train_run(config, arm, seed, data, fabric=fabric, meter=meter, stop=stop)
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
