"""Whole runs: fit, tune, compare, promote."""
