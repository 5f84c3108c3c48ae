"""The peak of resident memory beyond the input, each time in a process of its own.

    python -m experiments.speed.memory JOB CONTENDER INPUT.npy

There the contender is first run on a tiny input, so that imports and pools do not count; then the kernel's record of
the peak is reset, which only Linux can do. The result is part of it: births, deaths and pixels of every bar.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from experiments.shared.console import log
from experiments.speed.contenders import find, tiny
from experiments.speed.inputs import Input

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_per_pixel(given: Input, contender: str) -> float | None:
    """Bytes for each pixel of the input; None where it cannot be measured."""
    if not RESET.exists():
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input.npy"
        assert isinstance(given.values, torch.Tensor)  # no graphs
        np.save(path, given.values.numpy(), allow_pickle=False)
        call = [sys.executable, "-m", "experiments.speed.memory", given.job, contender, str(path)]
        ended = subprocess.run(call, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    if ended.returncode:
        log.warning("no peak of memory of %s: %s", contender, ended.stderr.strip().rpartition("\n")[2])
        return None
    return int(ended.stdout) / given.values.numel()


def peak(job: str, name: str, path: str) -> int:
    """Bytes that the process held at most while the contender ran, beyond what it held before."""
    torch.set_num_threads(1)
    contender = find(job, name)
    contender.run(tiny(contender.job))
    values = torch.from_numpy(np.load(path, allow_pickle=False))
    RESET.write_text("5")
    before = _status("VmRSS")
    contender.run(values)
    return _status("VmHWM") - before


def _status(name: str) -> int:
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    print(peak(*sys.argv[1:]))
