"""The benchmark: this library and its peers on the same inputs, and the targets it has to meet.

`inputs` makes images, volumes, distances, clouds and graphs. `contender` says what takes part; `contenders`, `samples`
and `learners` know how each package is called. `measure` takes the times, `memory` the peaks, `step` the share of a
training step; `targets` and `report` turn them into tables and a plot.
"""
