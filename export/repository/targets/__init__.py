"""Targets with a GPU: which models can run there, and what their configurations have."""
