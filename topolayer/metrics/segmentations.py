"""What all scores share: predictions or labels of classes, their patches, and sums over processes."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors

from topolayer._checks import check_bool, check_integer, check_integers, check_number
from topolayer._filtrations.grids import check_construction
from topolayer.losses.segmentations import INTEGERS, check_binary, check_mask, check_prediction, one_hot
from topolayer.metrics.patches import crops

_CLASSES = "for labels of classes, such as those of argmax, say num_classes=..."


def _gathered(state: Tensor, group: Any = None) -> list[Tensor]:
    """A state of all processes. One without any batch does not know how many classes there are: its zeros fit all."""
    parts: list[Tensor] = gather_all_tensors(state.reshape(-1), group)
    classes = max(map(len, parts))
    return [part.expand(classes).reshape(state.shape if classes == state.numel() else (classes,)) for part in parts]


class OfMasks(Metric):
    """The mean over images, or over patches of them, of a score that a subclass has."""

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    plot_lower_bound = 0.0
    total: Tensor
    count: Tensor

    def __init__(
        self,
        *,
        threshold: float = 0.5,
        dims: int | tuple[int, ...] | None = None,
        construction: Literal["V", "T"] = "T",
        num_classes: int | None = None,
        include_background: bool = True,
        patch: int | tuple[int, ...] | None = None,
        patches: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(dist_sync_fn=_gathered)
        self.threshold = check_number("threshold", threshold)
        check_construction(construction)
        check_bool("include_background", include_background)
        if num_classes is not None:
            remedy = "for a mask of 0 and 1 leave it out"
            num_classes = check_integer("num_classes", num_classes, least=2, remedy=remedy)
        if patch is not None:
            what = "the sides of a patch, one for each axis of the grid or one for all"
            patch = check_integers("patch", patch, what=what)
            if not patch or min(patch) < 1:
                raise ValueError(f"patch: expected {what}, each >= 1, got {patch}; None takes whole images")
        if patches is not None:
            patches = check_integer("patches", patches, least=1, remedy="None takes tiles that cover the image")
            if patch is None:
                raise ValueError(f"patches: expected the size of a patch too, got {patches} and patch=None; give patch")
        self.dims, self.construction = dims, construction
        self.num_classes, self.include_background = num_classes, include_background
        self.patch, self.patches = patch, patches
        self.seed = check_integer("seed", seed, least=0, remedy="0 is the default")
        classes = [] if num_classes is None else [num_classes - (not include_background)]
        self.add_state("total", torch.zeros(classes, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds a batch.

        Args:
            preds: `(B, *grid)` or `(B, C, *grid)` probabilities, or whatever `threshold` is meant for: `(B, H, W)`,
                `(B, C, H, W)` or `(B, C, D, H, W)`; a set of bool is one of 0 and 1. With `num_classes` labels
                `(B, H, W)` or `(B, D, H, W)`, or the same with a channel axis of size 1, `(B, 1, ...)`.
            target: the truth: the same shape, 0 and 1 of any dtype, or labels.

        Raises:
            TypeError, ValueError: shapes or devices differ; a number is not finite, or none of those that are expected;
                a patch does not fit.
        """
        if self.num_classes is None:
            found, truth, ndim = self._of_masks(preds, target)
        else:
            found, truth, ndim = self._of_labels(preds, target, self.num_classes)
        has_classes = found.ndim == ndim + 2
        if not has_classes:
            found, truth = found[:, None], truth[:, None]
        if self.patch is not None:
            found, truth = crops(found, truth, self._patch_of(found, ndim), self.patches, self.seed)
        if not self.include_background:
            if not has_classes or found.shape[-ndim - 1] < 2:
                raise ValueError(
                    "include_background: expected a channel for each class, the background's first, got preds of shape "
                    f"{tuple(preds.shape)}; leave include_background=False out"
                )
            found, truth = (both.movedim(-ndim - 1, 0)[1:].movedim(0, -ndim - 1) for both in (found, truth))
        dims = tuple(range(ndim)) if self.dims is None else self.dims
        each = self._errors(found, truth.float(), ndim, dims)  # (B, C), or (B, patches, C)
        errors = each.long().flatten(0, -2)
        total = errors.sum(0) if has_classes else errors.sum()
        if int(self.count) > 0 and self.total.shape != total.shape:
            raise ValueError(
                f"preds: expected the classes of the batches before, {self._classes(self.total)}, got "
                f"{self._classes(total)}; call reset() between data sets"
            )
        self.total = self.total + total
        self.count = self.count + len(errors)

    def compute(self) -> Tensor:
        """The mean over the images, or the patches of all images.

        Returns:
            `(C,)` one number for each class, without the background if it is not included; `()` for a single class.
        """
        return self.total.float() / self.count

    def _errors(self, found: Tensor, truth: Tensor, ndim: int, dims: int | tuple[int, ...]) -> Tensor:
        """(*batch, C) whole numbers of sets (*batch, C, *grid)."""
        raise NotImplementedError

    def _of_masks(self, preds: Tensor, target: Tensor) -> tuple[Tensor, Tensor, int]:
        ndim = 3 if isinstance(preds, Tensor) and preds.ndim == 5 else 2
        checked = check_prediction(preds, None, ndim, None, name="preds", sets=True, labels=_CLASSES)
        values = checked.values
        if values.ndim not in (3, 4, 5):
            raise ValueError(
                f"preds: expected shape (B, H, W), (B, C, H, W) or (B, C, D, H, W), got {tuple(values.shape)}; one "
                "image is preds[None]"
            )
        truth = check_mask("target", target, checked)
        check_binary("target", truth)
        return values.detach().to(preds.dtype) >= self.threshold, truth.bool(), ndim

    def _of_labels(self, preds: Tensor, target: Tensor, classes: int) -> tuple[Tensor, Tensor, int]:
        if not isinstance(preds, Tensor) or preds.dtype not in (torch.bool, *INTEGERS):
            came = preds.dtype if isinstance(preds, Tensor) else type(preds).__name__
            raise TypeError(
                f"preds: expected a tensor of labels, integers, as num_classes={classes} says, got {came}; for "
                "probabilities or logits pass preds.argmax(1), for masks leave out num_classes"
            )
        has_channel = preds.ndim > 3 and preds.shape[1] == 1  # as MONAI's have
        ndim = preds.ndim - 1 - has_channel
        if ndim not in (2, 3) or 0 in preds.shape[1:]:
            raise ValueError(
                "preds: expected labels of shape (B, H, W) or (B, D, H, W), or with a channel axis of size 1, got "
                f"{tuple(preds.shape)}; turn one-hot classes into labels with argmax(1), pass one image as preds[None]"
            )
        shape = preds.shape[0], *preds.shape[-ndim:]
        if isinstance(target, Tensor) and target.shape not in (shape, (shape[0], 1, *shape[1:])):
            raise ValueError(
                f"target: expected labels of shape {shape}, as preds has, or with a channel axis of size 1, got "
                f"{tuple(target.shape)}; turn one-hot classes into labels with argmax(1)"
            )
        because = f"num_classes={classes} says how many classes there are"
        found, truth = (
            one_hot(name, labels, classes, preds, ndim, beside="preds", because=because)
            for name, labels in (("preds", preds), ("target", target))
        )
        return found, truth, ndim

    def _patch_of(self, found: Tensor, ndim: int) -> tuple[int, ...]:
        assert self.patch is not None
        patch, grid = self.patch * ndim if len(self.patch) == 1 else self.patch, tuple(found.shape[-ndim:])
        if len(patch) != ndim or any(side > size for side, size in zip(patch, grid, strict=True)):
            raise ValueError(
                f"patch: expected {ndim} sides that fit into {grid}, the grid of preds, got {patch}; choose a smaller "
                "one, or pad the images"
            )
        return patch

    @staticmethod
    def _classes(total: Tensor) -> str:
        return f"{len(total)} channels" if total.ndim else "no channels"
