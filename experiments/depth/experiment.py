"""The arms and scores of the depth experiment."""

from __future__ import annotations

import re

from experiments.shared.experiment import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, YELLOW, Experiment, Style

TITLES = {
    "mae": "mae (m)",
    "rmse": "rmse (m)",
    "abs_rel": "abs rel (by prediction)",
    "abs_rel_usual": "abs rel (by truth)",
    "mae_log10": "mae log10",
    "rmse_log10": "rmse log10",
    "delta1": "δ1",
    "delta2": "δ2",
    "delta3": "δ3",
}


def title_by_range(name: str) -> str | None:
    """The title of an error by depth range, whose limits depend on the data.

    >>> title_by_range("mae_from_0.6_to_2")
    'mae (m), 0.6 to 2 m'
    """
    found = re.fullmatch(r"(mae|abs_rel_usual)_from_([^_]+)_to_([^_]+)", name)
    return found and f"{TITLES[found[1]]}, {found[2]} to {found[3]} m"


EXPERIMENT = Experiment(
    "depth",
    arms={
        "none": Style("no regularization", BLACK),
        "topology": Style("topology", VERMILION, "--"),
        "tv": Style("total variation", BLUE, "-."),
        "tv+topology": Style("total variation and topology", GREEN, ":"),
        "sublevel": Style("topology, sublevel sets", PURPLE, (0, (5, 1))),
        "tv+sublevel": Style("total variation and sublevel sets", ORANGE, (0, (3, 1, 1, 1))),
        "placebo": Style("topology of shuffled pixels", SKY, (0, (1, 1))),
        "norm": Style("squared norm", YELLOW, (0, (3, 1))),
    },
    titles=TITLES,
    curves={"val_loss": "validation loss", "delta1": "δ1", "delta2": "δ2", "delta3": "δ3"},
    digits=4,
    goal="delta1",
    further=title_by_range,
    blocks=20,
)
