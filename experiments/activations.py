"""What a trained network's layers look like to persistent homology: Figures 1, 2, 3, 7, 8 and 9 of the paper.

For a network that ``experiments.segmentation`` has trained, into ``RUN/activations``:

    superlevel_sets.png   a function on the pixels and its superlevel sets (Figure 1)
    mask.png              an image, its mask, and the mask's persistence diagram (Figure 2)
    layers_WHICH.png      an image, its mask, and every phase's magnitude, eq. (3), with its persistence diagram: for
                          one person, two (Figures 3 and 7), several (Figure 8) and none (Figure 9)
    agreement.png         from which layer on the number of prominent components follows that of the mask, the output
    layers.csv, layers.md the table of the layers, over all validation images or all training images

    python -m experiments.activations --demo
    python -m experiments.activations --run runs/segmentation-coco/seed0-none --root DIR
    python -m experiments.activations --run runs/segmentation-coco/seed0-none --root DIR --images one.jpg two.jpg

What is shown does not depend on what the network makes of it: of the validation images with so many components in the
mask those come first that show as many people, for a person may be in two pieces and two people in one; of these the
ones whose smallest component is above 2 % of the image; of these those under a free licence; then the largest.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from matplotlib.figure import Figure
from PIL import Image, UnidentifiedImageError
from scipy.ndimage import label
from torch import Tensor

import topolayer as tl
from experiments import agreement, console, segmentation
from experiments.coco import load_persons
from experiments.console import UserError, log
from experiments.figures import save
from experiments.files import environment, write_json
from experiments.images import ImageSet
from experiments.scenes import scenes
from experiments.training import read_checkpoint
from experiments.unet import LAYERS, UNet
from topolayer import plot

COUNTS = {"none": (0, 0), "one": (1, 1), "two": (2, 2), "several": (3, 9)}  # components of the mask, from and to
WITHOUT_PEOPLE = 20  # that many are looked at
NEIGHBOURS = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]])  # in the Freudenthal triangulation

DEMO = dataclasses.replace(
    segmentation.DEMO, arms=("none",), seeds=(0,), name="demo-activations", size=128, epochs=12, train_images=400
)


@dataclass(frozen=True)
class Options:
    """Figures 1, 2, 3, 7, 8 and 9 of the paper: the layers of a trained network and their persistence diagrams."""

    run: Path | None = None
    """folder of a finished run, such as runs/segmentation-coco/seed0-none"""
    root: Path | None = None
    """folder with COCO's annotations/ and images, for a run on --data coco"""
    images: tuple[Path, ...] = ()
    """photographs of your own to show too; there is no mask of them"""
    out: Path | None = None
    """where to put the results; activations/ in the run's folder if left out"""
    table: Literal["val", "train"] = "val"
    """over which images the table of the layers is; with the training images it recommends a layer and a k, which must
    not be chosen on images that results are reported on"""
    limit: int = 0
    """so many images are looked at (0: all)"""
    prominence: float = 0.25
    """a bar is prominent if it is longer than this share of the range of its image"""
    threads: int = 0
    """threads (0: PyTorch's choice)"""
    runs: Path = Path("runs")
    """where the demo is trained"""
    demo: bool = False
    """train a network on the embedded scenes first, about three minutes on two cores, unless that was done before"""


# --- the network and the images ---------------------------------------------------------------------------------


def load_run(folder: Path, root: Path | None) -> tuple[segmentation.Config, UNet]:
    """The options and the network of a run."""
    try:
        noted = json.loads((folder / "config.json").read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"{folder} holds no run: there is no readable config.json in it ({error})") from error
    if "seed" not in noted:
        found = ", ".join(sorted(path.parent.name for path in folder.glob("seed*/config.json")))
        raise UserError(f"{folder} holds several runs: give one of them as --run ({found or 'none is there yet'})")
    known = {field.name for field in dataclasses.fields(segmentation.Config)}
    options = {key: value for key, value in noted.items() if key in known}
    config = dataclasses.replace(segmentation.Config(**options), root=root)
    model = segmentation.initial_model(config, noted["seed"])
    model.load_state_dict(read_checkpoint(folder / "checkpoint.pt", model)["model"])
    if not all(bool(torch.isfinite(weights).all()) for weights in model.state_dict().values()):
        raise UserError(f"the network of {folder} has weights that are not finite: its training diverged")
    model.eval()
    return config, model


def without_people(config: segmentation.Config) -> ImageSet | None:
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


def chosen(config: segmentation.Config, val: ImageSet) -> dict[str, ImageSet]:
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
    """Of the images with so many components that one which shows them best, see above."""

    def worth(i: int) -> tuple[bool, bool, bool, float]:
        restricted = "NonCommercial" in val.credits[i] or "NoDerivs" in val.credits[i]
        whole = not val.people or val.people[i] == len(areas[i])
        smallest = min(areas[i], default=math.inf) / val.masks[i].numel()
        return whole, smallest > 0.02, not restricted, smallest

    areas = [np.bincount(label(mask.numpy(), NEIGHBOURS)[0].ravel())[1:] for mask in val.masks]
    fitting = [i for i in range(len(val)) if least <= len(areas[i]) <= most]
    return max(fitting, key=worth, default=None)


# --- the pictures -----------------------------------------------------------------------------------------------


@torch.inference_mode()
def magnitudes(model: UNet, shown: ImageSet) -> dict[str, Tensor]:
    """Of one image: (h, w) magnitudes of all phases, and the network's output."""
    activations: list[Tensor] = []  # layers run in the order of their names
    handles = [
        model.get_submodule(name).register_forward_hook(lambda *call: activations.append(call[2])) for name in LAYERS
    ]
    try:
        images, _ = shown.batch(torch.tensor([0]), torch.device("cpu"))
        output = model(images)[0, 0]
    finally:
        for handle in handles:
            handle.remove()
    return {name: tl.channel_norm(h)[0] for name, h in zip(LAYERS, activations, strict=True)} | {"output": output}


def caption(shown: ImageSet) -> str:
    return ": ".join(filter(None, (shown.names[0], shown.credits[0])))


def layers_figure(path: Path, shown: ImageSet, phases: Mapping[str, Tensor], *, k: int, layer: str, mask: bool) -> None:
    """Figure 3: an image, its mask and the mask's diagram; below them every phase's magnitude and its diagram."""
    columns = 7
    figure = Figure(figsize=(2.1 * columns, 2.3 * 5), layout="constrained")
    axes = figure.subplots(5, columns)
    axes[0, 0].imshow(shown.images[0])
    axes[0, 0].set_title("image")
    if mask:
        axes[0, 1].imshow(shown.masks[0], cmap="gray", vmin=0, vmax=1)
        axes[0, 1].set_title("mask")
        barcode = tl.persistence(tl.Freudenthal(shown.masks[0].float(), superlevel=True), dims=(0, 1))
        plot.diagram(barcode, ax=axes[0, 2])
        axes[0, 2].set_title("mask's diagram")
    output, pairs, *rest = axes[0, 3:] if mask else axes[0, 1:]
    output.imshow(phases["output"], cmap="gray", vmin=0, vmax=1)
    output.set_title("output")
    plot.pairs(
        phases[layer], tl.persistence(tl.Freudenthal(phases[layer], superlevel=True)), k=k, legend=False, ax=pairs
    )
    pairs.set_title(f"{layer}, {k} longest bars")
    rest[0].legend(*pairs.get_legend_handles_labels(), loc="center left", frameon=False)
    for ax in rest:
        ax.set_axis_off()
    for ax in (axes[0, 0], output, *axes[0, 1:2]):
        ax.set(xticks=[], yticks=[])
    plot.activations(phases, k=k, axes=axes[1:])
    figure.suptitle(caption(shown), fontsize="small")
    save(figure, path)


def mask_figure(path: Path, shown: ImageSet) -> None:
    """Figure 2: an image, its mask, and the persistence diagram of the mask."""
    figure = Figure(figsize=(9, 3.3), layout="constrained")
    image, mask, diagram = figure.subplots(1, 3)
    image.imshow(shown.images[0])
    mask.imshow(shown.masks[0], cmap="gray", vmin=0, vmax=1)
    for ax in (image, mask):
        ax.set(xticks=[], yticks=[])
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


# --- the command ------------------------------------------------------------------------------------------------


def main(options: Options) -> None:
    if options.threads:
        torch.set_num_threads(options.threads)
    run = options.run
    if options.demo:
        demo = dataclasses.replace(DEMO, runs=options.runs)
        segmentation.main(demo)
        run = demo.folder / "seed0-none"
    if run is None:
        raise UserError("give the folder of a run as --run, or --demo to train a network on embedded scenes")
    config, model = load_run(run, options.root)
    val = segmentation.load_validation(dataclasses.replace(config, val_images=options.limit or config.val_images))
    folder = options.out or run / "activations"

    shown = chosen(config, val)
    pictured = {f"layers_{which}.png": (image, True) for which, image in shown.items()}
    for number, image in enumerate(photographs(options.images, config.size), 1):
        pictured[f"image_{number}_{image.names[0]}.png"] = image, False
    for name, (image, mask) in pictured.items():
        layers_figure(folder / name, image, magnitudes(model, image), k=config.k, layer=config.layer, mask=mask)
    first = shown.get("two") or shown.get("one") or val.subset([0])
    mask_figure(folder / "mask.png", first)
    superlevel_figure(folder / "superlevel_sets.png", first, magnitudes(model, first)[config.layer], config.layer)

    seen = val
    if options.table == "train":
        seen = segmentation.load_training(
            dataclasses.replace(config, train_images=options.limit or config.train_images)
        )
    agreement.report(folder, agreement.probed(model, seen, options.prominence), recommend=options.table == "train")
    given = {key: str(value) for key, value in dataclasses.asdict(options).items()}
    write_json(folder / "made.json", {"options": given, "ran": environment()})
    log.info(
        "%s: %s, and the table of the layers", folder, ", ".join(sorted(path.name for path in folder.glob("*.png")))
    )


def cli() -> None:
    options = tyro.cli(Options, description=__doc__)
    console.run(lambda: main(options))


if __name__ == "__main__":
    cli()
