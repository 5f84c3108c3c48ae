"""The share of a training step: what is timed, and that it is the step of the segmentation."""

from __future__ import annotations

import dataclasses

import pytest

from experiments.segmentation import config as segmentation
from experiments.speed.step import DEMO, PAPER, Training, share


def test_the_share_of_a_step() -> None:
    steps: list[int] = []
    tiny = dataclasses.replace(DEMO, name="tiny", width=2, batch_size=2)
    found = share(tiny, steps=2, advance=lambda: steps.append(1))
    assert len(steps) == 3 and (found.name, found.what) == ("tiny", "64x64, width 2, batch 2, dec2")
    assert min(found.hook, found.penalty, found.backward) > 0
    assert 0 < found.share < 1 and found.hook + found.penalty + found.backward < found.step


@pytest.mark.parametrize(("training", "config"), [(PAPER, segmentation.Config()), (DEMO, segmentation.DEMO)])
def test_steps_are_those_of_the_segmentation(training: Training, config: segmentation.Config) -> None:
    settled = segmentation.settle(config)
    named = {field.name for field in dataclasses.fields(Training)} - {"name"}
    assert {name: getattr(training, name) for name in named} == {name: getattr(settled, name) for name in named}
