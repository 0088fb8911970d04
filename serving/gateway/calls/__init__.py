"""Inferences under way: both doors ask through `Inferences`, which ends those that Triton would never answer."""

from .inferences import Inferences

__all__ = ["Inferences"]
