"""The arms and scores of the segmentation."""

from __future__ import annotations

from experiments.shared.experiment import BLACK, BLUE, SKY, VERMILION, YELLOW, Experiment, Style

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
        )
    },
    curves={"miou": "validation mIoU (%)", "person_iou": "person IoU (%)", "val_mse": "validation loss (MSE)"},
    digits=2,
    goal="miou",
)
