"""The experiments, a folder for each; `shared/` has what they have in common.

`report` makes the tables of any of them, `evaluate` scores a finished run on other data. `python -m
experiments.segmentation --help` is a good start.
"""
