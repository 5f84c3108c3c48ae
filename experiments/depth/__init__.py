"""Section 5: monocular depth with U-Net and DenseDepth. `python -m experiments.depth --help` is a good start."""
