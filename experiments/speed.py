"""How long persistence takes, here and in other packages, on the same images in one interleaved run.

    make bench
    python -m experiments.speed --sizes 96x128 384x512 --repeats 15 --out runs/speed

Every round runs every contender once on every image, so that a slow moment of the machine hits all of them; the table
shows medians and ratios to `topolayer`. What is measured is H0 of the superlevel filtration of a float32 image (of the
negated image for packages that only know sublevels). Packages differ in what they give for it:

* `topolayer`: `tl.persistence`, Freudenthal, births and deaths with their pixels;
* `gudhi`: `gudhi.sklearn.CubicalPersistence`, H0 *and* H1 (it has no way to leave out H1), values only;
* `cripser`: `cripser.computePH(maxdim=0)`, births and deaths with their pixels.

A package that is not installed is skipped by name. Writes `speed.md`, `speed.csv` and `speed.png`.
"""

from __future__ import annotations

import csv
import logging
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import tyro
from rich.progress import track
from scipy.ndimage import gaussian_filter
from torch import Tensor

import topolayer as tl

Contender = Callable[[Tensor], object]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Config:
    sizes: tuple[str, ...] = ("96x128", "384x512", "768x1024")
    """Image sizes, HEIGHTxWIDTH."""
    repeats: int = 15
    """Rounds; the table shows medians."""
    threads: int = 1
    """Threads of torch and of the native core."""
    out: Path = field(default_factory=lambda: Path("runs/speed"))
    """Folder for the table, the measurements and the plot. Earlier files in it are replaced."""


def images(height: int, width: int) -> dict[str, Tensor]:
    """White noise, smooth noise, and a photograph where scikit-image is installed; (height, width) float32."""
    noise = np.random.default_rng(0).standard_normal((height, width)).astype(np.float32)
    found = {"noise": noise, "smooth": gaussian_filter(noise, 3)}
    try:
        from skimage import data
        from skimage.transform import resize
    except ImportError:
        log.warning("scikit-image is not installed: no photograph")
    else:
        found["photograph"] = resize(data.camera(), (height, width), anti_aliasing=True).astype(np.float32)  # type: ignore[no-untyped-call]
    return {name: torch.from_numpy(np.ascontiguousarray(image)) for name, image in found.items()}


def contenders() -> dict[str, Contender]:
    """A function per package that is installed."""

    def topolayer(image: Tensor) -> object:
        return tl.persistence(tl.Freudenthal(image, superlevel=True))

    found: dict[str, Contender] = {"topolayer": topolayer}
    for name, module, make in (("gudhi", "gudhi.sklearn", _gudhi), ("cripser", "cripser", _cripser)):
        try:
            found[name] = make(import_module(module))
        except ImportError:
            log.warning("%s is not installed: skipped", name)
    return found


def _gudhi(gudhi_sklearn: object) -> Contender:
    cubical = gudhi_sklearn.CubicalPersistence(homology_dimensions=[0])  # type: ignore[attr-defined]
    return lambda image: cubical.fit_transform([-image.numpy()])


def _cripser(cripser: object) -> Contender:
    return lambda image: cripser.computePH(-image.numpy().astype(np.float64), maxdim=0)  # type: ignore[attr-defined]


def penalty_step(batch: Tensor) -> None:
    """`few_maxima` of an activation, forward and backward."""
    tl.few_maxima(batch.clone().requires_grad_()).mean().backward()  # type: ignore[no-untyped-call]


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(config: Config) -> list[dict[str, str | float]]:
    """One row per size, image and contender, with the median in milliseconds and the ratio to topolayer."""
    cases: dict[tuple[str, str, str], Callable[[], object]] = {}
    for size in config.sizes:
        height, width = map(int, size.split("x"))
        for image_name, image in images(height, width).items():
            for contender, run in contenders().items():
                cases[size, image_name, contender] = lambda run=run, image=image: run(image)  # type: ignore[misc]
    activation = torch.randn(16, 64, 48, 64, generator=torch.Generator().manual_seed(0))
    cases["16x64x48x64", "noise", "few_maxima + backward"] = lambda: penalty_step(activation)

    times: dict[tuple[str, str, str], list[float]] = {case: [] for case in cases}
    for _ in range(2):  # imports, caches
        for run_case in cases.values():
            run_case()
    for _ in track(range(config.repeats), description="rounds"):
        for case, run_case in cases.items():
            times[case].append(seconds(run_case))
    medians = {case: statistics.median(values) for case, values in times.items()}
    return [
        {
            "size": size,
            "image": image,
            "what": what,
            "median_ms": 1e3 * medians[size, image, what],
            "fastest_ms": 1e3 * min(times[size, image, what]),
            "slowest_ms": 1e3 * max(times[size, image, what]),
            "ratio": medians[size, image, what] / medians.get((size, image, "topolayer"), float("nan")),
        }
        for size, image, what in cases
    ]


def write_table(rows: list[dict[str, str | float]], config: Config, target: Path) -> None:
    lines = [
        "| size | image | what | median ms (fastest to slowest) | times topolayer's |",
        "|---|---|---|---:|---:|",
    ]
    for row in rows:
        ratio = "" if np.isnan(float(row["ratio"])) else f"{row['ratio']:.1f}"
        span = f"{row['median_ms']:.2f} ({row['fastest_ms']:.2f} to {row['slowest_ms']:.2f})"
        lines.append(f"| {row['size']} | {row['image']} | {row['what']} | {span} | {ratio} |")
    versions = ", ".join(f"{name} {version(name)}" for name in ("topolayer", "torch", "numpy", "gudhi"))
    machine = f"{processor()}, {platform.system()}"
    lines += ["", f"{config.threads} thread(s), {config.repeats} rounds, {machine}, {versions}."]
    target.write_text("\n".join(lines) + "\n")


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        models = [s for s in Path("/proc/cpuinfo").read_text().splitlines() if s.startswith("model name")]
        return models[0].split(":", 1)[1].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def draw(rows: list[dict[str, str | float]], target: Path) -> None:
    """Time against pixels, log-log, a panel per kind of image."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    grids = [row for row in rows if not np.isnan(float(row["ratio"]))]
    kinds = list(dict.fromkeys(str(row["image"]) for row in grids))
    figure, axes = plt.subplots(1, len(kinds), figsize=(4 * len(kinds), 3.2), sharey=True, squeeze=False)
    for kind, ax in zip(kinds, axes[0], strict=True):
        for what, marker in zip(dict.fromkeys(row["what"] for row in grids), "os^Dv", strict=False):
            chosen = [row for row in grids if row["image"] == kind and row["what"] == what]
            pixels = [np.prod([int(n) for n in str(row["size"]).split("x")]) for row in chosen]
            ax.loglog(pixels, [float(row["median_ms"]) for row in chosen], marker=marker, label=what)
        ax.set(title=kind, xlabel="pixels")
        ax.grid(alpha=0.3)
    axes[0][0].set_ylabel("median time, ms")
    axes[0][0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(target, dpi=100)


def main(config: Config) -> None:
    torch.set_num_threads(config.threads)
    rows = measure(config)
    config.out.mkdir(parents=True, exist_ok=True)
    with (config.out / "speed.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    write_table(rows, config, config.out / "speed.md")
    draw(rows, config.out / "speed.png")
    log.info("%s\nwritten to %s", (config.out / "speed.md").read_text(), config.out)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(tyro.cli(Config, description=__doc__))
