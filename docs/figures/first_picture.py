"""Draws the README's picture: a noisy image, its superlevel barcode, and both after gradient descent on eq. (1).

    python docs/figures/first_picture.py

Needs the extra `docs` (matplotlib, scikit-image). The image is scikit-image's `data.coins`.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from skimage import data
from skimage.transform import resize
from torch import Tensor

import topolayer as tl

COINS = 8
STEPS = 400
PROMINENT = 0.05  # bars shorter than this are not marked in the picture


def noisy_coins() -> Tensor:
    """Eight coins, (96, 128) in [0, 1], with noise."""
    coins = torch.from_numpy(resize(data.coins()[80:224, 30:222], (96, 128), anti_aliasing=True)).float()
    noise = torch.randn(coins.shape, generator=torch.Generator().manual_seed(0))
    return coins + 0.06 * noise


def superlevel_barcode(image: Tensor) -> tl.Barcode:
    return tl.persistence(tl.Freudenthal(image, superlevel=True))


def few_prominent_maxima(noisy: Tensor) -> Tensor:
    """Stay close to the image, but with no more than `COINS` maxima."""
    image = noisy.clone().requires_grad_()
    optimizer = torch.optim.Adam([image], lr=0.01)
    for _ in range(STEPS):
        penalty = tl.total_persistence(superlevel_barcode(image), p=1, k=COINS)
        loss = 0.05 * (image - noisy).square().sum() + penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return image.detach()


def draw(image: Tensor, picture: Axes, diagram: Axes, title: str) -> None:
    barcode = superlevel_barcode(image)
    picture.imshow(image, cmap="gray", vmin=0, vmax=1)
    prominent = barcode.select(barcode.lengths > PROMINENT)
    births = torch.cat([prominent.coordinates[:, 0], prominent.essential.coordinates])
    picture.plot(births[:, 1], births[:, 0], "o", color="#e69f00", markersize=3.5, markeredgewidth=0)
    picture.set_title(f"{title}\n{len(births)} maxima with a bar longer than {PROMINENT}", fontsize=10)
    picture.set_axis_off()
    diagram.plot([0, 1.1], [0, 1.1], color="0.7", linewidth=1)
    diagram.plot(barcode.births, barcode.deaths, "o", color="#0072b2", markersize=4, alpha=0.6, markeredgewidth=0)
    diagram.plot(barcode.essential.births, [0.0], "^", color="#d55e00", markersize=6, label="never dies")
    diagram.set(xlabel="birth", ylabel="death", xlim=(0, 1.1), ylim=(-0.05, 1.1), aspect="equal")
    diagram.legend(loc="upper left", frameon=False, fontsize=8)


def main() -> None:
    torch.manual_seed(0)
    noisy = noisy_coins()
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.1), width_ratios=(1.35, 1, 1.35, 1), layout="constrained")
    draw(noisy, axes[0], axes[1], "noisy image")
    draw(few_prominent_maxima(noisy), axes[2], axes[3], f"after penalizing all but {COINS} bars")
    target = Path(__file__).with_suffix(".png")
    figure.savefig(target, dpi=90, bbox_inches="tight")
    print(target)


if __name__ == "__main__":
    main()
