"""How every experiment speaks: messages, progress bars, and errors that a user can mend."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, Progress, TextColumn

log = logging.getLogger("experiments")
console = Console()
OURS = ("experiments", "topolayer")
WIDE = 120  # columns of a terminal that has room for losses beside the bar


class UserError(Exception):
    """Something the user can mend. It ends the program with its message alone and exit status 2."""


class Interrupted(Exception):
    """Ctrl-C (or SIGTERM) was heard, and everything computed so far is on disk."""


def run(main: Callable[[], None]) -> None:
    """Run a command's main function and turn what users can mend into one line and an exit status."""
    log.handlers = [_handler()]
    first = os.environ.get("RANK", "0") == "0"  # one of several processes speaks
    log.setLevel(logging.INFO if first else logging.ERROR)
    log.propagate = False
    try:
        main()
        leave_processes()
    except UserError as error:
        log.error("[error] %s", error)
        sys.exit(2)
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package in OURS:
            raise
        log.error('[error] the package %s is not installed: pip install "topolayer[experiments]"', package)
        sys.exit(2)
    except Interrupted as stop:  # all processes were told to stop after the same step
        log.warning("%s", stop)
        leave_processes()
        sys.exit(130)
    except KeyboardInterrupt:
        log.warning("interrupted; runs go on from their last checkpoint with --resume")
        sys.exit(130)


def _handler() -> logging.Handler:
    """Messages keep clear of the progress bar on a terminal; elsewhere each has a line of its own, however long."""
    if console.is_terminal:
        rich = RichHandler(console=console, show_path=False, show_level=False, omit_repeated_times=False)
        rich.setFormatter(logging.Formatter("%(message)s", datefmt="%H:%M:%S"))
        return rich
    plain = logging.StreamHandler(sys.stdout)
    plain.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    return plain


def leave_processes() -> None:
    """End the talk between the processes of torchrun: its threads abort a process that just exits (PyTorch #179291)."""
    distributed = sys.modules.get("torch.distributed")
    if distributed and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into a question the training loop asks between steps.

    The second one interrupts at once. Outside the main thread, where signals cannot be caught, the answer is no.
    """
    heard = threading.Event()

    def hear(number: int, frame: FrameType | None) -> None:
        if heard.is_set():
            raise KeyboardInterrupt
        heard.set()

    if threading.current_thread() is not threading.main_thread():
        yield heard.is_set
        return
    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield heard.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Meter:
    """How far a command is: a progress bar over all its steps on a terminal, and lines of a log elsewhere."""

    def __init__(self, total: float, *, enabled: bool = True) -> None:
        self.run = ""
        """what is being done, such as "run 2 of 6, seed 0, topology"; in front of everything that is said of it"""
        self._total, self._done, self._worked, self._began = total, 0.0, 0.0, time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=8),
            TextColumn("{task.fields[left]}"),
            *[TextColumn("{task.fields[losses]}")] * (console.width >= WIDE),
            console=console,
            disable=not (enabled and console.is_terminal),
        )
        self._speaks = enabled and self._progress.disable
        self._task = self._progress.add_task("", total=total, left="", losses="")

    def __enter__(self) -> Meter:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def skip(self, steps: float) -> None:
        """These steps were done by an earlier command."""
        self._done += steps
        self._progress.update(self._task, completed=self._done)

    def advance(self, steps: float, name: str = "", losses: dict[str, float] | None = None) -> None:
        """These steps were done now, `name` says what they belong to."""
        self._done += steps
        self._worked += steps
        text = "  ".join(f"{key} {value:.3g}" for key, value in (losses or {}).items())
        self._progress.update(
            self._task, completed=self._done, description=self._line(name), left=self._left(), losses=text
        )

    def tell(self, name: str) -> None:
        """Log in one line where the command stands, unless a bar shows it."""
        if self._speaks:
            log.info("%s", ", ".join(filter(None, (self._line(name), self._left()))))

    def _line(self, name: str) -> str:
        return ": ".join(filter(None, (self.run, name)))

    def _left(self) -> str:
        if not self._worked or self._done >= self._total:
            return ""
        seconds = (time.monotonic() - self._began) / self._worked * (self._total - self._done)
        return f"{about(seconds)} left"


def about(seconds: float) -> str:
    """A duration as one says it.

    >>> [about(seconds) for seconds in (20, 170, 3600, 5000, 200_000)]
    ['less than a minute', 'about 3 min', 'about 1 h', 'about 1 h 23 min', 'about 56 h']
    """
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    if seconds < 60:
        return "less than a minute"
    if hours >= 10:
        return f"about {round(minutes / 60)} h"
    return " ".join(["about", *[f"{hours} h"] * (hours > 0), *[f"{rest} min"] * (rest > 0)])
