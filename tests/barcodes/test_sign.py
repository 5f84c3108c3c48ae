"""Contract 1: superlevel bars are in the input's own units; nothing negated ever reaches a user."""

from __future__ import annotations

import pytest
import torch

import topolayer as tl

from ..helpers.comparing import pairings, persistence
from ..helpers.families import FAMILIES, Family


@pytest.mark.parametrize(("backend", "family", "dims"), pairings(tuple(FAMILIES)))
def test_birth_and_death_in_own_units(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    """birth >= death above, birth <= death below, length = |birth - death| in both."""
    values = family.random((3,), levels=9)
    values = values if family.kind == "rips" else values + 100  # so that a forgotten sign shows
    for superlevel in family.signs:
        barcode = persistence(family.make(values, superlevel), dims, backend)
        assert len(barcode) > 0
        if superlevel:
            assert (barcode.births > barcode.deaths).all()
        else:
            assert (barcode.births < barcode.deaths).all()
        assert torch.equal(barcode.lengths, (barcode.births - barcode.deaths).abs())
        assert (barcode.lengths > 0).all()
        for tensor in (barcode.births, barcode.deaths, barcode.essential.births):
            assert torch.isin(
                tensor, values if family.kind != "rips" else torch.cat([values.flatten(), torch.zeros(1)])
            ).all()


def test_midpoints_of_superlevel_bars_are_in_own_units() -> None:
    """A fractional q is fine for a positive image filtered from above, and refused for a negative one."""
    image = torch.tensor([[1.0, 3.0, 2.0, 4.0, 1.0]])
    barcode = tl.persistence(tl.Freudenthal(image, superlevel=True))
    assert tl.algebraic(barcode, p=1, q=0.5).item() == pytest.approx(1 * 2.5**0.5)
    with pytest.raises(ValueError, match="q"):
        tl.algebraic(tl.persistence(tl.Freudenthal(-image)), p=1, q=0.5)


@pytest.mark.parametrize("family", [f for f in FAMILIES if True in f.signs], ids=lambda family: family.name)
def test_values_of_a_filtration_are_those_given(family: Family) -> None:
    values = family.random((2,))
    assert torch.equal(family.make(values, True).values, values)
    assert family.make(values, True).superlevel is True
    assert family.make(values, False).superlevel is False
