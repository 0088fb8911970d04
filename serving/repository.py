"""A model repository before Triton is started: it is there, it is complete, and Triton can bear its path.

Triton's Python backend starts its processes by a shell's command line, which a space breaks, and they know no encoding
of file names but ASCII. So a folder with any other name is reached by a link with a plain one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import stat
import tempfile
from pathlib import Path
from typing import Final

from .errors import RepositoryError

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./+=@%,:~^-]+")
_BASES: Final = ("/tmp",)  # noqa: S108 (a folder in it is made for this user alone, and looked at)
_ASK_OTHERS: Final = frozenset({"fan_out", "evidence"})
_STEP = re.compile(r'^\s*model_name\s*:\s*"([^"]*)"', re.MULTILINE)


def check_repository(repository: Path, config_name: str | None = None) -> list[str]:
    """The names of the models of a repository.

    Args:
        repository: The folder that holds a folder for each model.
        config_name: Name of the configuration that models may have for one kind of machine, in
            ``<model>/configs/<config_name>.pbtxt``; a model without it uses its ``config.pbtxt``.

    Raises:
        RepositoryError: There is no model, a model lacks its version or its ONNX file, a configuration is no text, the
            models of an ensemble are of unequal versions, or none knows ``config_name``.
    """
    if not repository.is_dir():
        raise RepositoryError(f"no model repository at {repository}: name the folder that holds it with --repository")
    configs = config_files(repository, config_name)
    if not configs:
        raise RepositoryError(
            f"no model in {repository} (no <model>/config.pbtxt): export one, see `python -m export --help`"
        )
    if config_name is not None and all(path.parent == model for model, path in configs.items()):
        raise RepositoryError(f"no model in {repository} has a configs/{config_name}.pbtxt")
    texts = {model: read_config(config) for model, config in configs.items()}
    for model, text in texts.items():
        _check_model(model, text)
    for model, text in texts.items():
        _check_steps(model, text)
    return [model.name for model in configs]


def answer_by_themselves(repository: Path, config_name: str | None = None) -> frozenset[str]:
    """The names of the models that compute; the others only ask them, and can be loaded where none of these is.

    Args:
        repository: As of `check_repository`, and so the next.
        config_name: As of `config_files`.
    """
    texts = {model.name: read_config(file) for model, file in config_files(repository, config_name).items()}
    return frozenset(name for name, text in texts.items() if _text_field(text, "backend") not in _ASK_OTHERS)


def config_files(repository: Path, config_name: str | None = None) -> dict[Path, Path]:
    """The configuration that each model is served with, by its folder, in the order of their names.

    Args:
        repository: As of `check_repository`, and so the next.
        config_name: Where a model has no configuration of this name, its ``config.pbtxt`` counts.
    """
    found = {}
    for default in sorted(repository.glob("*/config.pbtxt")):
        own = default.parent / "configs" / f"{config_name}.pbtxt"
        found[default.parent] = own if config_name is not None and own.is_file() else default
    return found


def read_config(path: Path) -> str:
    """The text of a configuration.

    Raises:
        RepositoryError: It is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        byte = f"byte {error.start} is {error.object[error.start]:#04x}"
        raise RepositoryError(f"{path} is no text in UTF-8 ({byte}): {configs_again(path)}") from None


def configs_again(path: Path) -> str:
    """How a configuration is written again, as words for a message; ``path`` is its own."""
    model = path.parents[1] if path.parent.name == "configs" else path.parent
    return f"write it again with `python -m export configs --repository {model.parent}`"


def _check_model(model: Path, config: str) -> None:
    versions = sorted((path for path in model.iterdir() if path.is_dir() and path.name.isdecimal()), key=_number)
    if not versions:
        raise RepositoryError(f"model {model.name} has no version: {model}/1 is missing")
    backend = _text_field(config, "backend") or ""
    needed = {
        "onnxruntime": _text_field(config, "default_model_filename") or "model.onnx",
        "summarizer": "engine.json",
    }
    if backend in needed and not any((version / needed[backend]).exists() for version in versions):
        raise RepositoryError(
            f"model {model.name} has no {needed[backend]} in {versions[-1]}: export it, see `python -m export --help`"
        )


def _check_steps(ensemble: Path, config: str) -> None:
    """The steps of an ensemble are there, and of one version: tokens, model and labels were made for each other."""
    steps = [ensemble.parent / name for name in _STEP.findall(config)]
    if missing := [step.name for step in steps if not step.is_dir()]:
        raise RepositoryError(f"{ensemble.name} asks {missing[0]}, which is not in {ensemble.parent}: export it again")
    newest = {step.name: max((_number(v) for v in step.iterdir() if v.name.isdecimal()), default=0) for step in steps}
    if len(set(newest.values())) > 1:
        found = ", ".join(f"{name} {version}" for name, version in newest.items())
        raise RepositoryError(
            f"{ensemble.name} asks models of unequal versions ({found}): an export was killed, or a version was "
            "deleted in part; delete the folders of the newest version, or export the model again"
        )


def _text_field(config: str, name: str) -> str | None:
    match = re.search(rf'^\s*{name}\s*:\s*"([^"]*)"', config, re.MULTILINE)
    return match[1] if match else None


def _number(version: Path) -> int:
    return int(version.name)


def plain(path: Path) -> Path:
    """The path itself if it is plain, else a link to it: the same one each time, in a folder that is this user's alone.

    Raises:
        RepositoryError: No such folder can be had.
    """
    target = path.resolve()
    if _PLAIN.fullmatch(str(target)):
        return target
    folder = _own_folder(target)
    link = folder / hashlib.sha256(os.fsencode(target)).hexdigest()[:16]
    if not (link.is_symlink() and link.readlink() == target):
        fresh = folder / f"{link.name}.{secrets.token_hex(4)}"
        fresh.symlink_to(target, target_is_directory=True)
        fresh.replace(link)
    return link


def _own_folder(target: Path) -> Path:
    """A folder with a plain name that nobody else can write into."""
    for base in (tempfile.gettempdir(), *_BASES):
        folder = Path(base).resolve() / f"infolens-{os.getuid()}"
        if not _PLAIN.fullmatch(str(folder)):
            continue
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
                return folder
    raise RepositoryError(
        f"Triton's Python backend cannot start a model from {target}: a space or a letter outside ASCII is in it, and "
        "no folder for a link with a plain name can be had in the system's temporary folder: move or rename the folder"
    )
