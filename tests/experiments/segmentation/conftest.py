"""Four photographs in COCO's layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SIDE = 80  # of the photographs; not the side they are resized to


def square(left: int, top: int, right: int, bottom: int) -> list[int]:
    return [left, top, right, top, right, bottom, left, bottom]


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """COCO's uncompressed run-length encoding: column by column, beginning with the number of zeros."""
    flat = mask.flatten(order="F").astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


@pytest.fixture
def coco_root(tmp_path: Path) -> Path:
    """`train`: 1 polygons, 2 run lengths, 3 polygon and crowd, 4 a dog alone. `val`: 1 and 2."""
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    crowd = np.zeros((SIDE, SIDE))
    crowd[:, 40:] = 1
    column = np.zeros((SIDE, SIDE))
    column[10:30, 20:40] = 1
    annotations = [
        {"image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": [square(0, 0, 40, 40), square(40, 40, 80, 80)]},
        {"image_id": 2, "category_id": 1, "iscrowd": 0, "segmentation": run_lengths(column)},
        {"image_id": 3, "category_id": 1, "iscrowd": 0, "segmentation": [square(0, 0, 20, 80)]},
        {"image_id": 3, "category_id": 1, "iscrowd": 1, "segmentation": run_lengths(crowd)},
        {"image_id": 4, "category_id": 18, "iscrowd": 0, "segmentation": [square(0, 0, 80, 80)]},
        {"image_id": 1, "category_id": 18, "iscrowd": 0, "segmentation": [square(0, 0, 80, 80)]},
    ]
    rng = np.random.default_rng(0)
    for split, ids in {"train": (1, 2, 3, 4), "val": (1, 2)}.items():
        (root / split).mkdir()
        images = []
        for image in ids:
            pixels = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / split / f"{image}.jpg")
            images.append(
                {
                    "id": image,
                    "file_name": f"{image}.jpg",
                    "width": SIDE,
                    "height": SIDE,
                    "license": 7,
                    "flickr_url": "url",
                }
            )
        content = {
            "images": images,
            "annotations": [
                annotation | {"id": number, "bbox": [0, 0, 1, 1], "area": 1}
                for number, annotation in enumerate(annotations, 1)
                if annotation["image_id"] in ids
            ],
            "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
            "licenses": [{"id": 7, "name": "some licence"}],
        }
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return root
