"""One command at a time in a folder of results."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.shared.console import UserError, log

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows
    flock = None  # type: ignore[assignment]


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other commands out of `folder`, which is made if it is not there.

    The lock is the operating system's: it ends with the process, however that ends. Of several processes that torchrun
    started the first one holds it for all. The file stays behind, empty; it means nothing by itself.
    """
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a+")
    except OSError as error:
        raise UserError(f"{folder} cannot be written to ({error.strerror}): choose another folder as --runs") from error
    with file:
        try:
            if flock is None:
                raise OSError("this system has no flock")
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise UserError(
                f"{folder} is in use by {holder}: wait until it has ended, or stop it, and give this command again; "
                "or choose another --name"
            ) from None
        except OSError as error:
            log.warning("%s cannot be locked (%s): give no second command with this folder meanwhile", folder, error)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}, at work since {time.strftime('%H:%M:%S')}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
