"""How the options of the depth experiment are completed and checked before anything is trained."""

from __future__ import annotations

import dataclasses

from experiments.depth.config import PAPER, READERS, SIZES, SMALL, Config
from experiments.depth.networks import NETWORKS
from experiments.shared.console import UserError, log
from experiments.shared.encoders import STAGES, check_encoder_sides
from experiments.shared.options import check, check_data, processes


def pixels(config: Config, layer: str) -> int:
    """How many pixels a phase of the decoder has: the first from the bottleneck a 16th of the sides."""
    stride = 16 >> NETWORKS[config.model].decoder.index(layer)
    return config.size[0] * config.size[1] // (stride * stride)


def settle(config: Config) -> Config:
    """Put in what was left to the paper or to us, refuse what cannot work, warn of what can hardly be meant."""
    check_data(config, READERS)
    left = (SMALL if config.demo else PAPER)[config.model]
    changes = {name: value for name, value in left.items() if getattr(config, name) == getattr(Config, name)}
    if config.size == (0, 0):
        changes["size"] = SIZES[config.data]
    config = dataclasses.replace(config, **changes)
    decoder = NETWORKS[config.model].decoder
    layers = {"second": decoder[1], "last": decoder[-1], "auto": decoder[-1]}
    for layer in reversed(decoder):
        if pixels(config, layer) >= 1024:
            layers["auto"] = layer
    config = dataclasses.replace(
        config, layer=layers.get(config.layer, config.layer), tv_layer=layers.get(config.tv_layer, config.tv_layer)
    )
    names = (*(f"encoder.{stage}" for stage in STAGES), *decoder)
    for option, layer in (("--layer", config.layer), ("--tv-layer", config.tv_layer)):
        if layer not in names:
            raise UserError(f"{option} {layer}: there is no such layer; {config.model} has {', '.join(names)}")
    if not config.settings:
        raise UserError("--settings names no part of DIODE: give indoors, outdoor or both")
    if config.encoder == "small" and config.width == 0:
        config = dataclasses.replace(config, width=16)
    config = dataclasses.replace(
        config,
        placebo_lambda=config.topology_lambda if config.placebo_lambda is None else config.placebo_lambda,
        norm_lambda=config.topology_lambda if config.norm_lambda is None else config.norm_lambda,
    )
    if not 0 < config.train_share <= 1:
        raise UserError(f"--train-share must be above 0 and at most 1, got {config.train_share}")
    if not 0 <= config.held_out < 1:
        raise UserError(f"--held-out must be at least 0 and below 1, got {config.held_out}")
    topological = {"topology", "sublevel", "placebo"} & set("+".join(config.arms).split("+"))
    weights = ("depth", "gradient", "ssim", "tv", "topology", "placebo", "norm")
    lambdas = [f"{name}_lambda" for name in weights]
    check(config, from_zero=("lr", "encoder_share", "weight_decay", "width", "ssim_range", "k", *lambdas))
    try:
        check_encoder_sides(*config.size)
    except ValueError as error:
        raise UserError(str(error)) from error
    if config.batch_size // processes() * config.size[0] * config.size[1] < 2 * 32 * 32:
        raise UserError("a batch of one 32x32 image leaves one value per channel, which cannot be normalized")
    if config.layer in decoder and topological and pixels(config, config.layer) < 32 * config.k:
        log.warning(
            "%s has only %d pixels at --size %d %d, hardly room for more than k = %d maxima: the penalty will be close "
            "to zero; --layer auto takes a layer of at least 1024",
            config.layer, pixels(config, config.layer), *config.size, config.k,
        )  # fmt: skip
    return config
