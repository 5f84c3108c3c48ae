"""Section 4: a U-Net that finds people. `python -m experiments.segmentation --help` is a good start."""
