"""The columns of a table: what each holds, against functions of the barcode, and options that are refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

import topolayer as tl

pytest.importorskip("pyarrow", reason="needs the extra `tables`")
from topolayer.tables import Vectors

VOLUME = torch.rand(5, 6, 7, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("values", [VOLUME, VOLUME[0], VOLUME[0, 0], torch.ones(4, 4)])
@pytest.mark.parametrize("filtration", ["T", "V", "freudenthal"])
@pytest.mark.parametrize("superlevel", [False, True])
def test_columns_are_what_the_bars_give(values: torch.Tensor, filtration: Any, superlevel: bool) -> None:
    dims = tuple(range(values.ndim))
    options = {"ndim": values.ndim, "superlevel": superlevel}
    if filtration == "freudenthal":
        barcode = tl.persistence(tl.Freudenthal(values, **options), dims)
    else:
        barcode = tl.persistence(tl.Cubical(values, construction=filtration, **options), dims)
    vectors = Vectors(filtration, superlevel, dims, longest=3, levels=(0, 1, 5), landscapes=2, lengths=(0, 0.5, 3))
    columns = vectors(values)
    levels = torch.linspace(0, 1, 5)
    for dim in dims:
        bars = barcode.select(dim=dim)
        lengths = sorted(((b - d).abs().item() for b, d in zip(bars.births, bars.deaths, strict=True)), reverse=True)
        expected = {
            "bars": torch.tensor(float(len(lengths))),
            "total": torch.tensor(sum(lengths)),
            "total_squared": torch.tensor(sum(length**2 for length in lengths)),
            "entropy": tl.persistent_entropy(bars),
            "longest": torch.tensor([*lengths, 0, 0, 0][:3]).float(),
            "curve": torch.stack([tl.betti_numbers(bars, level) for level in levels.tolist()]),
            "landscape": torch.cat(list(tl.landscape(bars, levels, k=2))),
            "image": tl.persistence_image(bars, levels, torch.linspace(0, 0.5, 3), sigma=0.25).flatten(),
        }
        found = {name: columns.pop(f"h{dim}_{name}") for name in expected}
        torch.testing.assert_close(found, expected, check_dtype=False)
    assert not columns


def test_the_width_of_gaussians_may_be_given() -> None:
    wide = Vectors(dims=(0,), levels=(0, 1, 5), lengths=(0, 1, 4), sigma=2.0)(VOLUME[0])["h0_image"]
    bars = tl.persistence(tl.Cubical(VOLUME[0], construction="T"))
    image = tl.persistence_image(bars, torch.linspace(0, 1, 5), torch.linspace(0, 1, 4), sigma=2.0)
    torch.testing.assert_close(wide, image.flatten())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"filtration": "F"}, ValueError, 'filtration: expected "T" (pixels are cells)'),
        ({"superlevel": 1}, TypeError, "superlevel: expected a bool"),
        ({"dims": ()}, ValueError, "dims: expected different dimensions >= 0, got ()"),
        ({"dims": (0, 0)}, ValueError, "got (0, 0); 0 stands for components"),
        ({"dims": (-1,)}, ValueError, "got (-1,)"),
        ({"dims": "0"}, TypeError, "dims: expected ints"),
        ({"longest": 0}, ValueError, "longest: expected an int >= 1, got 0"),
        ({"landscapes": 0}, ValueError, "landscapes: expected an int >= 1, got 0"),
        ({"levels": (0, 1)}, TypeError, "levels: expected three numbers: the first point, the last, and how many"),
        ({"levels": 5}, TypeError, "got int 5; (0, 1, 32), for instance"),
        ({"levels": (0, float("nan"), 4)}, ValueError, "levels: expected a finite number"),
        ({"levels": (0, 1, 1)}, ValueError, "levels: expected an int, the last of three numbers"),
        ({"levels": (0, 1, 1.5)}, TypeError, "got float 1.5"),
        ({"levels": (1, 1, 4)}, ValueError, "different first and last points, got (1, 1, 4)"),
        ({"lengths": (0, 1, 4)}, ValueError, "levels: expected the columns of images beside their rows"),
        ({"sigma": 0}, ValueError, "sigma: expected a number > 0, got 0; leave it out"),
    ],
)
def test_options_are_refused_at_once(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        Vectors(**options)


def test_dimensions_that_an_image_has_not_are_refused() -> None:
    with pytest.raises(ValueError, match="dims: expected dimension"):
        Vectors(dims=(0, 2))(VOLUME[0])
