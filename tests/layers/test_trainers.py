"""The code for accelerate, the Trainer of Hugging Face and MONAI that a page shows, where these are installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import TensorDataset

import topolayer as tl
import topolayer.metrics  # before transformers: see docs/explanation/questions.md

PAGE = Path(__file__).parents[2] / "docs/tutorials/pipelines.md"
LAYERS = {
    "encoder": lambda: nn.Conv2d(1, 4, 3),
    "decoder": lambda: nn.Conv2d(4, 4, 3),
    "head": lambda: nn.Conv2d(4, 1, 5, padding=4),
}


def code_with(word: str) -> str:
    """The only block of code on the page that has the word."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if word in block]
    return found


class Network(nn.Sequential):
    """A network as those of transformers: with its loss, and an argument for options that it ignores."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        for name, make in LAYERS.items():
            self.add_module(name, make())

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **options: Any) -> Any:
        logits = super().forward(pixel_values)
        return logits if labels is None else {"loss": mse_loss(logits, labels), "logits": logits}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def images_and_masks() -> Tensor:
    return torch.rand(2, 8, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def test_accelerate() -> None:
    pytest.importorskip("accelerate")
    names: dict[str, Any] = {"net": Network(), "pairs": TensorDataset(*images_and_masks())}
    before = names["net"].decoder.weight.detach().clone()
    exec(code_with("Accelerator"), names)
    assert names["regularizer"].state_dict() == {"step": 4}
    assert (names["regularizer"].last["decoder"] > 0) and not names["net"].decoder.weight.equal(before)
    names["regularizer"].load_state_dict({"step": 0})
    names["accelerator"].load_state("checkpoint")
    assert names["regularizer"].state_dict() == {"step": 4}


@pytest.mark.filterwarnings("ignore")  # of the trainer, which is meant for GPUs
def test_the_trainer_of_hugging_face_divides_by_the_accumulated_batches() -> None:
    pytest.importorskip("transformers")
    images, masks = images_and_masks()
    pairs = [{"pixel_values": image, "labels": mask} for image, mask in zip(images, masks, strict=True)]
    names: dict[str, Any] = {"net": Network(), "pairs": pairs}
    gradients: list[Tensor] = []
    weight = names["net"].decoder.weight
    weight.register_post_accumulate_grad_hook(lambda parameter: gradients.append(parameter.grad.clone()))
    exec(code_with("TopologicalTrainer"), names)
    assert len(gradients) == 4

    whole = Network()
    with tl.Regularizer(whole, {"decoder": tl.few_maxima}) as regularizer:
        (whole(images, masks)["loss"] + 1e-3 * regularizer()).backward()
    torch.testing.assert_close(gradients[-1], whole.decoder.weight.grad)
    assert names["trainer"].evaluate(pairs)["eval_loss"] > 0


@pytest.mark.filterwarnings("ignore")  # of ignite, which knows older versions of torch
def test_monai_calls_the_loss_once_for_each_forward_pass() -> None:
    pytest.importorskip("monai")
    pytest.importorskip("ignite")
    images, masks = images_and_masks()
    pairs = [{"image": image, "label": mask} for image, mask in zip(images, masks, strict=True)]
    names: dict[str, Any] = {"net": Network(), "pairs": pairs}
    before = names["net"].decoder.weight.detach().clone()
    exec(code_with("SupervisedTrainer"), names)
    assert names["regularizer"].state_dict() == {"step": 4}
    assert (names["regularizer"].last["decoder"] > 0) and not names["net"].decoder.weight.equal(before)
