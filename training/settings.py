"""Turn ``--set name=value`` into fields of a frozen configuration dataclass."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar, get_type_hints

from .errors import SettingError

Config = TypeVar("Config")


def apply_settings(config: Config, settings: Iterable[str]) -> Config:
    """A copy of ``config`` with the ``name=value`` settings applied, converted to the fields' types.

    Args:
        config: A frozen dataclass instance with fields of type ``int``, ``float``, ``bool`` or ``str``.
        settings: Strings such as ``"epochs=3"``; the last one of a name counts.

    Raises:
        SettingError: A setting has no ``=``, an unknown name, or a value that does not convert or is refused.
    """
    types = get_type_hints(type(config))
    names = [field.name for field in dataclasses.fields(config)]  # type: ignore[arg-type]
    changes: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise SettingError(f"a setting is written name=value, not {setting!r}")
        if name not in names:
            raise SettingError(f"there is no setting {name!r}; there are: {', '.join(names)}")
        changes[name] = _convert(name, value, types[name])
    try:
        return dataclasses.replace(config, **changes)  # type: ignore[type-var]
    except ValueError as error:
        raise SettingError(str(error)) from error


def _convert(name: str, value: str, kind: type) -> Any:
    if kind is bool:
        if value.lower() in {"true", "yes", "1"}:
            return True
        if value.lower() in {"false", "no", "0"}:
            return False
        raise SettingError(f"setting {name} is true or false, not {value!r}")
    try:
        return kind(value)
    except ValueError as error:
        raise SettingError(f"setting {name} is of type {kind.__name__}, not {value!r}") from error
