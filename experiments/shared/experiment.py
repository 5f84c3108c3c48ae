"""The declaration of an experiment: how its arms are drawn, which scores are reported, which curves are shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# Colours that colour-blind readers tell apart, by Okabe and Ito.
BLACK, BLUE, VERMILION, GREEN, PURPLE, ORANGE = "#333333", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
SKY, YELLOW = "#56B4E9", "#F0E442"


@dataclass(frozen=True)
class Style:
    """How an arm is called and drawn."""

    label: str
    colour: str
    dashes: Any = "-"


@dataclass(frozen=True)
class Experiment:
    """An experiment that trains, under the name of its folder.

    `titles` are those of the scores, which are columns of the metrics, `further` gives titles to columns that `titles`
    cannot list beforehand, and None to all others. `goal` is the score by which one sees how many epochs an arm takes
    to where the baseline ends; higher is better.

    Each run leaves numbers of each validation image behind. A score is the mean over the images of the column with its
    name, or what `pooled` makes of the means of the columns. Images of one of the `blocks`, consecutive ones, resemble
    each other; 0: each is by itself.
    """

    name: str
    arms: Mapping[str, Style]
    titles: Mapping[str, str]
    curves: Mapping[str, str]
    digits: int
    goal: str = ""
    further: Callable[[str], str | None] = lambda name: None
    pooled: Mapping[str, Callable[[Mapping[str, Any]], Any]] = dataclasses.field(default_factory=dict)
    blocks: int = 0

    def of(self, columns: Iterable[str]) -> Experiment:
        """This experiment with the titles of all scores among these columns, and of no others."""
        columns = list(columns)
        titles = {name: title for name, title in self.titles.items() if name in columns}
        further = {name: self.further(name) for name in columns if name not in titles}
        return dataclasses.replace(self, titles=titles | {name: title for name, title in further.items() if title})
