"""The commands of docs/experiments/reproduce.md: understood, with the paper's settings, and their folders are named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tyro

from experiments.depth import config as depth
from experiments.depth.settle import settle as settle_depth
from experiments.segmentation import activations
from experiments.segmentation import config as segmentation

PAGE = (Path(__file__).parents[2] / "docs/experiments/reproduce.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ python -m experiments\.([\w.]+) (.*)$", re.sub(r" \\\n +", " ", PAGE), re.MULTILINE)
assert len(COMMANDS) == 9, COMMANDS
LAYERS = "segmentation.activations"


def parsed(experiment: str, options: str) -> Any:
    module: Any = {"segmentation": segmentation, "depth": depth}[experiment]
    default = module.DEMO if "--demo" in options else module.Config()
    settle: Any = {"segmentation": segmentation.settle, "depth": settle_depth}[experiment]
    return settle(tyro.cli(module.Config, args=options.split(), default=default))


@pytest.mark.parametrize(("experiment", "options"), [found for found in COMMANDS if found[0] != LAYERS])
def test_commands_that_train(experiment: str, options: str) -> None:
    config = parsed(experiment, options)
    assert f"`{config.folder.name}" in PAGE or f"runs/{config.folder.name}/" in PAGE
    if config.demo:
        assert config.data == "scenes"
    elif experiment == "depth":
        assert {name: getattr(config, name) for name in depth.PAPER[config.model]} == depth.PAPER[config.model]
        assert config.data == "diode" and config.size == (384, 512)
    else:
        assert (config.data, config.layer, config.k, config.lr) == ("coco", "dec4", 8, 0.01)
        assert config.epochs == (100 if config.name == "layers" else 50)


@pytest.mark.parametrize("options", [options for experiment, options in COMMANDS if experiment == LAYERS])
def test_commands_that_draw_layers(options: str) -> None:
    found = tyro.cli(activations.Options, args=options.split())
    folder = (activations.DEMO.folder / "seed0-none" if found.demo else found.run) / "activations"
    assert f"`{folder.relative_to('runs')}`" in PAGE


def test_every_table_and_figure_is_there() -> None:
    rows = re.findall(r"^\| (Table|Figures?) (.*?) \|", PAGE, re.MULTILINE)
    numbers = [(kind[:5], int(number)) for kind, text in rows for number in re.findall(r"\d+", text.split(",")[0])]
    assert {number for kind, number in numbers if kind == "Table"} == {1, 2}
    assert {number for kind, number in numbers if kind == "Figur"} == set(range(1, 12))
