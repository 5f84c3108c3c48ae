"""What takes part in the benchmark, and what several contenders share."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.speed.inputs import Job


@dataclass(frozen=True)
class Contender:
    """One way to do a job.

    `run` is given the values of an input. `outcome` of what it returns is a number that must not depend on the package
    where the connectivity is the same: of a penalty or loss its value, else the number of finite bars of positive
    length in dimension 0. Those that are `natural_only` are not run on extreme kinds of images. A call may take
    `patience` times the limit.
    """

    name: str
    job: Job
    run: Callable[[Any], Any]
    outcome: Callable[[Any], float]
    connectivity: str
    returns: str
    natural_only: bool = False
    threads: int = 1
    patience: int = 1


def backward(penalty: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
    """The mean over samples of a penalty on what is given, after its backward pass."""
    mean = penalty(given.requires_grad_()).mean()
    torch.autograd.grad(mean, given)
    return mean.detach()


def squares_beyond(lengths: Tensor, spared: int) -> Tensor:
    """The sum of the squares of all but the longest lengths: few_maxima written on a package's lengths."""
    return lengths.sort(descending=True).values[spared:].square().sum()


def finite(bars: Any) -> int:
    """The number of rows (birth, death) of finite, positive length. Some packages write infinity as a huge number."""
    lengths = np.abs(np.diff(np.asarray(bars, dtype=np.float64)))
    return int(((lengths > 0) & (lengths < 1e30)).sum())


def hash_rows(values: Tensor, *, threads: int) -> list[bytes]:
    """Something that shares nothing between threads, to see how far two cores are free."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda row: hashlib.sha256(row).digest(), values.numpy()))


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_and_two() -> list[tuple[str, int]]:
    """The numbers of threads to compare, and how they are called."""
    return [("1 thread", 1), ("2 threads", 2)][: cores()]
