"""The arms and scores of the experiment on boundaries."""

from __future__ import annotations

from experiments.shared.experiment import BLACK, BLUE, GREEN, VERMILION, Experiment, Style

EXPERIMENT = Experiment(
    "boundaries",
    arms={
        "none": Style("Dice and cross-entropy", BLACK),
        "wasserstein": Style("and Wasserstein matching", BLUE, "-."),
        "betti": Style("and Betti matching", VERMILION, "--"),
        "cldice": Style("and soft clDice", GREEN, ":"),
    },
    titles={"dice": "Dice (%)"}
    | {
        f"{score}{column}": f"{title}{text}"
        for column, text in (("", ""), ("_v", ", 4-connected"))
        for score, title in (
            ("betti0_error", "Betti error 0"),
            ("betti1_error", "Betti error 1"),
            ("matching_error", "Betti matching error"),
            ("rand_error", "adapted Rand error"),
        )
    }
    | {"train_term_share": "time of the term (% of a step)"},
    curves={
        "val_loss": "validation loss (Dice and cross-entropy)",
        "dice": "Dice (%)",
        "matching_error": "Betti matching error",
        "rand_error": "adapted Rand error",
    },
    digits=3,
    goal="dice",
    blocks=6,
)
