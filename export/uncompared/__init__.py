"""Checkpoints into a model repository without a comparison, for measurements with random weights."""
