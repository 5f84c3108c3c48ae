"""A trained network of the segmentation and what its layers look like: which images are shown, and their pictures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image, UnidentifiedImageError
from scipy.ndimage import label
from torch import Tensor

import topolayer as tl
from experiments.segmentation.coco import load_persons
from experiments.segmentation.config import READERS, Config
from experiments.segmentation.pictures import caption, layers, magnitudes
from experiments.segmentation.task import architecture
from experiments.shared import trained
from experiments.shared.console import UserError, log
from experiments.shared.figures import picture, save
from experiments.shared.images import ImageSet
from experiments.shared.options import check_data
from experiments.shared.scenes import scenes
from experiments.shared.unet import Network
from topolayer import plot

COUNTS = {"none": (0, 0), "one": (1, 1), "two": (2, 2), "several": (3, 9)}  # components of the mask, from and to
WITHOUT_PEOPLE = 20  # that many are looked at
NEIGHBOURS = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]])  # in the Freudenthal triangulation


# --- the network and the images ---------------------------------------------------------------------------------


def load_run(folder: Path, root: Path | None) -> tuple[Config, Network]:
    """The options and the network of a run."""
    run = trained.read(folder, Config)
    config = dataclasses.replace(run.options, root=root)
    check_data(config, {"root": READERS["root"]})
    return config, trained.network(run, architecture(config))


def without_people(config: Config) -> ImageSet | None:
    """Some images for Figure 9, if there are any."""
    if config.data == "scenes":
        return scenes(WITHOUT_PEOPLE, config.size, seed=3, figures=False)
    try:
        assert config.root is not None  # the validation images were loaded from it
        return load_persons(config.root, "val", config.size, limit=WITHOUT_PEOPLE, people_shown=False)
    except UserError as error:
        log.warning("no picture of none: %s; --images shows any photograph", error)
        return None


def photographs(paths: Sequence[Path], size: int) -> list[ImageSet]:
    """Images without masks, one by one, stretched to a square as those of the data set are."""
    found = []
    for path in paths:
        try:
            with Image.open(path) as file:
                pixels = np.asarray(file.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))
        except (OSError, UnidentifiedImageError) as error:
            raise UserError(f"--images {path}: {error}") from error
        empty = torch.zeros(1, size, size, dtype=torch.bool)
        found.append(ImageSet(torch.tensor(pixels)[None], empty, (path.stem,), ("",)))
    return found


def chosen(config: Config, val: ImageSet) -> dict[str, ImageSet]:
    """An image for each kind, as far as there is one."""
    found = {}
    for which, (least, most) in COUNTS.items():
        source = without_people(config) if most == 0 else val
        place = None if source is None else presentable(source, least, most)
        if source is not None and place is not None:
            found[which] = source.subset([place])
        elif source is not None:
            log.warning("no picture of %s: no validation image has so many components", which)
    return found


def presentable(val: ImageSet, least: int, most: int) -> int | None:
    """The image that shows so many components best, by the order that `experiments.segmentation.activations` states."""

    def worth(i: int) -> tuple[bool, bool, bool, float]:
        whole = not val.people or val.people[i] == len(areas[i])
        smallest = min(areas[i], default=math.inf) / val.masks[i].numel()
        return whole, smallest > 0.02, not val.restricted(i), smallest

    areas = [np.bincount(label(mask.numpy(), NEIGHBOURS)[0].ravel())[1:] for mask in val.masks]
    fitting = [i for i in range(len(val)) if least <= len(areas[i]) <= most]
    return max(fitting, key=worth, default=None)


# --- the pictures -----------------------------------------------------------------------------------------------


def mask_figure(path: Path, shown: ImageSet) -> None:
    """Figure 2: an image, its mask, and the persistence diagram of the mask."""
    figure = Figure(figsize=(9, 3.3), layout="constrained")
    image, mask, diagram = figure.subplots(1, 3)
    picture(image, shown.images[0])
    picture(mask, shown.masks[0], cmap="gray", vmin=0, vmax=1)
    plot.diagram(tl.persistence(tl.Freudenthal(shown.masks[0].float(), superlevel=True), dims=(0, 1)), ax=diagram)
    figure.suptitle(caption(shown), fontsize="small")
    save(figure, path)


def superlevel_figure(path: Path, shown: ImageSet, magnitude: Tensor, layer: str) -> None:
    """Figure 1, of the image's brightness and of a layer's magnitude, both scaled to a maximum of 1."""
    brightness = shown.images[0].float().mean(-1)[None, None]
    functions = {
        "brightness": torch.nn.functional.adaptive_avg_pool2d(brightness, 24)[0, 0],
        f"magnitude of {layer}": magnitude,
    }
    figure = Figure(figsize=(11, 5), layout="constrained")
    for row, (name, function) in zip(figure.subplots(2, 5), functions.items(), strict=True):
        low, high = function.min(), function.max()
        plot.superlevel_sets((function - low) / (high - low).clamp_min(1e-12), [1.0, 0.85, 0.5, 0.0], axes=row)
        row[0].set_title(f"$f$: {name}", fontsize="medium")
    figure.suptitle(caption(shown), fontsize="small")
    save(figure, path)


def draw(folder: Path, config: Config, model: Network, val: ImageSet, images: Sequence[Path]) -> None:
    """All pictures of the layers, also of photographs of the user's own."""

    def seen(shown: ImageSet) -> dict[str, Tensor]:
        batch, _ = shown.batch(torch.tensor([0]), torch.device("cpu"))
        return {name: magnitude[0] for name, magnitude in magnitudes(model, batch).items()}

    shown = chosen(config, val)
    pictured = {f"layers_{which}.png": (image, True) for which, image in shown.items()}
    for number, image in enumerate(photographs(images, config.size), 1):
        pictured[f"image_{number}_{image.names[0]}.png"] = image, False
    for name, (image, mask) in pictured.items():
        layers(
            folder / name, caption(image), image.images[0], image.masks[0] if mask else None, seen(image),
            k=config.k, layer=config.layer,
        )  # fmt: skip
    first = shown.get("two") or shown.get("one") or val.subset([0])
    mask_figure(folder / "mask.png", first)
    superlevel_figure(folder / "superlevel_sets.png", first, seen(first)[config.layer], config.layer)
