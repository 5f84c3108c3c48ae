"""The training task: patches of images, the loss of an arm, scores of whole validation images."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.functional import pad

from experiments.boundaries.augment import altered
from experiments.boundaries.boundaryset import BoundarySet
from experiments.boundaries.config import Config
from experiments.boundaries.curves import networks
from experiments.boundaries.experiment import EXPERIMENT
from experiments.boundaries.layouts import load_cracks, load_membranes
from experiments.boundaries.metrics import scores
from experiments.boundaries.terms import Term, overlap, term, timed
from experiments.shared.console import UserError, log
from experiments.shared.files import Row
from experiments.shared.penalties import gradient_ratio
from experiments.shared.runs import Run, of_seed
from experiments.shared.training import steps_per_epoch
from experiments.shared.unet import PHASES, UNet

TOGETHER = 4  # whole images that are predicted at once
NAMES = ("val_loss", *(score for score in EXPERIMENT.titles if not score.startswith("train_")))


class Boundaries:
    """The training task. `model` is what gets called; set it to the network that fabric wrapped."""

    def __init__(
        self,
        config: Config,
        fabric: Fabric,
        model: nn.Module,
        train: BoundarySet,
        val: BoundarySet,
        added: Term | None,
        *,
        seed: int,
    ) -> None:
        self.config, self.fabric, self.model, self.train, self.val = config, fabric, model, train, val
        self.added, self.seed = added, seed

    def step(self, indices: Tensor, *, epoch: int, probe: bool) -> dict[str, Tensor]:
        """The loss of one batch of patches and its parts; as a probe also how strongly the term pulls."""
        images, masks = self.train.patches(indices, self.config.patch, seed=self.seed, epoch=epoch)
        if self.config.augment:
            images = altered(images, indices, seed=self.seed, epoch=epoch)
        images, masks = images.to(self.fabric.device), masks.to(self.fabric.device)
        prediction = predicted(self.model, images)
        error = overlap(prediction, masks).mean()
        values = {"loss": error, "error": error, "term_seconds": error.new_zeros(())}
        if self.added is not None:
            value, seconds = timed(self.added.loss, prediction, masks)
            weighted = self.added.weight_in(epoch) * value
            values |= {"loss": error + weighted, "term": value, "term_seconds": error.new_tensor(seconds)}
            if probe:
                values["gradient_ratio"] = gradient_ratio(self.fabric, weighted, error, prediction)
        return values

    def evaluate(self) -> Row:
        """Means over the validation images, shared by all processes."""
        mine = torch.arange(len(self.val))[self.fabric.global_rank :: self.fabric.world_size]
        rows = measured(self.model, self.val, mine, self.fabric.device)
        sums = torch.tensor([sum(row[name] for row in rows) for name in NAMES] + [len(rows)], dtype=torch.float64)
        if self.fabric.world_size > 1:
            sums = torch.as_tensor(self.fabric.all_reduce(sums.to(self.fabric.device), reduce_op="sum"))
        return dict(zip(NAMES, (sums[:-1] / sums[-1]).tolist(), strict=True))


def predicted(model: nn.Module, images: Tensor) -> Tensor:
    """Probabilities of images ``(b, 1, h, w)`` from 0 to 1, of any sides: their last pixels are repeated."""
    height, width = images.shape[-2:]
    multiple = 2**PHASES
    padded = pad((images - 0.5) / 0.25, (0, -width % multiple, 0, -height % multiple), mode="replicate")
    found: Tensor = model(padded.contiguous(memory_format=torch.channels_last))
    return found.float()[..., :height, :width]


def measured(model: nn.Module, images: BoundarySet, places: Tensor, device: torch.device) -> list[Row]:
    """Loss and scores of some of the images, each as a whole."""
    rows: list[Row] = []
    for some in torch.split(places, TOGETHER):
        pictures, masks = (part.to(device) for part in images.batch(some))
        prediction = predicted(model, pictures)
        found = {"val_loss": overlap(prediction, masks)} | scores(prediction, masks)
        rows += [{name: float(values[place]) for name, values in found.items()} for place in range(len(some))]
    return rows


# --- a run and its data -----------------------------------------------------------------------------------------


Pair = tuple[BoundarySet, BoundarySet]


def load(config: Config, split: str) -> BoundarySet:
    """The training or validation images of the first seed, `split` being "train" or "val"."""
    return of_seed(pairs(config), config.seeds[0])[split == "val"]


def pairs(config: Config) -> list[Pair]:
    """Training and validation images of every fold; for validation there may be held-out training images instead."""
    found = [(_first(train, config.train_images), _first(val, config.val_images)) for train, val in _folds(config)]
    height, width = found[0][0].images.shape[1:]
    if config.patch > min(height, width):
        raise UserError(f"--patch {config.patch} does not fit into images of {height} x {width} pixels: lower it")
    return [train.split(config.held_out) for train, _ in found] if config.held_out else found


def _folds(config: Config) -> list[Pair]:
    if config.data == "networks":
        counts = config.train_images or 400, config.val_images or 100
        return [(networks(counts[0], config.size, seed=1), networks(counts[1], config.size, seed=2))]
    assert config.root is not None  # settled
    return (load_membranes if config.data == "membranes" else load_cracks)(config.root).folds(config.folds)


def _first(images: BoundarySet, limit: int) -> BoundarySet:
    return images.subset(list(range(min(limit or len(images), len(images)))))


def initial_model(config: Config, seed: int, *, prior: float = 0.5) -> UNet:
    """The network that every arm of a seed starts from; `prior` is the share of boundaries that it predicts."""
    torch.manual_seed(seed)
    network = UNet(config.width, channels=1, prior=min(max(prior, 0.01), 0.99))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def architecture(config: Config) -> UNet:
    """The network of these options, for the weights of a trained one."""
    return initial_model(config, 0)


def evaluated(config: Config, fabric: Fabric, model: nn.Module, images: BoundarySet) -> Row:
    """The scores of a trained network, as its run would report them of these images."""
    return Boundaries(config, fabric, fabric.setup(model), images, images, None, seed=0).evaluate()


def of_each(config: Config, model: nn.Module, images: BoundarySet) -> list[dict[str, Any]]:
    """Loss and scores of each image."""
    rows = measured(model, images, torch.arange(len(images)), next(model.parameters()).device)
    return [{"image": name} | row for name, row in zip(images.names, rows, strict=True)]


def describe(config: Config, data: tuple[BoundarySet, BoundarySet]) -> None:
    """Say what will be trained."""
    log.info(
        "%d training and %d validation images of %d x %d px, patches of %d",
        len(data[0]), len(data[1]), *data[1].images.shape[1:], config.patch,
    )  # fmt: skip


def examples(config: Config, images: BoundarySet) -> int:
    return config.patches * len(images)


def train_run(run: Run[Config], data: tuple[BoundarySet, BoundarySet]) -> None:
    """Train one run to its end, on training and validation images."""
    config, (train, val) = run.options, data
    bare = initial_model(config, run.seed, prior=float(train.masks.float().mean()))
    adam = torch.optim.Adam(bare.parameters(), lr=config.lr)
    examples = config.patches * len(train)
    steps = config.epochs * steps_per_epoch(examples, config.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: (1 + math.cos(math.pi * step / steps)) / 2)
    model, optimizer = run.fabric.setup(bare, adam)
    run.finish(
        Boundaries(config, run.fabric, model, train, val, term(config, run.arm), seed=run.seed),
        model=bare,
        optimizer=optimizer,
        schedule=schedule,
        examples=examples,
        of_each=lambda: of_each(config, bare, val),
    )
