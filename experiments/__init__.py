"""The paper's experiments, one entry per section. `python -m experiments.segmentation --help` is a good start."""
