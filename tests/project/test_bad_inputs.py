"""Contract 9: what is bad is refused by name, with what was expected, what came, and what to do about it."""

from __future__ import annotations

from collections import Counter

import pytest

import topolayer as tl
from topolayer import losses, metrics, nn

from ..helpers.bad_inputs import BARCODES, FILTRATIONS, LAYERS, MATCHINGS, WITHOUT_INPUT, Bad
from ..helpers.bad_learning import LEARNING
from ..helpers.bad_samples import SAMPLES

TABLE = [*FILTRATIONS, *BARCODES, *MATCHINGS, *LAYERS, *LEARNING, *SAMPLES]


@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: f"{bad.name}-{bad.argument}-{bad.came}")
def test_a_message_has_its_four_parts(bad: Bad) -> None:
    with pytest.raises(bad.error) as raised:
        bad.call()
    message = str(raised.value)
    argument, _, rest = message.partition(": ")
    assert argument == bad.argument
    for part in (bad.expected, bad.came, bad.remedy):
        assert part in rest, f"{part!r} is not in {message!r}"


def test_every_public_name_is_there_twice() -> None:
    found = Counter(bad.name for bad in TABLE)
    assert found.keys() | WITHOUT_INPUT == {*tl.__all__, *losses.__all__, *metrics.__all__, *nn.__all__}
    assert not found.keys() & WITHOUT_INPUT
    assert min(found.values()) >= 2
    assert len({bad[2:] + bad[:1] for bad in TABLE}) == len(TABLE) >= 70
