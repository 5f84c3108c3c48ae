"""Every public name has a docstring and a place in the reference, and the examples in docstrings are right."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import pytest
import torch

import topolayer as tl
from topolayer import plot

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(tl.__path__, "topolayer.")
    if not module.name.endswith("._core")  # compiled
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    plt.close("all")
    assert results.failed == 0


@pytest.mark.parametrize(("module", "name"), [(m, name) for m in (tl, plot) for name in m.__all__])
def test_public_names_are_explained(module: ModuleType, name: str) -> None:
    thing = getattr(module, name)
    assert inspect.getdoc(thing)
    if inspect.isfunction(thing):
        assert ">>>" in (thing.__doc__ or "") or name == "register_backend"


def test_the_reference_has_every_public_name() -> None:
    reference = (Path(__file__).parents[1] / "docs/reference.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\.\. auto\w+:: (\w+)", reference, re.MULTILINE)
    assert sorted(listed) == sorted([*tl.__all__, *plot.__all__])
