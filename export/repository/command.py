"""The commands ``serve``, ``remove`` and ``list``: what a repository holds, and what of it answers."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final

from infolens.contract import CONTRACTS, Task

from .contents import newest_version, require_artefacts, serving
from .deployment import stored_deployment

_NAME: Final = "name of the model in the repository; `python -m export list` shows them"


def add(commands: Any, add_repository: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the commands; `COMMANDS` has what runs them.

    Args:
        commands: The subparsers of ``python -m export``.
        add_repository: Adds the option ``--repository`` to one of them.
    """
    serve_command = commands.add_parser(
        "serve", help="choose which of several models answers a task (from the server's next start on)"
    )
    serve_command.add_argument("task", choices=list(CONTRACTS))
    serve_command.add_argument("model", help=_NAME)
    add_repository(serve_command)
    removal = commands.add_parser(
        "remove", help="delete the newest version of a model, so that the one before answers (from the next start on)"
    )
    removal.add_argument("model", help=_NAME)
    add_repository(removal)
    add_repository(commands.add_parser("list", help="show the models of a repository, and which of them serve"))


def _serve(options: argparse.Namespace) -> int:
    from .publish import serve  # help and the list wait for no configurations

    written = serve(options.repository, Task(options.task), options.model)
    for path in written:
        print(f"wrote {path}")
    ensemble, already = CONTRACTS[Task(options.task)].ensemble, "" if written else ", as before"
    print(f"{ensemble} asks {options.model} from the server's next start on{already}")
    return 0


def _remove(options: argparse.Namespace) -> int:
    from .removal import remove

    done = remove(options.repository, options.model)
    left = f"version {done.now} takes its place at the server's next start" if done.now else "it was the only one"
    print(f"deleted version {done.version} of {options.model}; {left}")
    return 0


def _list(options: argparse.Namespace) -> int:
    artefacts = require_artefacts(options.repository)
    served = serving(artefacts, stored_deployment(options.repository))
    for task in CONTRACTS:
        for name, artefact in artefacts.items():
            if artefact.task == task:
                version = newest_version(options.repository / name)
                form = f", {artefact.form}" if artefact.quotes else ""
                facts = f"version {version}, {artefact.model_type}, {artefact.precision}{form}, "
                facts += f"{artefact.max_tokens} tokens"
                known = artefact.lineage
                if known and known.registered_version:
                    facts += f", version {known.registered_version} of {known.registered_model} in MLflow"
                labels = f"; {' | '.join(artefact.labels)}" if artefact.labels else ""
                print(f"{task:<10} {'serves' if served[task] == name else '':<7} {name:<22} {facts}{labels}")
    return 0


COMMANDS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {"serve": _serve, "remove": _remove, "list": _list}
"""Name -> what runs a command and returns the exit code."""
