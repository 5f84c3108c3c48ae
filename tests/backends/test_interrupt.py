"""Ctrl-C breaks off a long computation in the C++ core."""

import subprocess
import sys

import pytest

# `extend` and `map` run no Python code between the end of the call and the append: if there is a result, the call ended
# by itself and the interrupt came too late.
LONG_CALL = """
import functools, os, signal, threading
import numpy as np
from topolayer import _core

values = np.random.default_rng(0).standard_normal({shape}, dtype=np.float32)
options = dict(superlevel=False, dims={dims}, threads={threads})
grid = _core.Grid(values.shape[-3:], _core.Connectivity.TOP_CELLS)
compute = functools.partial(_core.grid_bars, grid=grid, **options)
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
results = []
try:
    results.extend(map(compute, [values.reshape(-1, np.prod(values.shape[-3:]))]))
except KeyboardInterrupt:
    print("interrupted with", len(results), "results")
grid = _core.Grid((8, 8), _core.Connectivity.TOP_CELLS)
assert _core.grid_bars(np.eye(8, dtype=np.float32).reshape(1, -1), grid, **options)[-1]  # works as before
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent to a process in another way")
@pytest.mark.parametrize(
    ("threads", "shape", "dims"),
    [
        (1, (300, 300, 300), [0]),
        (2, (300, 300, 300), [0]),
        (1, (100, 64, 64, 64), [0]),
        (2, (100, 64, 64, 64), [0]),
        (4, (2, 240, 240, 240), [0]),  # two threads each
        (2, (150, 150, 150), [0, 1, 2]),
    ],
    ids=str,
)
def test_a_long_call_is_interrupted(threads: int, shape: tuple[int, ...], dims: list[int]) -> None:
    script = LONG_CALL.format(threads=threads, shape=shape, dims=dims)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "interrupted with 0 results\n"
