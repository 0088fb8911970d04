"""The commands ``configs``, ``serve``, ``remove`` and ``list``: a repository in step, what it holds, what answers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from export.arguments import config_name
from infolens.contract import CONTRACTS, Task
from infolens.targets import Target

from .artefact import Artefact
from .contents import newest_version, require_artefacts, serving
from .deployment import deployment_text, keeping_serving, read_deployment, stored_deployment, stored_texts

_AS_COMMITTED: Final = "# As the usual numbers; say here what differs.\n"
_NAME: Final = "name of the model in the repository; `python -m export list` shows them"


def add(commands: Any, add_repository: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the commands; `COMMANDS` has what runs them.

    Args:
        commands: The subparsers of ``python -m export``.
        add_repository: Adds the option ``--repository`` to one of them.
    """
    configs = commands.add_parser("configs", help="generate every config.pbtxt, or check that they are in step")
    add_repository(configs)
    configs.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is out of step")
    configs.add_argument(
        "--deployment",
        type=Path,
        metavar="FILE",
        help="TOML with the numbers that differ from the committed ones, such as max_running = 24 or [summary] "
        "instances = 8; `python -m benchmarks tune` writes one",
    )
    configs.add_argument(
        "--config-name",
        type=config_name,
        metavar="NAME",
        help="write <model>/configs/NAME.pbtxt in place of <model>/config.pbtxt",
    )
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


def _configs(options: argparse.Namespace) -> int:
    from .generated_files import check_generated, write_generated

    stored = stored_texts(options.repository)
    changed: dict[str | None, str] = {}
    if options.deployment:
        read_deployment(options.deployment, options.config_name)  # for its messages, which name the file
        text = deployment_text(options.deployment) or _AS_COMMITTED
        if options.config_name is None:
            text = keeping_serving(text, stored[None], str(options.deployment))
        changed[options.config_name] = text
    elif options.config_name and options.config_name not in stored:
        changed[options.config_name] = _AS_COMMITTED
    if not options.check:
        done = write_generated(options.repository, changed)
        print("\n".join(f"wrote {path}" for path in done.written) or "every generated file is in step")
        for path in done.left_over:
            print(f"no model belongs to {path} any more: delete it, or its model's folders", file=sys.stderr)
        return int(bool(done.left_over))
    stale = check_generated(options.repository, changed)
    for path in stale:
        print(f"out of step: {path}", file=sys.stderr)
    if stale:
        print("run: python -m export configs", file=sys.stderr)
        return 1
    print("every generated file is in step")
    return 0


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
                facts = f"version {version}, {artefact.model_type}, {artefact.precision}{form}{_target(artefact)}, "
                facts += f"{artefact.max_tokens} tokens"
                known = artefact.lineage
                if known and known.registered_version:
                    facts += f", version {known.registered_version} of {known.registered_model} in MLflow"
                labels = f"; {' | '.join(artefact.labels)}" if artefact.labels else ""
                print(f"{task:<10} {'serves' if served[task] == name else '':<7} {name:<22} {facts}{labels}")
    return 0


def _target(artefact: Artefact) -> str:
    return f" for {artefact.target}" if artefact.target != Target.CPU else ""


COMMANDS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "configs": _configs,
    "serve": _serve,
    "remove": _remove,
    "list": _list,
}
"""Name -> what runs a command and returns the exit code."""
