"""The labels of a classifier's checkpoint, and the names that a user gives to its classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from export.errors import CheckpointError
from infolens.labels import is_placeholder, label_fault
from inspection.errors import Unfit
from inspection.heads import require_single_label


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Names that the user gives to a checkpoint's classes."""

    names: tuple[str, ...] = ()
    """Names of all classes, in their order..."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """...or only the new names: the checkpoint's name -> the new one."""


def read_naming(text: str) -> Naming:
    """Read ``LABEL_0=Business,LABEL_1=Politics``, or a file with one label, or one ``THEIRS=OURS``, on each line.

    Raises:
        CheckpointError: There is no such file, or a part has another form.
    """
    if "=" in text and not _is_file(text):
        return _naming(text.split(","), "--labels")
    try:
        lines = Path(text).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"--labels {text}: cannot be read ({error}); give a UTF-8 file with one label on each line, in the order "
            "of the classes, or THEIRS=OURS,... such as LABEL_0=Business,LABEL_1=Politics"
        ) from error
    return _naming([line for line in lines if line.strip()], f"--labels {text}")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # The text is longer than a file name may be.
        return False


def _naming(parts: list[str], where: str) -> Naming:
    pairs = [tuple(side.strip() for side in part.split("=", 1)) for part in parts]
    if all(len(pair) == 1 for pair in pairs) and pairs:
        return Naming(names=tuple(pair[0] for pair in pairs))
    if not pairs or not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise CheckpointError(
            f"{where}: each part must be a label, or each must be THEIRS=OURS, such as LABEL_0=Business; not "
            f"{', '.join(repr(part.strip()) for part in parts[:5])}. Labels with commas go into a file"
        )
    theirs = [pair[0] for pair in pairs]
    if twice := sorted({name for name in theirs if theirs.count(name) > 1}):
        raise CheckpointError(f"{where}: names {', '.join(twice)} twice; each class has one name")
    return Naming(renamed={pair[0]: pair[1] for pair in pairs})


def labels_of(config: Any, source: str, naming: Naming | None = None) -> tuple[str, ...]:
    """The labels of a checkpoint, in the order of its classes.

    Args:
        config: Its ``transformers`` configuration.
        source: Its name, for the messages.
        naming: Names that are given to its classes.

    Raises:
        CheckpointError: It answers with several labels at once or with a number, or its labels cannot be told apart.
    """
    try:
        require_single_label(config)
    except Unfit as error:
        raise CheckpointError(f"{source!r}: {error}") from error
    found = {int(index): str(label) for index, label in config.id2label.items()}
    labels = tuple(found[index] for index in sorted(found))
    theirs, labels = labels, _named(labels, source, naming or Naming())
    unnamed = [label for label in labels if is_placeholder(label)]
    if unnamed:
        pairs = [f"{old}={'...' if new in unnamed else new}" for old, new in zip(theirs, labels, strict=True)]
        example = ",".join(pairs[:4]) + (",..." if len(pairs) > 4 else "")
        raise CheckpointError(
            f"{len(unnamed)} of the {len(labels)} classes of {source!r} have no name, only a placeholder "
            f"({', '.join(unnamed[:3])}{', ...' if len(unnamed) > 3 else ''}). Name all of them with --labels "
            f"'{example}', or with --labels FILE, which holds one label on each line, {len(labels)} in all, in the "
            "order of the classes"
        )
    for label in labels:
        if fault := label_fault(label):
            raise CheckpointError(f"{fault}, but {source!r} has {label[:60]!r}; rename it with --labels THEIRS=OURS")
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        raise CheckpointError(f"every label has a name of its own, but {source!r} has {', '.join(twice)} twice")
    return labels


def _named(labels: tuple[str, ...], source: str, naming: Naming) -> tuple[str, ...]:
    if naming.names and len(naming.names) != len(labels):
        raise CheckpointError(
            f"--labels names {len(naming.names)} classes, but {source!r} has {len(labels)}: {', '.join(labels)}"
        )
    if unknown := [theirs for theirs in naming.renamed if theirs not in labels]:
        raise CheckpointError(
            f"--labels renames {', '.join(map(repr, unknown))}, which {source!r} has not; it has: {', '.join(labels)}"
        )
    return naming.names or tuple(naming.renamed.get(label, label) for label in labels)
