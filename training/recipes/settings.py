"""Settings of a frozen dataclass as text: ``--set name=value``, and TOML files that explain themselves."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

from infolens.contract import Task
from training.data.advice.quoting import split_outside, unquoted
from training.errors import SettingError

Config = TypeVar("Config")


def apply_settings(config: Config, settings: Iterable[str]) -> Config:
    """A copy of ``config`` with the ``name=value`` settings applied, converted to the fields' types.

    Args:
        config: A frozen dataclass instance with fields of type ``int``, ``float``, ``bool``, ``str`` or
            ``tuple[str, ...]``, whose parts are separated by commas.
        settings: Strings such as ``"weight_decay=0.1"``; the last one of a name counts.

    Raises:
        SettingError: A setting has no ``=``, an unknown name, or a value that does not convert or is refused.
    """
    changes: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise SettingError(f"a setting is written name=value, not {setting!r}")
        changes[name] = value
    return replace_fields(config, changes)


def replace_fields(config: Config, changes: Mapping[str, Any], *, where: str = "") -> Config:
    """A copy of ``config`` with ``changes``: texts are converted to the fields' types, other values must have them.

    Raises:
        SettingError: A name is unknown, a value does not fit or is refused; ``where`` begins the message.
    """
    types = get_type_hints(type(config))
    names = [field.name for field in dataclasses.fields(config)]  # type: ignore[arg-type]
    converted = {}
    for name, value in changes.items():
        if name not in names:
            raise SettingError(f"{where}there is no setting {name!r}; there are: {', '.join(names)}")
        converted[name] = _convert(name, value, types[name], where)
    try:
        return dataclasses.replace(config, **converted)  # type: ignore[type-var]
    except ValueError as error:
        raise SettingError(f"{where}{error}") from error


def _convert(name: str, value: Any, kind: Any, where: str) -> Any:
    if kind not in (int, float, bool, str):  # tuple[str, ...]
        parts = value
        if not isinstance(parts, str) and not (
            isinstance(parts, list | tuple) and all(isinstance(part, str) for part in parts)
        ):
            raise SettingError(f"{where}setting {name} is a list of texts, not {value!r}")
        return parse_list(parts)
    if kind is bool and isinstance(value, str):
        if value.lower() in {"true", "yes", "1"}:
            return True
        if value.lower() in {"false", "no", "0"}:
            return False
        raise SettingError(f"{where}setting {name} is true or false, not {value!r}")
    fits = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    if not (fits or isinstance(value, str) or (kind is float and type(value) is int)):
        raise SettingError(f"{where}setting {name} is of type {kind.__name__}, not {value!r}")
    try:
        return kind(value)
    except ValueError as error:
        raise SettingError(f"{where}setting {name} is of type {kind.__name__}, not {value!r}") from error


def parse_list(parts: str | Iterable[str]) -> tuple[str, ...]:
    """Texts, or one text with commas between them, without blanks at their ends and without empty ones.

    In one text a part may stand in double quotes, and hold commas then (see `training.data.advice.quoting`). The quotes
    of a part that has an ``=`` are left to who reads it.
    """
    if not isinstance(parts, str):
        return tuple(part.strip() for part in parts if part.strip())
    every = (part.strip() for part in split_outside(parts, ","))
    return tuple(
        part if "=" in part or unquoted(part).startswith('"') else unquoted(part).strip() for part in every if part
    )


def parse_columns(text: str) -> dict[str, str]:
    """Read ``"text=body,label=section"``: our column name -> the source's.

    Raises:
        SettingError: A part is not ``OURS=THEIRS``, or a column is named twice.
    """
    result: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        ours, equals, theirs = part.partition("=")
        if not (equals and ours.strip() and theirs.strip()):
            raise SettingError(f"--columns is OURS=THEIRS,..., such as text=body,label=section, not {part!r}")
        if ours.strip() in result or theirs.strip() in result.values():
            raise SettingError(f"--columns names each column of ours and of the data once, not twice as in {text!r}")
        result[ours.strip()] = theirs.strip()
    return result


def read_toml(path: Path) -> dict[str, Any]:
    """The settings of a recipe file, ``task`` among them where the file names it.

    Raises:
        SettingError: The file is not there or is no TOML.
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: is not TOML: {error}") from error


def to_toml(config: Any, task: Task) -> str:
    """The settings as TOML, each under what it means; what `read_toml` gives back."""
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment(f"python -m training fit {task.value} --config THIS_FILE --out DIR"))
    document.add("task", tomlkit.item(task.value))
    for name, text in field_docs(type(config)).items():
        document.add(tomlkit.nl())
        for line in textwrap.wrap(text, 116):
            document.add(tomlkit.comment(line))
        value = getattr(config, name)
        document.add(name, tomlkit.item(list(value) if isinstance(value, tuple) else value))
    return tomlkit.dumps(document)


def field_docs(kind: type) -> dict[str, str]:
    """Name -> the docstring under each field of a dataclass, in the order of its fields, base classes first."""
    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(owner):
            continue
        body = cast("ast.ClassDef", ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0])
        for field, text in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                found[field.target.id] = " ".join(str(text.value.value).split())
    return {field.name: found.get(field.name, "") for field in dataclasses.fields(kind)}
