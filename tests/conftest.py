"""Settings that every test shares."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, settings

from .helpers.regularized import Net

settings.register_profile(
    "fixed",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    print_blob=False,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fixed")

os.environ["MPLBACKEND"] = "agg"  # no windows


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    """Tests are many and small; those that need threads ask for them."""
    torch.set_num_threads(1)


@pytest.fixture
def threads() -> Iterator[None]:
    """For a test that sets the number of threads: puts it back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def net(seeded: None) -> Net:
    """The model of the regularizer's tests, with the same weights in each."""
    return Net()


@pytest.fixture
def closed_figures() -> Iterator[None]:
    """For a test that draws: no figure is left open, no setting changed."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    before = dict(mpl.rcParams)
    yield
    plt.close("all")
    assert dict(mpl.rcParams) == before
