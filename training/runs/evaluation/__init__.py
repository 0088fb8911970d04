"""Score the served models on a table: ask, measure, compare with baselines, and write it down as a page and as JSON."""
