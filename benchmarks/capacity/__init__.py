"""Capacity: what an article costs, how that grows, and how many machines a rate and a bound need."""
