"""What files of a folder are read, as which numbers, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("pyarrow", reason="needs the extra `tables`")
nibabel = pytest.importorskip("nibabel", reason="needs the extra `tables`")
zarr = pytest.importorskip("zarr", reason="needs the extra `tables`")
from PIL import Image  # noqa: E402

from topolayer.tables.files import find, read  # noqa: E402


def test_files_are_found_below_the_folder_and_arrays_of_zarr_are_files(tmp_path: Path) -> None:
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    for name in ("b.PNG", "deep/er/a.nii.gz", "deep/c.txt", ".d.png", ".hidden/e.png"):
        (tmp_path / name).touch()
    zarr.save_array(str(tmp_path / "deep/v.zarr"), np.zeros((2, 2)))
    assert find(tmp_path) == (["b.PNG", "deep/er/a.nii.gz", "deep/v.zarr"], ["deep/c.txt"])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "uint16", "int16", "float16", "float32"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_narrow_numbers_are_exact_in_float32(tmp_path: Path, dtype: str, order: str) -> None:
    array = np.array([[0, 1, 127], [1, 100, 0]]).astype(np.dtype(dtype).newbyteorder(order))
    np.save(tmp_path / "a.npy", array)
    found = read(tmp_path / "a.npy", None)
    assert found.dtype == torch.float32 and found.tolist() == array.astype(float).tolist()


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64", "float64"])
def test_wide_numbers_are_exact_in_float64(tmp_path: Path, dtype: str) -> None:
    array = np.array([0, 2**24 + 1, 2**31 - 1], dtype)
    np.save(tmp_path / "a.npy", array)
    found = read(tmp_path / "a.npy", None)
    assert found.dtype == torch.float64 and found.tolist() == array.tolist()


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "I", "F"])
def test_images_of_one_number_a_pixel(tmp_path: Path, mode: str) -> None:
    numbers = np.array([[0, 1], [1, 0], [0, 0]])
    kind = {"1": bool, "L": np.uint8, "I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
    Image.fromarray(numbers.astype(kind)).save(tmp_path / "a.tif")
    assert read(tmp_path / "a.tif", None).tolist() == numbers.tolist()


def test_a_color_image_needs_a_choice(tmp_path: Path) -> None:
    numbers = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    Image.fromarray(numbers).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"one number for each pixel, got an image of mode RGB; choose color"):
        read(tmp_path / "a.png", None)
    assert read(tmp_path / "a.png", "green").tolist() == numbers[..., 1].tolist()
    assert (
        read(tmp_path / "a.png", "luminance").tolist() == np.array(Image.open(tmp_path / "a.png").convert("L")).tolist()
    )


def test_volumes(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(-500, 500, (3, 4, 5)).astype(np.int16)
    image = nibabel.Nifti1Image(array, np.eye(4))
    nibabel.save(image, tmp_path / "plain.nii.gz")
    image.header.set_slope_inter(0.5, 3)
    nibabel.save(image, tmp_path / "scaled.nii")
    zarr.save_array(str(tmp_path / "a.zarr"), array)
    for name in ("plain.nii.gz", "a.zarr"):
        assert np.array_equal(read(tmp_path / name, None).numpy(), array), name
    stored = np.asarray(nibabel.load(tmp_path / "scaled.nii").dataobj)
    assert np.array_equal(read(tmp_path / "scaled.nii", None).numpy(), stored)


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros((2, 2, 2, 2)), ValueError, r"a signal, an image or a volume, got shape \(2, 2, 2, 2\); split"),
        (np.zeros((0, 2)), ValueError, r"got shape \(0, 2\)"),
        (np.zeros(()), ValueError, r"got shape \(\)"),
        (np.zeros(2, complex), TypeError, r"real numbers, got complex128; write"),
        (np.array(["a"]), TypeError, r"real numbers, got <U1"),
        (np.array([2**53 + 1]), ValueError, r"integers up to 2\*\*53"),
        (np.array([-(2**63)]), ValueError, r"integers up to 2\*\*53"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: np.ndarray, error: type[Exception], message: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(error, match=message):
        read(tmp_path / "a.npy", None)


def test_an_image_of_several_pages_is_refused(tmp_path: Path) -> None:
    pages = [Image.new("L", (3, 2), shade) for shade in (0, 1)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match="one image, got 2 pages; write them as"):
        read(tmp_path / "a.tif", None)
