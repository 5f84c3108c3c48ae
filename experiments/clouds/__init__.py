"""Descent of clouds by gradients that reach more points or fewer. `python -m experiments.clouds --help` says more."""
