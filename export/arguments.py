"""Arguments that several commands of the export room take, and how their texts are read."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from infolens.targets import Target


def config_name(text: str) -> str:
    """The name of further configurations: letters, digits, ``-`` and ``_``.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", text):
        raise argparse.ArgumentTypeError(f"a configuration's name is letters, digits, - and _, not {text!r}")
    return text


def share(text: str) -> float:
    """A number from 0 to 1.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"a share is between 0 and 1, not {text!r}")
    return number


def own_repository() -> Path:
    """The model repository beside this room, in a path from the current folder where it lies there."""
    repository = Path(__file__).resolve().parents[1] / "model_repository"
    here = Path.cwd()
    return repository.relative_to(here) if repository.is_relative_to(here) else repository


def add_repository(parser: argparse.ArgumentParser) -> None:
    """Add ``--repository``."""
    parser.add_argument(
        "--repository",
        type=Path,
        default=own_repository(),
        metavar="DIR",
        help="model repository (default: %(default)s)",
    )


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add ``--target``."""
    parser.add_argument(
        "--target",
        type=Target,
        choices=list(Target),
        default=Target.CPU,
        help='what it is to run on, as in `make serve ARGS="--target cuda"`: the cores of a CPU, or a GPU with CUDA or '
        "TensorRT, for which it gets a configuration beside its config.pbtxt (default: cpu)",
    )
