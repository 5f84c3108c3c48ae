"""What every experiment says and how: messages, progress bars, and errors that a user can mend."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger("experiments")
console = Console()


class UserError(Exception):
    """Something the user can mend. It ends the program with its message alone and exit status 2."""


class Interrupted(Exception):
    """Ctrl-C (or SIGTERM) was heard, and everything computed so far is on disk."""


def run(main: Callable[[], None]) -> None:
    """Run a command's main function and turn what users can mend into one line and an exit status."""
    handler = RichHandler(console=console, show_path=False, show_level=False, omit_repeated_times=False)
    handler.setFormatter(logging.Formatter("%(message)s", datefmt="%H:%M:%S"))
    log.handlers = [handler]
    first = os.environ.get("RANK", "0") == "0"  # of several processes one speaks
    log.setLevel(logging.INFO if first else logging.ERROR)
    log.propagate = False
    try:
        main()
        leave_processes()
    except UserError as error:
        log.error("[error] %s", error)
        sys.exit(2)
    except Interrupted as stop:  # all processes were told to stop after the same step
        log.warning("%s", stop)
        leave_processes()
        sys.exit(130)
    except KeyboardInterrupt:
        log.warning("interrupted; runs go on from their last checkpoint with --resume")
        sys.exit(130)


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
    """A progress bar over all steps of a command, with time left and the current losses.

    Where the output is no terminal (a log file, a test) there is no bar; the epochs' log lines tell how far it is.
    """

    def __init__(self, total: float, *, enabled: bool = True) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=8),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("left  {task.fields[losses]}"),
            console=console,
            disable=not (enabled and console.is_terminal),
        )
        self.live = not self._progress.disable
        self._task = self._progress.add_task("", total=total, losses="")

    def __enter__(self) -> Meter:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def advance(self, steps: float, name: str = "", losses: dict[str, float] | None = None) -> None:
        text = "  ".join(f"{key} {value:.3g}" for key, value in (losses or {}).items())
        self._progress.update(self._task, advance=steps, description=name, losses=text)
