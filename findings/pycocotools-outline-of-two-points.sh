#!/usr/bin/env bash
# pycocotools 2.0.11, mask.frPyObjects, the way from COCO's polygons to masks
#
# Behaviour: what an outline of four numbers (two points: annotation tools leave such behind when a click is undone) does
# depends on its place among the outlines of an object. The first outline decides for all: with four numbers the whole list
# is taken for boxes, and a TypeError about an argument 'bb' follows, although the other outlines are proper polygons. In
# second place the same four numbers are a polygon without area, and no message appears.
#
# Output seen: [two points, triangle] raises "Argument 'bb' has incorrect type"; [triangle, two points] has the area of the
# triangle, 6.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pycocotools==2.0.11 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
from pycocotools import mask

triangle, two_points = [0, 0, 4, 0, 0, 4], [10, 10, 15, 15]


def area(*outlines):
    return int(mask.area(mask.merge(mask.frPyObjects(list(outlines), 20, 20))))


try:
    area(two_points, triangle)
    first = "accepted"
except TypeError as error:
    first = str(error)
print("two points first:", first, "| two points second: area", area(triangle, two_points), "of", area(triangle))
assert "'bb'" in first
assert area(triangle, two_points) == area(triangle) == 6
PYTHON
