"""Graphs that `optimum` writes, for families without a graph writer of this project, adapted for serving.

The exporter calls `environment.ensure_optimum`, then `convert.convert`, then `adapt.adapt` once for each precision.
"""
