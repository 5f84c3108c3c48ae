"""The kernels that run the cells of the pages draw pictures at twice the density."""

c = get_config()  # noqa: F821  (IPython's own)
c.InlineBackend.figure_formats = {"retina"}
