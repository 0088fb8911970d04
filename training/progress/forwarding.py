"""What Ray's processes write, on its way to the user: our lines as they are, the bar as a bar, no noise.

Ray hands each line to a handler in the driver. Ours takes its place, shows what is ours, and gives the rest to Ray's:
the last words of a process that crashes come with its name and number, as they always did. A driver that is connected
through Ray's client (``ray://``) gets lines another way, and prints them as they are.
"""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from training import quiet

from .bars import MARK, Bar, State

logger = logging.getLogger(__name__)

_RAYS: Final = "ray_print_logs"
"""The name of Ray's own handler."""
_DRAWN: Final[list[Bar]] = []
"""The bar of the training that this process waits for, if it draws one."""

Lines = Mapping[str, Any]
"""What Ray hands to a handler: ``lines``, ``is_err``, and which process they come from."""


def install() -> bool:
    """Take the place of Ray's handler, after `ray.init`.

    Returns:
        Whether this process's handler is ours: not where Ray's client brings the lines, nor with a Ray that hands them
        out in another way.
    """
    try:
        from ray._private.ray_logging import global_worker_stdstream_dispatcher as dispatcher
    except ImportError:
        return False
    rays = dict(getattr(dispatcher, "handlers", ())).get(_RAYS)
    if rays is None:
        return False
    if not isinstance(rays, functools.partial) or rays.func is not show:
        dispatcher.remove_handler(_RAYS)
        dispatcher.add_handler(_RAYS, functools.partial(show, rays))  # under Ray's name, so that Ray removes it
    return True


@contextmanager
def drawn() -> Iterator[None]:
    """Draw the bar of a training in Ray's workers during this block, where they ask for one."""
    bar = Bar()
    _DRAWN.append(bar)
    try:
        yield
    finally:
        _DRAWN.remove(bar)
        bar.close()


def show(rays: Callable[[dict[str, Any]], None], data: Lines) -> None:
    """Show lines of Ray's processes.

    Args:
        rays: Ray's own handler, for what is not ours.
        data: The lines.
    """
    foreign = []
    for line in data.get("lines", ()):
        if line.startswith(MARK):
            _draw(line)
        elif quiet.STAMP.match(line):
            with quiet.above_bar():
                sys.stderr.write(f"{line}\n")
                sys.stderr.flush()
        elif not quiet.is_noise(line):
            foreign.append(line)
    if foreign:
        with quiet.above_bar():
            rays({**data, "lines": foreign, "is_err": True})  # standard output is for what a command answers


def _draw(line: str) -> None:
    try:
        state = State(**json.loads(line.removeprefix(MARK)))
    except (ValueError, TypeError):  # Ray cuts lines in two that are written while it reads
        return
    if _DRAWN:
        _DRAWN[-1].show(state)
