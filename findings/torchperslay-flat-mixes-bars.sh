#!/usr/bin/env bash
# torchperslay 0.1.5, Perslay with FlatPerslayPhi (torch 2.13.0)
#
# Behaviour: FlatPerslayPhi says it returns (points, samples) for each diagram. It broadcasts points against samples with an
# axis too many, which it takes out again only where a diagram has one point. From two points on it returns
# (diagrams, 1, points, samples), so the weight of every point is multiplied with the features of every other, and the
# sum over points runs over the weights alone: the result has an axis of points left, and entry i is the features of
# point i times the sum of all weights. A layer behind it that acts on the last axis takes this without an error.
# GaussianPerslayPhi is right.
#
# Output seen: one point gives the shape (1, 3) and the right numbers. Two points, both of weight 1, give the shape (1, 2, 3)
# and [[1.954, 1.954, 0.046], [0.046, 1.954, 1.954]] where [[1.000, 1.954, 1.000]] is right. With the weights 1 and 3 each
# point counts four times.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torchperslay==0.1.5 torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from perslay import FlatPerslayPhi, Perslay, PowerPerslayWeight

levels, theta = [0.5, 1.0, 1.5], 15.0
diagram = torch.tensor([[0.25, 1.25], [0.75, 1.75]])  # births and deaths, both of length 1


def expected(diagram, weights):
    """The sum over points of w * sigmoid(theta * (half the length - distance of the level from the middle))."""
    births, deaths = diagram[:, :1], diagram[:, 1:]
    middles, halves = (births + deaths) / 2, (deaths - births) / 2
    return (weights[:, None] * torch.sigmoid(theta * (halves - (torch.tensor(levels) - middles).abs()))).sum(0)


def found(diagram, weight):
    layer = Perslay(weight, FlatPerslayPhi(levels, theta), torch.sum, torch.nn.Identity())
    return layer(diagram[None]).detach()


ones, one_and_three = torch.ones(2), torch.tensor([1.0, 3.0])
alone = found(diagram[:1], lambda diagrams: torch.ones(diagrams.shape[:2]))
both = found(diagram, lambda diagrams: torch.ones(diagrams.shape[:2]))
weighted = found(diagram, lambda diagrams: one_and_three.expand(diagrams.shape[:2]))
print("one point:", alone.shape, alone.tolist(), "expected:", expected(diagram[:1], ones[:1]).tolist())
print("two points:", both.shape, both.tolist(), "expected:", expected(diagram, ones).tolist())
print("with weights 1 and 3:", weighted.tolist(), "expected:", expected(diagram, one_and_three).tolist())
assert torch.allclose(alone[0], expected(diagram[:1], ones[:1]))
assert both.shape == (1, 2, 3)
for point in range(2):
    features = expected(diagram[[point]], ones[:1])
    assert torch.allclose(both[0, point], 2 * features)
    assert torch.allclose(weighted[0, point], 4 * features)

# A weight of the package, and a layer behind.
layer = Perslay(PowerPerslayWeight(1.0, 1.0), FlatPerslayPhi(levels, theta), torch.sum, torch.nn.Linear(3, 2))
print("with PowerPerslayWeight and Linear(3, 2):", layer(diagram[None]).shape)
assert layer(diagram[None]).shape == (1, 2, 2)
PYTHON
