"""Noise removal with both gradients of `few_extrema`. `python -m experiments.region --help` is a good start."""
