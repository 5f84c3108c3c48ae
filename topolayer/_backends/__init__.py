"""How persistence is computed: the registry of backends, in order of preference. To add a backend, enter it here."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Literal

from torch import Tensor

from topolayer._backends.cliques import RedzedBackend, RipserBackend
from topolayer._backends.gudhi import GudhiBackend
from topolayer._backends.native import NativeBackend, extended_pairs
from topolayer._backends.protocol import Backend, BarIndices, Capabilities, IndexPairs, capabilities_of
from topolayer._backends.ranks import RankBackend
from topolayer._backends.torch import TorchBackend
from topolayer._filtrations import Filtration

__all__ = [
    "Backend",
    "BarIndices",
    "Capabilities",
    "IndexPairs",
    "RankBackend",
    "backends",
    "capabilities_of",
    "choose_backend",
    "extended_pairs",
    "register_backend",
]

_registry: dict[str, Backend] = {
    b.name: b for b in (NativeBackend(), TorchBackend(), RedzedBackend(), RipserBackend(), GudhiBackend())
}


def backends() -> dict[str, Backend]:
    """A copy of the registered backends by name, in the order in which `persistence` looks for one.

    For tensors on an accelerator it looks first at backends that compute there: registered ones that name the device,
    then `"torch"`.

    Returns:
        A new dict; changing it registers nothing.

    Example:
        >>> import topolayer as tl
        >>> tl.backends()["native"]
        <native: every dimension of all filtrations, but of Rips 0 and 1>
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
    backend: str | Backend | None,
    filtration: Filtration,
    dims: tuple[int, ...],
    *,
    task: Literal["compute", "simplify", "match"] = "compute",
) -> Backend:
    """The requested backend, or the first that can do it. Raises ValueError or TypeError if there is none."""

    def unsupported(candidate: Backend) -> str | None:
        able = capabilities_of(candidate)
        if (task == "simplify" and not able.simplifies) or (task == "match" and not able.matches):
            return "it computes pairs only"
        if task == "match" and filtration.is_ragged and not able.ragged:
            return "it matches samples of one size only"
        reasons = (candidate.unsupported(part, dims) for part in _seen_by(candidate, filtration))
        return next((reason for reason in reasons if reason is not None), None)

    candidates = _by_preference(filtration.numbers) if backend is None else [_asked_for(backend)]
    for candidate in candidates:
        if unsupported(candidate) is None:
            return candidate
    what = f"{task} {filtration!r}" if task == "simplify" else f"{task} dimensions {dims} of {filtration!r}"
    reasons = {name: unsupported(candidate) for name, candidate in _registry.items()}
    if backend is None:
        listed = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise ValueError(f"backend: none can {what}; {listed}")
    (candidate,) = candidates
    able = ", ".join(repr(name) for name, reason in reasons.items() if reason is None) or "none"
    reason = unsupported(candidate)
    raise ValueError(f"backend: {candidate.name!r} cannot {what}: {reason}. Those that can: {able}")


def _seen_by(backend: Backend, filtration: Filtration) -> Iterator[Filtration]:
    """The filtrations that a backend is given: where samples may differ in size, most backends get one at a time."""
    sizes = filtration.offsets.diff().tolist() if filtration.is_ragged else []
    numbers = [number for number, size in enumerate(sizes) if size > 0]
    if not numbers or capabilities_of(backend).ragged:
        yield filtration
    else:
        yield from map(filtration.sample, numbers)


def _by_preference(values: Tensor) -> list[Backend]:
    """All backends, first those that compute on the device of the values. On the CPU all do, as nothing is copied."""
    known = list(_registry.values())
    if values.is_cpu:
        return known

    def distance(backend: Backend) -> int:
        devices = capabilities_of(backend).devices
        return 1 if devices is None else 0 if values.device.type in devices else 2

    return sorted(known, key=distance)


def _asked_for(backend: str | Backend) -> Backend:
    """The backend of this name, or the object itself if it follows the protocol."""
    if isinstance(backend, str):
        if backend not in _registry:
            near = difflib.get_close_matches(backend, _registry, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ";"
            raise ValueError(f"backend: unknown name {backend!r}{hint} known are {', '.join(map(repr, _registry))}")
        return _registry[backend]
    _check_protocol(backend)
    return backend


def _check_protocol(backend: object) -> None:
    methods = [getattr(backend, method, None) for method in ("unsupported", "pairs")]
    name = getattr(backend, "name", None)
    named = isinstance(name, str) and name
    if isinstance(backend, type) or not named or not all(map(callable, methods)):
        what = f"the class {backend.__name__}" if isinstance(backend, type) else type(backend).__name__
        raise TypeError(
            "backend: expected a name, None, or an object with a `name` that is not empty and the methods "
            f"`unsupported` and `pairs`, got {what}; topolayer.Backend is that protocol"
        )
