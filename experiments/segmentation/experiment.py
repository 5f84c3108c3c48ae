"""The arms and scores of the segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.shared.experiment import BLACK, BLUE, SKY, VERMILION, YELLOW, Experiment, Style


def person_iou(means: Mapping[str, Any]) -> Any:
    """In per cent, from means of the counts of pixels."""
    return 100 * means["both"] / (means["both"] + means["predicted"] + means["missed"])


def background_iou(means: Mapping[str, Any]) -> Any:
    return 100 * means["neither"] / (means["neither"] + means["predicted"] + means["missed"])


EXPERIMENT = Experiment(
    "segmentation",
    arms={
        "none": Style("no regularization", BLACK),
        "topology": Style("topology", VERMILION, "--"),
        "tv": Style("total variation", BLUE, "-."),
        "placebo": Style("topology of shuffled pixels", SKY, (0, (1, 1))),
        "norm": Style("squared norm", YELLOW, (0, (3, 1))),
    },
    titles={
        f"{score}{column}": title.format(text)
        for column, text in (("", ""), ("_noise", ", noise"), ("_blur", ", blur"))
        for score, title in (
            ("miou", "mIoU{} (%)"),
            ("person_iou", "person IoU{} (%)"),
            ("betti_error", "Betti error{}"),
            ("matching_error", "Betti matching error{}"),
        )
    },
    curves={"miou": "validation mIoU (%)", "person_iou": "person IoU (%)", "val_mse": "validation loss (MSE)"},
    digits=2,
    goal="miou",
    pooled={"miou": lambda means: (person_iou(means) + background_iou(means)) / 2, "person_iou": person_iou},
)
