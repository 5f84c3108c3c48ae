"""What is shown of depth networks, and that it is drawn."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.depth.config import Arm, Config
from experiments.depth.networks import DepthNetwork
from experiments.depth.pictures import look, showcase
from experiments.depth.settle import settle
from experiments.depth.task import initial_model, load


@pytest.fixture
def models(config: Config) -> dict[Arm, DepthNetwork]:
    return {"none": initial_model(settle(config), 0), "tv+sublevel": initial_model(settle(config), 1)}


def test_what_is_shown_is_what_the_networks_make_of_the_images(config: Config, models: dict[Arm, DepthNetwork]) -> None:
    val = load(settle(config), "val")
    shown = look(models, val, "dec2")
    assert [example.title for example in shown] == list(val.names)
    for index, example in enumerate(shown):
        image, depth, known = val.batch(torch.tensor([index]), torch.device("cpu"))
        torch.testing.assert_close(example.image, image[0].permute(1, 2, 0))
        torch.testing.assert_close(example.truth, torch.where(known, depth, math.nan)[0, 0], equal_nan=True)
        for arm, model in models.items():
            with torch.no_grad():
                torch.testing.assert_close(example.predictions[arm], model.eval()(image)[0, 0])
            assert example.magnitudes[arm].shape == (8, 16) and bool((example.magnitudes[arm] >= 0).all())
    assert not torch.equal(shown[0].magnitudes["none"], shown[0].magnitudes["tv+sublevel"])


def test_pictures_are_drawn(config: Config, models: dict[Arm, DepthNetwork], tmp_path: Path) -> None:
    showcase(tmp_path, models, load(settle(config), "val"), settle(dataclasses.replace(config, layer="dec2")))
    assert {path.name for path in tmp_path.iterdir()} == {"examples.png", "activations.png"}
    for path in tmp_path.iterdir():
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 10, path.name
