"""Makes compiled code look for hooks again, for as long as somebody needs it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

_NAME = "skip_nnmodule_hook_guards"
_lock = threading.RLock()  # the garbage collector may end one watch in the middle of another
_watches: set[object] = set()
_found: Any = None  # the setting before the first watch


def watch_hooks(owner: object) -> Callable[[], object]:
    """Code that torch.compile made before is discarded, and new code is used only where there are the same hooks.

    Otherwise dynamo takes the absence of hooks for granted: code runs past hooks that were added later, and the code
    of the first of several equal blocks serves the others too, whatever hooks they have.

    Returns:
        What ends it, at the latest with the owner. It may be called more than once.
    """
    # This loads the compiler, which takes a second; but any optimizer of torch has done so.
    import torch._dynamo

    global _found
    setting, watch = _setting(torch._dynamo.config), object()
    with _lock:
        if not _watches:
            _found = getattr(*setting)
        _watches.add(watch)
        setattr(*setting, False)
    # torch.compiler.reset() would do too, but it also switches compiled autograd off, for one.
    torch._dynamo.reset_code_caches()
    end = weakref.finalize(owner, _end, watch, setting)
    end.atexit = False
    return end


def _end(watch: object, setting: tuple[Any, str]) -> None:
    with _lock:
        _watches.discard(watch)
        if not _watches:
            setattr(*setting, _found)


def _setting(config: Any) -> tuple[Any, str]:
    """Where the value for all threads is. An assignment to the configuration counts in its own thread only."""
    entry = getattr(config, "_config", {}).get(_NAME)
    return (entry, "default") if hasattr(entry, "default") else (config, _NAME)  # before torch 2.6
