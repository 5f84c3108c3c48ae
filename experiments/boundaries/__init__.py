"""Do matching losses help? Membranes and cracks. `python -m experiments.boundaries --help` is a good start."""
