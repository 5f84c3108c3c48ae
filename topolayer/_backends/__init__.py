"""How persistence is computed: the registry of backends, in order of preference."""

from __future__ import annotations

import difflib

from topolayer._backends.gudhi_ import GudhiBackend
from topolayer._backends.native import NativeBackend
from topolayer._backends.protocol import Backend, IndexPairs
from topolayer._backends.ranks import RankBackend
from topolayer._backends.ripser_ import RipserBackend
from topolayer._backends.tensor import TensorBackend
from topolayer._filtrations import Filtration

__all__ = ["Backend", "IndexPairs", "RankBackend", "backends", "choose_backend", "register_backend"]

_registry: dict[str, Backend] = {b.name: b for b in (NativeBackend(), TensorBackend(), RipserBackend(), GudhiBackend())}


def backends() -> dict[str, Backend]:
    """The registered backends by name, in the order in which `persistence` looks for one. A copy.

    For tensors on another device than the CPU it looks at `"torch"` first, which leaves them there.

    Returns:
        A new dict; changing it registers nothing.

    Example:
        >>> import topolayer as tl
        >>> tl.backends()["native"]
        <native: grids in dimension 0 and the top one, LowerStar and Rips in dimension 0>
    """
    return dict(_registry)


def register_backend(backend: Backend) -> None:
    """Makes a backend available under its name. Passing the object itself to `persistence` does the same for one call.

    Args:
        backend: an object with the protocol `Backend`. It comes last in the order of preference.

    Raises:
        TypeError: the object does not follow the protocol `Backend`.
        ValueError: the name is taken.

    Example:
        >>> import topolayer as tl
        >>> class Nothing:
        ...     name = "native"
        ...
        ...     def unsupported(self, filtration, dims):
        ...         return "it computes nothing"
        ...
        ...     def pairs(self, filtration, dims): ...
        >>> try:
        ...     tl.register_backend(Nothing())
        ... except ValueError as error:
        ...     print(str(error)[:35])
        backend: the name 'native' is taken
    """
    _check_protocol(backend)
    if backend.name in _registry:
        raise ValueError(
            f"backend: the name {backend.name!r} is taken by {_registry[backend.name]!r}; choose another one"
        )
    _registry[backend.name] = backend


def choose_backend(
    backend: str | Backend | None, filtration: Filtration, dims: tuple[int, ...], *, to_simplify: bool = False
) -> Backend:
    """The backend that was asked for, or the first that can do it. Raises ValueError or TypeError if there is none."""

    def unsupported(candidate: Backend) -> str | None:
        if to_simplify and not callable(getattr(candidate, "simplified", None)):
            return "it computes pairs only"
        return candidate.unsupported(filtration, dims)

    def task() -> str:
        return f"simplify {filtration!r}" if to_simplify else f"compute dimensions {dims} of {filtration!r}"

    if backend is None:
        candidates = list(_registry.values())
        if filtration.values.device.type != "cpu":
            candidates.sort(key=lambda b: b.name != "torch")
        for candidate in candidates:
            if unsupported(candidate) is None:
                return candidate
        reasons = "; ".join(f"{name}: {unsupported(candidate)}" for name, candidate in _registry.items())
        raise ValueError(f"backend: none can {task()}; {reasons}")
    if isinstance(backend, str):
        if backend not in _registry:
            near = difflib.get_close_matches(backend, _registry, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ";"
            raise ValueError(f"backend: unknown name {backend!r}{hint} known are {', '.join(map(repr, _registry))}")
        backend = _registry[backend]
    _check_protocol(backend)
    reason = unsupported(backend)
    if reason is not None:
        able = [name for name, candidate in _registry.items() if unsupported(candidate) is None]
        others = ", ".join(map(repr, able)) or "none"
        raise ValueError(f"backend: {backend.name!r} cannot {task()}: {reason}. Those that can: {others}")
    return backend


def _check_protocol(backend: object) -> None:
    methods = [getattr(backend, method, None) for method in ("unsupported", "pairs")]
    named = isinstance(getattr(backend, "name", None), str)
    if isinstance(backend, type) or not named or not all(map(callable, methods)):
        what = f"the class {backend.__name__}" if isinstance(backend, type) else type(backend).__name__
        raise TypeError(
            "backend: expected a name, None, or an object with a `name` and the methods `unsupported` and `pairs`, "
            f"got {what}; topolayer.Backend is that protocol"
        )
