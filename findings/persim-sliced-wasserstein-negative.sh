#!/usr/bin/env bash
# persim 0.4.1, sliced_wasserstein
#
# Behaviour: bars whose middle lies below 0 get the wrong point of the diagonal: (m, m) is taken for (|m|, |m|). Nothing is
# said. So the distance changes when a constant is added to both diagrams, and grows with that constant, although the
# distance of the paper that is cited does not. Diagrams of superlevel sets, whose values were negated, are all of this
# kind, and so are those of standardized images, of signed distances and of logits. Where all middles are positive, the
# result is right. The bottleneck and the Wasserstein distance of persim are right for both.
#
# Output seen: for {(0, 1), (2, 4)} and {(0, 2)} the distance is 1.444, and with 10 subtracted from all values 13.652; the
# distance by definition is 1.444 for both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check persim==0.4.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from persim import bottleneck, sliced_wasserstein, wasserstein

first, second = np.array([[0.0, 1.0], [2.0, 4.0]]), np.array([[0.0, 2.0]])


def expected(first, second, directions=50):
    """The mean over directions of the distance on a line, each diagram completed by the middles of the other."""
    angles = np.pi * (0.5 + np.arange(directions) / directions)
    lines = np.stack([np.cos(angles), np.sin(angles)])
    one, other = (
        np.sort(np.concatenate([diagram, np.repeat(partner.mean(1, keepdims=True), 2, axis=1)]) @ lines, axis=0)
        for diagram, partner in ((first, second), (second, first))
    )
    return np.abs(one - other).sum(0).mean()


def found(shift):
    return sliced_wasserstein(first + shift, second + shift), expected(first + shift, second + shift)


for shift in (0, -10):
    print("all values", shift, "| sliced_wasserstein and by definition:", *found(shift))
assert np.allclose(found(0), 1.4443, atol=1e-4)
assert np.allclose(found(-10), (13.6522, 1.4443), atol=1e-4)
for distance in (bottleneck, wasserstein):
    assert np.isclose(distance(first, second), distance(first - 10, second - 10))
PYTHON
