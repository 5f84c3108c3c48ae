"""Photographs with people, from a folder in COCO's public layout.

    ROOT/annotations/instances_train2014.json   ROOT/train2014/*.jpg
    ROOT/annotations/instances_val2014.json     ROOT/val2014/*.jpg

or the same with 2017, or with no year. The target is the union of all persons, as in the paper, which keeps the
images with people only. Images and masks are *stretched* to a square: no border enters the loss or the score.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO

from experiments.shared import cache as cache_of
from experiments.shared.console import UserError, log
from experiments.shared.images import ImageSet, Rows

YEARS = ("2014", "2017", "")

FARTHEST = 1e5  # pixels: pycocotools walks along every edge, out of an image too

Crowd = Literal["include", "exclude"]
Outline = list[list[float]] | np.ndarray  # polygons, or run lengths


def load_persons(
    root: Path,
    split: str,
    size: int,
    *,
    crowd: Crowd = "include",
    limit: int = 0,
    threads: int = 2,
    people_shown: bool = True,
    cache: Path | None = None,
) -> ImageSet:
    """All images of a split ("train" or "val") that show people, or all that do not, as `size` x `size` pixels.

    Crowd annotations (`iscrowd`, a region filled with people that nobody outlined one by one) count as person by
    default: their pixels are people, and leaving them out would teach that they are background. Images that cannot
    be read are named, skipped and counted; so are outlines that enclose nothing, which are not named.

    With `cache` the pixels live in files of this folder, and are used again, without a look at the annotations, as long
    as these are the same.
    """
    annotation_file, folder = _find(root, split)
    changed = annotation_file.stat().st_mtime_ns
    source = _Source(str(annotation_file), f"{changed}, {size}, {crowd}, {limit}, {people_shown}", cache, threads)
    noted = cache_of.noted(cache, source.version)
    if noted is not None:
        return _images(source, noted, lambda i: (), size)
    coco = _read(annotation_file)
    persons = coco.getCatIds(catNms=["person"])
    annotations = coco.loadAnns(coco.getAnnIds(catIds=persons, iscrowd=None)) if persons else []
    annotations = [annotation for annotation in annotations if annotation["image_id"] in coco.imgs]
    people: dict[int, list[Outline]] = {}
    faulty: list[int] = []  # how many outlines of each annotation
    for annotation in annotations:
        if crowd == "include" or not annotation.get("iscrowd"):
            outline, dropped = _usable(annotation.get("segmentation"), coco.imgs[annotation["image_id"]])
            faulty += [dropped] if dropped else []
            if outline is not None:
                people.setdefault(annotation["image_id"], []).append(outline)
    if faulty:
        log.warning(
            "%s: %d outlines of people skipped, in %d of %d annotations: they are empty, have fewer than three points, "
            "enclose nothing, or are run lengths that do not fill their image",
            annotation_file, sum(faulty), len(faulty), len(annotations),
        )  # fmt: skip
    shown = {annotation["image_id"] for annotation in annotations}  # people, whatever becomes of crowds and outlines
    ids = sorted(people if people_shown else set(coco.imgs) - shown)[: limit or None]
    if not ids and people_shown:
        raise UserError(f"{annotation_file} has no image with people in it: is it COCO's instances file?")
    if not ids:
        raise UserError(f"{annotation_file} has no image without people in it")

    def load(i: int) -> tuple[np.ndarray, ...]:
        record = coco.imgs[ids[i]]
        with Image.open(folder / record["file_name"]) as file:
            image = file.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        mask = _union(people.get(ids[i], []), record["height"], record["width"])
        resized = Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST)
        return np.asarray(image), np.asarray(resized, dtype=bool)

    licences = {entry["id"]: entry["name"] for entry in coco.dataset.get("licenses", [])}
    noted = {
        "names": [str(coco.imgs[i]["file_name"]) for i in ids],
        "ids": ids,
        "credits": [_credit(coco.imgs[i], licences) for i in ids],
        "people": [len(people.get(i, [])) for i in ids],
    }
    return _images(source, noted, load, size)


@dataclass(frozen=True)
class _Source:
    """Where images are read from and kept; `version` says all that they depend on beside `what`."""

    what: str
    version: str
    cache: Path | None
    threads: int


def _images(
    source: _Source, noted: dict[str, Any], load: Callable[[int], tuple[np.ndarray, ...]], size: int
) -> ImageSet:
    """The images that `noted` names, those that can be read."""
    layout = {"images": ((size, size, 3), np.uint8), "masks": ((size, size), bool)}
    arrays, kept = cache_of.read_all(
        noted["names"],
        load,
        layout,
        what=source.what,
        threads=source.threads,
        cache=source.cache,
        version=source.version,
        notes=noted,
    )
    rows = torch.tensor(kept, dtype=torch.int64)
    whole = [torch.from_numpy(array) for array in arrays]
    images, masks = (part[rows] if source.cache is None else Rows(part, rows) for part in whole)
    return ImageSet(
        images,
        masks,
        names=tuple(f"COCO {noted['ids'][i]}" for i in kept),
        credits=tuple(noted["credits"][i] for i in kept),
        people=tuple(noted["people"][i] for i in kept),
    )


def _find(root: Path, split: str) -> tuple[Path, Path]:
    if not root.is_dir():
        raise UserError(f"there is no folder {root}: pass the folder that holds COCO's annotations/ as --root")
    names = [f"{split}{year}" for year in YEARS]
    for name in names:
        annotation_file = root / "annotations" / f"instances_{name}.json"
        if annotation_file.is_file():
            folder = root / name
            if not folder.is_dir():
                raise UserError(f"{annotation_file} is there, but its images are not: no folder {folder}")
            return annotation_file, folder
    wanted = ", ".join(f"instances_{name}.json" for name in names)
    raise UserError(f"{root} is not in COCO's layout: none of {wanted} is in {root / 'annotations'}")


def _read(annotation_file: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports its progress by print
        try:
            return COCO(str(annotation_file))
        except (json.JSONDecodeError, UnicodeDecodeError, AssertionError, KeyError) as error:
            raise UserError(f"{annotation_file} is not a COCO annotation file: {error!r}") from error


def _usable(segmentation: Any, record: dict[str, Any]) -> tuple[Outline | None, int]:
    """The part of an annotation's `segmentation` that encloses pixels, and how many outlines enclose none."""
    if isinstance(segmentation, list):
        polygons = [polygon for polygon in segmentation if _encloses(polygon)]
        return polygons or None, max(len(segmentation), 1) - len(polygons)
    shape = (record["height"], record["width"])
    try:
        lengths = segmentation["counts"]
        lengths = np.asarray(_decoded(lengths) if isinstance(lengths, str | bytes) else lengths, dtype=np.int64)
        fills = tuple(segmentation["size"]) == shape and lengths.ndim == 1 and lengths.sum() == shape[0] * shape[1]
    except (KeyError, TypeError, ValueError, OverflowError):
        return None, 1
    return (lengths, 0) if fills and lengths.min() >= 0 and lengths[1::2].any() else (None, 1)


def _encloses(polygon: Any) -> bool:
    """Whether x, y, x, y, ... are at least three points that do not lie on a line."""
    try:
        points = np.asarray(polygon, dtype=float)
    except (TypeError, ValueError):
        return False
    if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not (np.abs(points) < FARTHEST).all():
        return False
    away = points.reshape(-1, 2) - points[:2]
    farthest = away[np.square(away).sum(1).argmax()]
    return bool((away[:, 0] * farthest[1] != away[:, 1] * farthest[0]).any())


def _decoded(text: str | bytes) -> list[int]:
    """The run lengths in COCO's compressed form.

    Five bits a character; from the fourth number on, each is a difference to the last but one.
    pycocotools decodes them too, but leaves memory as it was where they do not fill the image.
    """
    lengths: list[int] = []
    number = shift = 0
    for character in text.encode() if isinstance(text, str) else text:
        number |= (character - 48 & 0x1F) << shift
        shift += 5
        if not character - 48 & 0x20:
            negative = character - 48 & 0x10
            lengths.append(number - (1 << shift if negative else 0) + (lengths[-2] if len(lengths) > 2 else 0))
            number = shift = 0
    return lengths


def _union(outlines: Sequence[Outline], height: int, width: int) -> np.ndarray:
    """The pixels of any of these outlines."""
    mask = np.zeros((height, width), dtype=bool)
    for outline in outlines:
        if isinstance(outline, list):
            mask |= rle.decode(rle.merge(rle.frPyObjects(outline, height, width))).astype(bool)
        else:  # column by column, beginning with the background
            mask |= np.repeat(np.arange(len(outline)) % 2 == 1, outline).reshape(width, height).T
    return mask * np.uint8(255)


def _credit(record: dict[str, Any], licences: dict[int, str]) -> str:
    licence = licences.get(record.get("license", -1), "licence unknown")
    return f"{record.get('flickr_url', 'source unknown')} ({licence})"
