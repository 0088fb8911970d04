"""The command ``all``: checkpoints of several tasks, examined together and then exported one after the other."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.arguments import add_repository, add_target, share
from export.errors import CheckpointError, ExportError
from export.graph.precision import Precision
from export.parity.tolerances import Tolerances
from export.repository.contents import newest_version
from infolens.contract import CONTRACTS, AnswerKind, Task

if TYPE_CHECKING:
    from export.options import ExportOptions


def add_command(commands: Any) -> None:
    """Add the command ``all`` to the subparsers of ``python -m export``."""
    command = commands.add_parser(
        "all", help="export checkpoints of several tasks, one after the other, once all of them have been examined"
    )
    for task in CONTRACTS:
        words = f"the checkpoint for {task.value}, as --checkpoint of its own command (default: none is exported)"
        command.add_argument(f"--{task.value}", default="", metavar="SOURCE", help=words)
    add_repository(command)
    add_target(command)
    command.add_argument("--precision", type=Precision, choices=list(Precision), help="as of each task's own command")
    command.add_argument("--replace", action="store_true", help="overwrite the newest versions, add no new ones")
    command.add_argument(
        "--min-token-f1", type=share, default=Tolerances().token_f1, metavar="F", help=argparse.SUPPRESS
    )


def run(
    options: argparse.Namespace,
    *,
    parse: Callable[[Sequence[str]], argparse.Namespace],
    options_of: Callable[[argparse.Namespace], ExportOptions],
    export_one: Callable[[argparse.Namespace], int],
) -> int:
    """Export the checkpoints; returns the exit code.

    Args:
        options: The parsed command line.
        parse: Parses the command line of one task.
        options_of: What such a command line asks for.
        export_one: Runs it, and returns the exit code.

    Raises:
        ExportError: A checkpoint cannot be used, and nothing was exported; or an export failed, and the message says
            what was published before it.
        KeyboardInterrupt: It was stopped; the message says what was published before.
    """
    every = {task: parse(words) for task, words in _command_lines(options).items()}
    names = _examine(every, options_of)
    before = {task: _Newest.of(options.repository / name) for task, name in names.items()}
    for task, one in every.items():
        try:
            if code := export_one(one):
                return code
        except ExportError as error:
            raise ExportError(f"{task.value}: {error}{_published(options, names, before)}") from error
        except KeyboardInterrupt:
            done = _published(options, names, before) or "\nnothing was published: the repository is as it was before"
            raise KeyboardInterrupt(f"{task.value} was not finished{done}") from None
    return 0


def _command_lines(options: argparse.Namespace) -> dict[Task, list[str]]:
    sources = {task: source for task in CONTRACTS if (source := getattr(options, task.value))}
    if not sources:
        tasks = " or ".join(f"--{task.value}" for task in CONTRACTS)
        raise CheckpointError(f"there is nothing to export: name the checkpoint of a task with {tasks}")
    same = ["--repository", str(options.repository), "--target", options.target, *["--replace"][: options.replace]]
    same += ["--precision", options.precision] if options.precision else []
    own = {AnswerKind.TEXT: ["--min-token-f1", str(options.min_token_f1)], AnswerKind.LABELS: []}
    return {
        task: [task.value, "--checkpoint", source, *same, *own[CONTRACTS[task].answers]]
        for task, source in sources.items()
    }


def _examine(
    every: Mapping[Task, argparse.Namespace], options_of: Callable[[argparse.Namespace], ExportOptions]
) -> dict[Task, str]:
    """The name that each checkpoint's model gets.

    Raises:
        ExportError: One or more of them cannot be exported, or the disk has no room for all.
    """
    # Imported here, so that `--help` needs neither torch nor transformers.
    from transformers.utils.logging import disable_progress_bar

    from export.examination.examine import examine
    from export.repository.workspace import require_space

    disable_progress_bar()
    names, faults = {}, []
    kept_bytes = needed_bytes = 0
    for task, one in every.items():
        try:
            found = examine(options_of(one))
        except ExportError as error:
            faults.append(f"{task.value}: {error}")
            continue
        names[task] = found.name
        needed_bytes = max(needed_bytes, kept_bytes + found.needed_bytes)
        kept_bytes += 0 if one.replace else found.kept_bytes
    if faults:
        raise ExportError("\n".join([*faults, "nothing was exported: no task is before all checkpoints can be"]))
    require_space(next(iter(every.values())).repository, needed_bytes)
    return names


@dataclass(frozen=True, kw_only=True)
class _Newest:
    """Which folder holds the newest version of a model."""

    version: int
    """0 where there is none."""
    inode: int
    """The folder's number in its file system: a version that is written anew has another folder."""

    @classmethod
    def of(cls, model: Path) -> _Newest:
        """As it is now."""
        version = newest_version(model)
        return cls(version=version, inode=(model / str(version)).stat().st_ino if version else 0)


def _published(options: argparse.Namespace, names: Mapping[Task, str], before: Mapping[Task, _Newest]) -> str:
    """A line for each model that is published by now, and how to take it back; empty where none is."""
    lines = []
    for task, name in names.items():
        now = _Newest.of(options.repository / name)
        if now == before[task]:
            continue
        remove = f"python -m export remove {name} --repository {options.repository}"
        if now.version == before[task].version:
            back = "in place of the former one, which is gone: export its checkpoint again with --replace"
        elif before[task].version:
            back = f"to take it back: {remove}"
        else:
            back = f"its first, which can be taken back once another model answers {task.value}: {remove}"
        lines.append(f"\npublished before that, and still there: {name} version {now.version} ({back})")
    return "".join(lines)
