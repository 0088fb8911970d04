"""Whole runs: fit, tune, compare, plan, promote, report."""
