"""What a word of the command line may be."""

from __future__ import annotations

import argparse
import math


def port(text: str) -> int:
    """A port; 0 for a free one."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"a port lies between 0 and 65535, not {number}")
    return number


def count(text: str) -> int:
    """How many there may be."""
    number = int(text)
    if not 1 <= number <= 100_000:
        raise argparse.ArgumentTypeError(f"it lies between 1 and 100000, not {number}")
    return number


def seconds(text: str) -> float:
    """A time above 0."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"a time is a number of seconds above 0, not {text}")
    return number


def megabytes(text: str) -> int:
    """An amount of memory."""
    number = int(text)
    if not 0 <= number < 2**40:
        raise argparse.ArgumentTypeError(f"a memory is a whole number of megabytes from 0, not {text}")
    return number
