"""Graphs that `optimum` writes, for the families whose graphs are not written here; made into what the server serves.

The exporter calls `environment.ensure_optimum`, then `convert.convert`, then `adapt.adapt` once for each precision.
"""
