"""Inferences under way: both doors ask through `Inferences`, which ends those that Triton would never answer.

It tells the models on a `Board` whose callers have left, and learns from them how full their `Slots` are.
"""

from .board import Board
from .inferences import Inferences
from .slots import GRAPHS, Slots

__all__ = ["GRAPHS", "Board", "Inferences", "Slots"]
