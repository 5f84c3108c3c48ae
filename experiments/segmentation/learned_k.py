"""k as a parameter that is learned (Section 5.7 of the paper): how many maxima should a layer keep?

The penalty of eq. (1) with a soft k weighs the square of each length by ``sigmoid((rank + 1/2 - k) / softness)``, where
ranks count from 0, the maximum that never dies. After every step of training k goes down the gradient of the loss of
held-out images, as far as that loss depends on k by way of this step. Several k are started from, each in a training of
its own, and compared with the k that ``topolayer.probe`` recommends for the trained layer and these held-out images.

    python -m experiments.segmentation.learned_k --starts 2 8 20

Into RUNS/learned-k go ``learned_k.csv``, k after each step, and ``learned_k.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor, nn

import topolayer as tl
from experiments.segmentation.task import squared_error
from experiments.shared import console, report
from experiments.shared.console import Meter, UserError, log
from experiments.shared.files import write_atomically, write_csv
from experiments.shared.images import ImageSet
from experiments.shared.penalties import activations
from experiments.shared.scenes import scenes
from experiments.shared.training import epoch_batches, steps_per_epoch
from experiments.shared.unet import seeded, side_of

LEAST = 0.5  # a soft k below spares not even the maximum that never dies


@dataclass(frozen=True)
class Options:
    """Train a small U-Net on the embedded scenes, and k with it."""

    starts: tuple[float, ...] = (2.0, 8.0, 20.0)
    """values of k to start from, each in a training of its own"""
    epochs: int = 10
    images: int = 256
    """training scenes; half as many are held out for k"""
    size: int = 64
    batch_size: int = 16
    width: int = 8
    layer: str = "dec2"
    weight: float = 1e-4
    """of the penalty"""
    lr: float = 0.5
    """of SGD without momentum, whose step is linear in the gradient of the penalty"""
    k_lr: float = 0.2
    """of Adam, by which k moves about so much in a step"""
    softness: float = 1.0
    seed: int = 0
    threads: int = 1
    runs: Path = Path("runs")


def soft_penalty(h: Tensor, k: Tensor, *, softness: float) -> Tensor:
    """Eq. (1) with a soft k, of each sample of an activation ``(b, c, h, w)``."""
    barcode = tl.persistence(tl.Freudenthal(tl.channel_norm(h.float()), ndim=2, superlevel=True))
    terms = torch.sigmoid((barcode.ranks + 0.5 - k) / softness) * barcode.lengths.square()
    return terms.new_zeros(len(h)).index_add(0, barcode.sample, terms)


def step_and_slope(
    parameters: Sequence[Tensor], loss: Tensor, penalty: Tensor, k: Tensor, held: Callable[[], Tensor], *, lr: float
) -> Tensor:
    """Do one step of gradient descent on loss and penalty, and return the derivative by k of what is `held` after it.

    The step is ``-lr`` times the gradient, so its own derivative by k is ``-lr`` times that of the penalty's gradient.
    """
    (rate,) = torch.autograd.grad(penalty, k, create_graph=True)
    changes = torch.autograd.grad(rate, parameters, retain_graph=True, allow_unused=True)
    gradients = torch.autograd.grad(loss + penalty, parameters)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= lr * gradient
    slopes = torch.autograd.grad(held(), parameters)
    products = [(slope * change).sum() for slope, change in zip(slopes, changes, strict=True) if change is not None]
    return -lr * torch.stack(products).sum()


def train(options: Options, start: float, meter: Meter) -> tuple[list[float], nn.Module]:
    """k after each step, and the network."""
    train_set = scenes(options.images, options.size, seed=1)
    held_set = held_out(options)
    model = seeded(options.width, options.seed, prior=float(train_set.foreground().mean())).train()
    parameters = list(model.parameters())
    k = torch.tensor(float(start), requires_grad=True)
    adam, path = torch.optim.Adam([k], lr=options.k_lr), []
    cpu = torch.device("cpu")
    for epoch in range(options.epochs):
        batches = epoch_batches(len(train_set), options.batch_size, seed=options.seed, epoch=epoch)
        others = epoch_batches(len(held_set), options.batch_size, seed=options.seed + 1, epoch=epoch)
        for number, indices in enumerate(batches):
            images, masks = train_set.batch(indices, cpu)
            with activations(model, [options.layer]) as kept:
                loss = squared_error(model(images), masks, "mean")
            penalty = options.weight * soft_penalty(kept[options.layer], k, softness=options.softness).mean()
            unseen = held_set.batch(others[number % len(others)], cpu)

            def held(unseen: tuple[Tensor, Tensor] = unseen) -> Tensor:
                return squared_error(model(unseen[0]), unseen[1], "mean")

            k.grad = step_and_slope(parameters, loss, penalty, k, held, lr=options.lr)
            adam.step()
            with torch.no_grad():
                k.clamp_(min=LEAST)
            path.append(float(k.detach()))
            meter.advance(1, f"epoch {epoch + 1} of {options.epochs}", {"loss": float(loss.detach()), "k": path[-1]})
        meter.tell(f"epoch {epoch + 1} of {options.epochs}, k = {path[-1]:.1f}")
    return path, model


def recommended(options: Options, model: nn.Module) -> int | None:
    """The k that the probe recommends for the layer."""
    seen = held_out(options)
    images, masks = seen.batch(torch.arange(len(seen)), torch.device("cpu"))
    return tl.probe(model.eval(), [images], [masks[:, 0] > 0], layers=[options.layer]).k


def held_out(options: Options) -> ImageSet:
    return scenes(max(options.images // 2, options.batch_size), options.size, seed=4)


def main(options: Options) -> None:
    for name in ("epochs", "images", "batch_size", "width"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} must be at least 1, got {getattr(options, name)}")
    if not options.starts or min(options.starts) < LEAST:
        raise UserError(f"--starts: expected values of k from {LEAST}, got {options.starts}")
    if options.layer not in ("dec1", "dec2", "dec3", "dec4") or side_of(options.layer, options.size) < 8:
        raise UserError(f"--layer {options.layer}: expected dec1, dec2, dec3 or dec4 with at least 8 x 8 pixels")
    torch.set_num_threads(options.threads)
    steps = options.epochs * steps_per_epoch(options.images, options.batch_size)
    folder, columns, rows = options.runs / "learned-k", {}, [["k at the start", "k at the end", "k of the probe"]]
    with Meter(len(options.starts) * steps) as meter:
        for start in options.starts:
            meter.run = f"from k = {start:g}"
            path, model = train(options, start, meter)
            columns[f"from_{start:g}"] = path
            rows.append([f"{start:g}", f"{path[-1]:.1f}", str(recommended(options, model) or "none")])
            lines: list[dict[str, Any]] = [{name: ks[step] for name, ks in columns.items()} for step in range(steps)]
            write_csv(folder / "learned_k.csv", [{"step": number} | line for number, line in enumerate(lines, 1)])
            write_atomically(folder / "learned_k.md", report.markdown(rows) + "\n")
    log.info("in %s: learned_k.csv, learned_k.md\n%s", folder, report.markdown(rows))


if __name__ == "__main__":
    given = tyro.cli(Options, description=__doc__)
    console.run(lambda: main(given))
