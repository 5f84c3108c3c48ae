"""Every public name is in the reference and explained: arguments, result, errors, types, an example that is right."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import pytest
import torch

import topolayer as tl
from topolayer import losses, metrics, nn, plot

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(tl.__path__, "topolayer.")
    if not module.name.endswith("._core")  # compiled
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    if name == "topolayer.lightning":
        pytest.importorskip("lightning", reason="needs the extra `lightning`")
    if name.startswith("topolayer.tables"):
        pytest.importorskip("pyarrow", reason="needs the extra `tables`")
    module = importlib.import_module(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    plt.close("all")
    assert results.failed == 0


# The functions of `losses` are those of `tl`.
PUBLIC = [(module, name) for module in (tl, metrics, nn, plot) for name in module.__all__]
PUBLIC += [(losses, name) for name in losses.__all__ if name not in tl.__all__]
if find_spec("lightning") is not None:
    PUBLIC += [(importlib.import_module("topolayer.lightning"), "RegularizerCallback")]
TABLES = ["Vectors", "tabulate"]
if find_spec("pyarrow") is not None:
    PUBLIC += [(importlib.import_module("topolayer.tables"), name) for name in TABLES]
# Records: their fields are attributes.
RESULTS = {"BarIndices", "Barcode", "Capabilities", "EssentialBars", "ExtendedBarcode", "IndexPairs", "LayerTable"}
RESULTS |= {"InducedMatching"}
NEVER_RAISE = {"backends"}


def explained(docstring: str, section: str) -> set[str]:
    """The names that a section of a docstring explains, one per line or several with commas between."""
    found = re.search(rf"^{section}:\n((?:(?: +.*)?\n)*)", docstring + "\n", re.MULTILINE)
    lines = found[1].splitlines() if found else []
    names = [re.match(r"    (\w[\w, ]*):", line) for line in lines]
    return {name for match in names if match for name in match[1].split(", ")}


def methods(cls: type) -> Iterator[tuple[str, Callable[..., object]]]:
    """The public methods and properties of a class, inherited ones of this package among them."""
    for name in dir(cls):
        thing = inspect.getattr_static(cls, name)
        if not name.startswith("_") or name == "__call__":
            function = thing.fget if isinstance(thing, property) else getattr(thing, "func", thing)
            if inspect.isfunction(function) and function.__module__.startswith("topolayer."):
                yield name, function


def parameters(thing: Callable[..., object]) -> set[str]:
    return {name for name in inspect.signature(thing).parameters if name != "self" and not name.startswith("_")}


def check_function(function: Callable[..., object], docstring: str) -> None:
    hints = typing.get_type_hints(function)
    assert parameters(function) | {"return"} == hints.keys()
    assert explained(docstring, "Args") == parameters(function)
    if hints["return"] is not type(None):
        returned = "Returns:" in docstring or "; returned." in docstring  # the axes that were drawn on
        assert returned or not parameters(function)  # a property is what it says it is
    if re.search(r"^\s+raise (?!NotImplementedError)|\bcheck_|_check", inspect.getsource(function), re.MULTILINE):
        assert explained(docstring, "Raises")


@pytest.mark.parametrize(("module", "name"), [(m, n) for m, n in PUBLIC if inspect.isfunction(getattr(m, n))])
def test_functions_are_explained(module: ModuleType, name: str) -> None:
    function = getattr(module, name)
    docstring = inspect.getdoc(function) or ""
    check_function(function, docstring)
    assert "Returns:" in docstring or "; returned." in docstring or name == "register_backend"
    assert explained(docstring, "Raises") or name in NEVER_RAISE
    assert ">>>" in docstring


@pytest.mark.parametrize(("module", "name"), [(m, n) for m, n in PUBLIC if inspect.isclass(getattr(m, n))])
def test_classes_are_explained(module: ModuleType, name: str) -> None:
    cls = getattr(module, name)
    docstring = inspect.getdoc(cls) or ""
    assert ">>>" in docstring
    if name in RESULTS:
        assert parameters(cls) <= explained(docstring, "Attributes")
    elif typing.get_type_hints(cls.__init__) != {} and not inspect.isabstract(cls) and cls is not tl.Backend:
        assert parameters(cls) == explained(docstring, "Args")
        assert explained(docstring, "Raises")
    fields = {field for field in vars(cls).get("__annotations__", {}) if not field.startswith("_")}
    assert fields <= typing.get_type_hints(cls).keys()
    for method_name, method in methods(cls):
        explanation = inspect.getdoc(getattr(cls, method_name))  # which may be that of the class above
        assert explanation
        check_function(method, explanation)


def test_the_reference_has_every_public_name_once() -> None:
    reference = (Path(__file__).parents[2] / "docs/reference.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\.\. currentmodule:: (\S+)|^\.\. auto\w+:: (\w+)", reference, re.MULTILINE)
    module, found = "", []
    for current, name in listed:
        module = current or module
        if name:
            found.append(f"{module}.{name}")
    expected = {f"{module.__name__}.{name}" for module, name in PUBLIC} | {"topolayer.lightning.RegularizerCallback"}
    expected |= {f"topolayer.tables.{name}" for name in TABLES}
    assert sorted(found) == sorted(expected)
