"""Too large for 32 bits: refused before anything is allocated. Too large for the memory: MemoryError."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import torch

import topolayer as tl

pytestmark = pytest.mark.native

# AddressSanitizer needs all of the address space, and ends the process where `new` would throw.
limits_memory = pytest.mark.skipif(
    not os.path.exists("/proc/self/statm") or "libasan" in os.environ.get("LD_PRELOAD", ""),  # noqa: PTH110
    reason="the address space cannot be limited",
)

HUGE = torch.zeros(()).expand(2**16, 2**16 + 1)  # one number, seen 2**32 + 2**16 times


@pytest.mark.parametrize(
    "filtration",
    [
        tl.Freudenthal(HUGE),
        tl.Cubical(HUGE.expand(3, *HUGE.shape), superlevel=True),
        tl.Freudenthal(HUGE[None].expand(2, *HUGE.shape), ndim=3),
        tl.Cubical(torch.zeros(1, dtype=torch.float64).expand(2**32), ndim=1, construction="T"),
    ],
    ids=repr,
)
def test_samples_beyond_32_bits_are_refused(filtration: Any) -> None:
    """A backend by its name says the reason; where any may do it there is none, and each says why."""
    entries = torch.Size(filtration.sample_shape).numel()
    reason = rf"at most {2**32 - 1} entries, got {entries}"
    with pytest.raises(ValueError, match=rf"^backend: 'native' cannot .*{reason}"):
        tl.persistence(filtration, 0, backend="native")
    with pytest.raises(ValueError, match=rf"^backend: 'gudhi' cannot .*32 bits.* {entries} entries"):
        tl.persistence(filtration, 0, backend="gudhi")
    with pytest.raises(ValueError, match=rf"^backend: none can .*native: .*{reason}.*gudhi: .*32 bits"):
        tl.persistence(filtration, 0)


@pytest.mark.parametrize("shape", [(2**16, 2**16 - 1), (2**32 - 1,)], ids=str)
def test_the_largest_samples_are_not_refused(shape: tuple[int, ...]) -> None:
    filtration = tl.Freudenthal(torch.zeros(()).expand(shape), ndim=len(shape))
    assert tl.backends()["native"].unsupported(filtration, (0,)) is None


# ---------------------------------------------------------------------------------------------------------------
# In a process whose address space is limited

_PRELUDE = """
import json, random, resource, sys
from pathlib import Path
import torch
import topolayer as tl

def leave(megabytes):
    \"\"\"Sets the limit to what is used now and some more; None: to nothing.\"\"\"
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = resource.RLIM_INFINITY if megabytes is None else used + int(megabytes * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))

def attempt(compute, megabytes):
    leave(megabytes)
    try:
        return compute()
    except MemoryError as error:
        return type(error).__name__
    finally:
        leave(None)
"""


def _run(script: str) -> Any:
    """What the script prints, as JSON; it must end well. What is freed there goes back to the system at once."""
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + script],
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@limits_memory
def test_a_large_image() -> None:
    """MemoryError, and the same call works where there is memory."""
    script = """
torch.set_num_threads(1)
x = torch.rand(1000, 1000, generator=torch.Generator().manual_seed(0))
long_ascents = (3 * x).round() + torch.arange(1000)[:, None]
ends = []
for filtration in (tl.Freudenthal(x), tl.Cubical(long_ascents), tl.Cubical(x, construction="T", superlevel=True)):
    for dims in (0, 1, (0, 1)):
        def pairs():
            return tl.persistence(filtration, dims, backend="native").pairs
        found = [attempt(pairs, megabytes) for megabytes in (0, 1, 2, 4, 1000)]
        expected = tl.persistence(filtration, dims, backend="torch").pairs if dims == (0, 1) else pairs()
        ends += [end if isinstance(end, str) else torch.equal(end, expected) for end in found]
print(json.dumps(ends))
"""
    assert _run(script) == (["MemoryError"] * 4 + [True]) * 9


@limits_memory
@pytest.mark.parametrize("threads", [2, 8])
def test_worker_threads(threads: int) -> None:
    """Wherever the memory ends, in a worker's buffers or in the result: MemoryError, or the right bars."""
    script = f"""
rng = random.Random(0)
x = torch.rand({threads + 4}, 400, 400, generator=torch.Generator().manual_seed(0))
filtration = tl.Freudenthal(x, superlevel=True)
def compute():
    return tl.backends()["native"].pairs(filtration, (0, 1)).finite.indices
torch.set_num_threads(1)
expected = compute()
torch.set_num_threads({threads})
ends = {{"MemoryError": 0, "right": 0}}
for megabytes in [*sorted(rng.uniform(0, 60) for _ in range(25)), 200]:  # what succeeds keeps working memory
    end = attempt(compute, megabytes)
    ends["right" if torch.is_tensor(end) and torch.equal(end, expected) else end] += 1
print(json.dumps(ends))
"""
    ends = _run(script)
    assert ends["MemoryError"] > 0
    assert ends["right"] > 0


@limits_memory
def test_more_of_the_longest_than_fit() -> None:
    script = """
bars = tl.persistence(tl.Freudenthal(torch.rand(8, 9)))
calls = lambda: tl.longest_lengths(bars, 2**28), lambda: tl.landscape(bars, torch.ones(1), k=2**28)
print(json.dumps([attempt(call, 40) for call in calls]))
"""
    assert _run(script) == ["MemoryError"] * 2


@limits_memory
def test_copies_that_torch_makes() -> None:
    """torch raises a RuntimeError; the user gets the same exception from everywhere."""
    script = """
zero = torch.zeros(1)
filtrations = [tl.Freudenthal(zero.expand(60_000, 60_000)), tl.LowerStar(zero.expand(2**29), torch.tensor([[0, 1]]))]
ends = [attempt(lambda: tl.persistence(f, backend="native"), 40) for f in filtrations]
gudhi = tl.Freudenthal(zero.expand(10_000, 10_000))
print(json.dumps([*ends, attempt(lambda: tl.persistence(gudhi, backend="gudhi"), 40)]))
"""
    assert _run(script) == ["MemoryError"] * 3
