"""Measurements of a running server, with their ceilings and their machine."""
