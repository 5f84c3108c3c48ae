"""The import of torchvision beside a CPU-only torch."""

from __future__ import annotations

import pytest
import torch

from experiments.shared import compat


def test_the_workaround_for_torchvision_leaves_it_importable() -> None:
    declared = len(compat._declared)
    compat.import_torchvision()  # the second time there is nothing to mend
    assert len(compat._declared) == declared
    torchvision = pytest.importorskip("torchvision")
    assert torchvision.ops.box_area(torch.tensor([[0.0, 0.0, 2.0, 3.0]])) == 6
