"""Inferences under way: both doors ask through `Inferences`, which ends those that Triton would never answer.

It tells the models on a `Board` whose callers have left.
"""

from .board import Board
from .inferences import Inferences

__all__ = ["Board", "Inferences"]
