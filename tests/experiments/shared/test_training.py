"""The batches and the learning rate's schedule."""

from __future__ import annotations

import pytest
import torch

from experiments.segmentation.config import Config
from experiments.shared.console import UserError
from experiments.shared.training import epoch_batches, halvings, steps_per_epoch


def test_twelve_halvings_every_four_epochs_of_fifty() -> None:
    steps = 7
    for epoch in range(50):
        assert halvings(epoch * steps, steps=steps, epochs=50) == epoch // 4
        assert halvings(epoch * steps + steps - 1, steps=steps, epochs=50) == epoch // 4
    asked = [(25, 0), (100, 0), (100, 80)]
    assert [Config(epochs=epochs, halving_epochs=over).twelve_halvings for epochs, over in asked] == [25, 50, 80]
    assert halvings(99 * steps, steps=steps, epochs=50) == 24


@pytest.mark.parametrize("epochs", [2, 6, 25, 49, 120])
def test_other_runs_have_as_many_halvings(epochs: int) -> None:
    steps = 20
    counts = [halvings(step, steps=steps, epochs=epochs) for step in range(epochs * steps)]
    assert counts[0] == 0 and counts[-1] == 12 and set(counts) == set(range(13))


def test_batches_are_a_permutation_without_the_incomplete_one() -> None:
    batches = epoch_batches(10, 4, seed=1, epoch=0)
    assert steps_per_epoch(10, 4) == len(batches) == 2
    assert len(set(torch.cat(batches).tolist())) == 8
    again, other = epoch_batches(10, 4, seed=1, epoch=0), epoch_batches(10, 4, seed=1, epoch=1)
    assert torch.equal(torch.cat(batches), torch.cat(again))
    assert not torch.equal(torch.cat(batches), torch.cat(other))
    with pytest.raises(UserError, match="lower --batch-size"):
        steps_per_epoch(3, 4)
