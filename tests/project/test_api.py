"""The public names, and the conduct of the source."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import shutil
import subprocess
import sys
import warnings
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path

import pytest

import topolayer as tl
from topolayer import losses, metrics, nn, plot

PACKAGE = Path(tl.__file__).parent
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "build" not in path.parts)

# SemVer: a name that is added here is kept.
NAMES = [
    "Alpha",
    "Backend",
    "BarIndices",
    "Barcode",
    "Capabilities",
    "Cubical",
    "EssentialBars",
    "ExtendedBarcode",
    "Filtration",
    "Freudenthal",
    "IndexPairs",
    "InducedMatching",
    "LayerTable",
    "LowerStar",
    "RankBackend",
    "Regularizer",
    "Rips",
    "Simplicial",
    "algebraic",
    "backends",
    "betti_error",
    "betti_matching_error",
    "betti_matching_loss",
    "betti_numbers",
    "bottleneck",
    "channel_norm",
    "extended_persistence",
    "few_extrema",
    "few_maxima",
    "gradient_ratio",
    "induced_matching",
    "landscape",
    "length_weights",
    "longest_lengths",
    "persistence",
    "persistence_image",
    "persistence_in_slabs",
    "persistent_entropy",
    "probe",
    "register_backend",
    "representatives",
    "silhouette",
    "simplify",
    "sliced_wasserstein",
    "smooth_gradient",
    "tokens_to_grid",
    "total_persistence",
    "wasserstein",
    "wasserstein_matching",
    "wasserstein_matching_loss",
]
ROOMS = {"lightning", "losses", "metrics", "nn", "plot", "tables"}
MODULES = ["BettiMatchingLoss", "BettiNumberLoss", "RTDLiteLoss", "SignatureLoss", "WassersteinMatchingLoss"]
FUNCTIONS = ["betti_error", "betti_matching_error", "betti_matching_loss", "wasserstein_matching_loss"]
OF_REPRESENTATIONS = ["rtd_lite", "signature_loss"]  # in `losses` only
PICTURES = [
    "activations",
    "barcode",
    "betti_curve",
    "diagram",
    "landscape",
    "matching",
    "pairs",
    "persistence_image",
    "representatives",
    "superlevel_sets",
]


def test_snapshot_of_the_public_names() -> None:
    assert sorted(tl.__all__) == NAMES
    assert sorted(plot.__all__) == PICTURES
    assert sorted(nn.__all__) == ["Flat", "Gaussian", "Grid", "Line", "PersLay", "Power", "Tent"]
    assert sorted(metrics.__all__) == ["BettiError", "BettiMatchingError"]
    assert sorted(losses.__all__) == sorted([*MODULES, *FUNCTIONS, *OF_REPRESENTATIONS])
    for name in NAMES:
        assert getattr(tl, name) is not None


def test_no_other_public_names() -> None:
    """What has no underscore is the API; private modules carry one, all but those of `ROOMS`."""
    public = {name for name in vars(tl) if not name.startswith("_")}
    assert public - ROOMS == set(NAMES)
    assert {module.name for module in pkgutil.iter_modules(tl.__path__) if module.name[0] != "_"} == ROOMS


def test_version() -> None:
    assert tl.__version__ == version("topolayer")


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert list(PACKAGE.glob("_core*.pyi"))


def test_the_stub_of_the_core_is_what_nanobind_makes_of_it(tmp_path: Path) -> None:
    """After a change of the bindings: python -m nanobind.stubgen -m topolayer._core -o topolayer/_core.pyi"""
    stubgen = pytest.importorskip("nanobind.stubgen")
    stubgen.main(["-q", "-m", "topolayer._core", "-o", str(tmp_path / "_core.pyi")])
    assert (PACKAGE / "_core.pyi").read_text(encoding="utf-8") == (tmp_path / "_core.pyi").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_public_names_are_documented(name: str) -> None:
    thing = getattr(tl, name)
    assert inspect.getdoc(thing)
    if inspect.isclass(thing):
        for key, member in vars(thing).items():
            if not key.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                assert inspect.getdoc(getattr(thing, key)) or inspect.getdoc(member), key


# -- conduct


def test_a_folder_without_the_compiled_core_is_named(tmp_path: Path) -> None:
    """What Python finds in the folder of a clone. Without `site` no editable installation helps it out."""
    shutil.copytree(PACKAGE, tmp_path / "topolayer", ignore=shutil.ignore_patterns("_core.*.so", "_core*.pyd"))
    code = f"import sys; sys.path[:0] = {[str(tmp_path), *sys.path]!r}; import topolayer"
    run = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=100)
    assert f"imported from {tmp_path / 'topolayer'}, where its C++ core is not compiled" in run.stderr
    assert "pip install -e ." in run.stderr


def test_no_code_under_the_gpl() -> None:
    """GUDHI's modules that need CGAL, the alpha complex among them, are not used at run time."""
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        for name in (
            "AlphaComplex",
            "DelaunayComplex",
            "alpha_complex",
            "delaunay_complex",
            "TangentialComplex",
            "multipers",
            "gph",
        ):
            assert not any(
                isinstance(node, ast.Attribute | ast.Name)
                and name in (getattr(node, "attr", ""), getattr(node, "id", ""))
                for node in ast.walk(ast.parse(text))
            ), f"{path.name} uses {name}"


_FORBIDDEN_CALLS = {
    "print", "manual_seed", "seed", "set_num_threads", "set_num_interop_threads", "set_default_dtype",
    "set_default_device", "set_rng_state", "simplefilter", "filterwarnings", "basicConfig", "seterr",
    "use_deterministic_algorithms", "eval", "exec",
}  # fmt: skip


def test_no_call_that_touches_what_is_global() -> None:
    """logging and warnings, never print; random state, threads and default dtype are left alone."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name == "eval" and isinstance(node.func, ast.Attribute):
                    continue  # a module's eval()
                assert name not in _FORBIDDEN_CALLS, f"{path.name}:{node.lineno} calls {name}"


def test_importing_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importlib.reload(importlib.import_module("topolayer._barcodes.sums"))


@pytest.mark.parametrize(
    ("function", "expected"),
    {
        "persistence": ["filtration", "dims"],
        "extended_persistence": ["filtration"],
        "representatives": ["filtration", "barcode", "which"],
        "simplify": ["filtration"],
        "algebraic": ["barcode"],
        "total_persistence": ["barcode"],
        "persistent_entropy": ["barcode"],
        "length_weights": ["barcode", "epsilon"],
        "longest_lengths": ["barcode", "k"],
        "landscape": ["barcode", "grid"],
        "silhouette": ["barcode", "grid"],
        "betti_numbers": ["barcode", "levels"],
        "persistence_image": ["barcode", "births", "lengths"],
        "betti_error": ["prediction", "mask"],
        "betti_matching_error": ["prediction", "target"],
        "betti_matching_loss": ["prediction", "target"],
        "induced_matching": ["first", "second", "dims"],
        "wasserstein": ["first", "second"],
        "bottleneck": ["first", "second"],
        "sliced_wasserstein": ["first", "second"],
        "wasserstein_matching_loss": ["prediction", "mask"],
        "few_maxima": ["h"],
        "smooth_gradient": ["points"],
    }.items(),
)
def test_everything_after_the_nouns_is_keyword_only(function: str, expected: list[str]) -> None:
    parameters = list(inspect.signature(getattr(tl, function)).parameters.values())
    assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == expected
    assert not any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters)  # nothing is swallowed


OF_MODULES = ["sigmoid=False", "softmax=False", "reduction='mean'"]
OF_MASKS = [
    "*",
    "include_background=True",
    "to_onehot_y=False",
    *OF_MODULES,
    "weight=None",
    "dims=None",
    "construction='T'",
]
OF_METRICS = [
    "*",
    "threshold=0.5",
    "dims=None",
    "construction='T'",
    "num_classes=None",
    "include_background=True",
    "patch=None",
    "patches=None",
    "seed=0",
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("losses.BettiNumberLoss", ["components=1", "loops=0", "cavities=0", "*", *OF_MODULES]),
        ("losses.WassersteinMatchingLoss", OF_MASKS),
        ("losses.BettiMatchingLoss", [*OF_MASKS, "comparison='union'", "min_length=0.0"]),
        ("metrics.BettiError", OF_METRICS),
        ("metrics.BettiMatchingError", OF_METRICS),
        ("losses.signature_loss", ["first", "second"]),
        ("losses.rtd_lite", ["first", "second", "*", "quantile=0.9"]),
        ("losses.SignatureLoss", ["*", "reduction='mean'"]),
        ("losses.RTDLiteLoss", ["*", "quantile=0.9", "reduction='mean'"]),
        ("nn.PersLay", ["transform", "*", "weight=None", "pooling='sum'", "dim=None"]),
        ("nn.Gaussian", ["centers", "*", "sigma"]),
        ("nn.Tent", ["levels"]),
        ("nn.Flat", ["levels", "*", "softness"]),
        ("nn.Line", ["channels"]),
        ("nn.Power", ["p=1.0", "*", "scale=1.0"]),
        ("nn.Grid", ["weights", "*", "births", "lengths"]),
        ("Freudenthal", ["values", "*", "ndim=2", "superlevel=False", "mask=None"]),
        ("Cubical", ["values", "*", "ndim=2", "construction='V'", "superlevel=False", "mask=None"]),
        ("LowerStar", ["values", "simplices", "*", "superlevel=False", "batch=None", "samples=None"]),
        ("Rips", ["distances", "*", "threshold=inf"]),
        ("Alpha", ["points"]),
        ("smooth_gradient", ["points", "*", "bandwidth"]),
        ("persistence", ["filtration", "dims=0", "*", "backend=None"]),
        ("simplify", ["filtration", "*", "k=None", "threshold=None", "backend=None"]),
        ("induced_matching", ["first", "second", "dims=0", "*", "comparison='union'", "backend=None"]),
    ],
)
def test_signatures_of_the_contract(name: str, expected: list[str]) -> None:
    shown, star = [], False
    for p in inspect.signature(attrgetter(name)(tl)).parameters.values():
        if p.kind is p.KEYWORD_ONLY and not star:
            shown.append("*")
            star = True
        shown.append(p.name if p.default is p.empty else f"{p.name}={p.default!r}")
    assert shown == expected


def test_files_are_short() -> None:
    """Past 400 lines two ideas share a room."""
    for path in SOURCES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path.name
