"""The code in the README and in the guide to backends runs, and prints what is written there."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn

import topolayer as tl
from topolayer import _backends

from ..helpers.comparing import OF_RIPS

ROOT = Path(__file__).parents[2]
# A block of Python, and the block of text right after it, if there is one: its output.
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
CELL = re.compile(r"^```\{code-cell\}\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def training() -> dict[str, Any]:
    """What readers of the README have already: a segmentation; a model with a layer `decoder`, data, an optimizer."""
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("decoder", nn.Conv2d(1, 4, 3))
    model.add_module("head", nn.Conv2d(4, 1, 1))
    return {
        "logits": torch.randn(2, 3, 16, 16, requires_grad=True),
        "labels": torch.randint(0, 3, (2, 16, 16)),
        "cross_entropy": nn.functional.cross_entropy,
        "tl": tl,
        "model": model,
        "loader": [(torch.rand(2, 1, 16, 16), torch.rand(2, 1, 14, 14))] * 2,
        "weight": 1e-5,
        "criterion": nn.functional.mse_loss,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.01),
    }


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a page registers is forgotten."""
    monkeypatch.setattr(_backends, "_registry", dict(_backends._registry))
    with torch.random.fork_rng(devices=[]):
        yield


def run(code: str, page: str, names: dict[str, Any]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, page, "exec"), names)
    return printed.getvalue()


def test_the_code_of_the_readme() -> None:
    names = training()
    found = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(found) == 3
    for code, expected in found:
        assert run(code, "README.md", names) == expected


def test_the_cells_of_the_guide_to_backends() -> None:
    page = "docs/tutorials/backends.md"
    names: dict[str, Any] = {}
    printed = "".join(run(code, page, names) for code in CELL.findall((ROOT / page).read_text(encoding="utf-8")))
    plt.close("all")
    assert printed.count("the same pairs: True") == 3  # native, torch, gudhi
    optional = " +0, 1, 2" * (len(OF_RIPS) - 2)  # redzed and ripser, if installed
    for row in (r"Freudenthal +0, 1, 2 +0, 2 +0, 1, 2", rf"Rips +0, 1{optional} +0, 1, 2", r"Alpha +0, 1, 2 +0, 1, 2"):
        assert re.search(f"^{row} *$", printed, re.MULTILINE)
    assert printed.endswith("10 True\n")  # the backend of the last cell against native
    assert "cripser" in tl.backends()


def test_the_training_loop_of_the_readme_has_a_penalty_to_lower() -> None:
    names = training()
    with tl.Regularizer(names["model"], {"decoder": tl.few_maxima}) as regularizer:
        names["model"](names["loader"][0][0])
        assert regularizer() > 0


FILTRATIONS: dict[str, list[Any]] = {
    "Freudenthal": [tl.Freudenthal(torch.zeros((2,) * n), ndim=n) for n in (1, 2, 3)],
    "Cubical": [tl.Cubical(torch.zeros((2,) * n), ndim=n, construction=c) for n in (1, 2, 3) for c in ("V", "T")],
    "LowerStar`: function on a graph": [tl.LowerStar(torch.zeros(4), torch.tensor([[0, 1]]))],
    "LowerStar`: function on a mesh": [tl.LowerStar(torch.zeros(4), torch.arange(d + 1)[None]) for d in (2, 3)],
    "Simplicial": [tl.Simplicial(torch.zeros(7), tl.Alpha(torch.eye(3)).simplices)],
    "Rips": [tl.Rips(torch.zeros(4, 4))],
    "Alpha": [tl.Alpha(torch.eye(3)), tl.Alpha(torch.eye(3, 2))],
}


def test_the_table_of_dimensions_is_what_the_backends_say() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith(tuple(f"| `{name}" for name in FILTRATIONS))
    ]
    assert len(rows) == len(FILTRATIONS)
    for name, _, *cells in rows:
        for filtration in next(some for start, some in FILTRATIONS.items() if name.startswith(f"`{start}")):
            top = 2 if filtration.top_dimension is None else filtration.top_dimension
            dims = {"": set(), "0": {0}, "0 and 1": {0, 1}, "0 and top": {0, top}, "all": set(range(top + 1))}
            native, of_torch, optional, gudhi = cells
            cells_of = {"native": native, "torch": of_torch, "redzed": optional, "ripser": optional, "gudhi": gudhi}
            for backend, cell in cells_of.items():
                if backend == "redzed" and importlib.util.find_spec("redzed_tda") is None:
                    continue
                unsupported = tl.backends()[backend].unsupported
                assert {d for d in range(top + 1) if unsupported(filtration, (d,)) is None} == dims[cell], backend


def test_files_that_the_readme_points_to_exist() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing
