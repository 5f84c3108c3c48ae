"""Flat indices of a batch beyond 2**32, with little memory; `make verify`, no part of `make test`.

    python -m tests.commands.large_indices

The batch is anonymous memory that is hardly ever written to: the system shows one page of zeros everywhere.
"""

from __future__ import annotations

import logging
import mmap
import sys

import torch

import topolayer as tl

log = logging.getLogger(__name__)

ROWS, COLUMNS = 2**16 + 2, 2**16
_MAP_NORESERVE = 0x4000  # Linux; in Python's mmap since 3.13


def main() -> None:
    if not sys.platform.startswith("linux"):
        raise SystemExit("this check maps memory in a way that only Linux has")
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    signals = torch.frombuffer(mmap.mmap(-1, 4 * ROWS * COLUMNS, flags=flags), dtype=torch.float32)
    signals = signals.reshape(ROWS, COLUMNS)
    signals[-1, -3:] = torch.tensor([-2.0, 1.0, -1.0])
    last = ROWS * COLUMNS - 1
    assert last > 2**32
    barcode = tl.persistence(tl.Freudenthal(signals, ndim=1), backend="native")
    assert barcode.pairs.tolist() == [[last, last - 1]], barcode.pairs
    assert (barcode.births.tolist(), barcode.deaths.tolist()) == ([-1.0], [1.0])
    first = torch.arange(ROWS) * COLUMNS
    first[-1] = last - 2
    assert torch.equal(barcode.essential.indices, first)
    log.info("a batch of %d values: indices up to %d are right", signals.numel(), last)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
