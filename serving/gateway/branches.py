"""Which branches a request asks, and how much they take on: read from the parameters of ``fan_out`` models."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from serving.repository import config_files

from .catalogue import CatalogueModel, branches
from .configuration import ConfigurationError, RoomLimits

_BACKEND: Final = "fan_out"
_BRANCH: Final = "branch."


class Branches:
    """The branches of requests, remembered for each model as it was last loaded."""

    def __init__(self) -> None:
        self._shares: dict[str, tuple[CatalogueModel, Mapping[str, frozenset[str]], Mapping[str, str]]] = {}

    def asked(
        self, model: CatalogueModel, outputs: Collection[str], parameters: Mapping[str, object] = MappingProxyType({})
    ) -> tuple[str, ...]:
        """The branches that a request asks.

        Args:
            model: The model that it is for.
            outputs: The outputs that it wants; none is all.
            parameters: Its parameters: some branches are asked only where a certain one is true.

        Returns:
            The models of the branches that give these outputs; for a model without branches itself alone.
        """
        known = self._shares.get(model.name)
        if known is None or known[0] is not model:
            known = self._shares[model.name] = (
                model,
                branches(model.parameters),
                _texts(model.parameters, "parameter"),
            )
        _, shares, needed = known
        asked = [name for name, given in shares.items() if not outputs or not given.isdisjoint(outputs)]
        return tuple(name for name in asked if name not in needed or parameters.get(needed[name]) is True) or (
            model.name,
        )


def read_room_limits(repository: Path, config_name: str | None = None, *, max_waiting: int = 256) -> RoomLimits:
    """How much the door takes on: what the ``fan_out`` models of the repository say, the least of each.

    Args:
        repository: The folder that holds a folder for each model.
        config_name: As in `GatewayOptions`.
        max_waiting: No more requests wait than this, whatever the models say.

    Raises:
        ConfigurationError: A parameter of one is not a number above 0.
    """
    limits = RoomLimits(max_waiting=max_waiting)
    found: list[dict[str, int]] = []
    places: dict[str, int] = {}
    for path in config_files(repository, config_name).values():
        config = model_config_pb2.ModelConfig()
        try:
            text_format.Parse(path.read_text(encoding="utf-8"), config, allow_unknown_field=True)
        except (text_format.ParseError, OSError, UnicodeDecodeError):
            continue  # of Triton's concern: it says what is wrong with a configuration, and which
        if config.backend == _BACKEND:
            texts = {name: one.string_value for name, one in config.parameters.items()}
            found.append(_numbers(path, texts, ("max_running", "max_wait_ms", "max_waiting")))
            own = _texts(texts, "places")
            for name, most in _numbers(path, own, tuple(own)).items():
                places[name] = min(most, places.get(name, most))
    least = {name: min(one[name] for one in found if name in one) for name in {key for one in found for key in one}}
    return dataclasses.replace(
        limits,
        max_running=least.get("max_running", limits.max_running),
        max_wait_s=least["max_wait_ms"] / 1e3 if "max_wait_ms" in least else limits.max_wait_s,
        max_waiting=min(max_waiting, least.get("max_waiting", max_waiting)),
        places=places,
    )


def _texts(parameters: Mapping[str, str], key: str) -> dict[str, str]:
    """What the branches of a model say under a key, by their names; those that say nothing are left out."""
    shares = {name: json.loads(text) for name, text in parameters.items() if name.startswith(_BRANCH)}
    return {name.removeprefix(_BRANCH): str(share[key]) for name, share in shares.items() if key in share}


def _numbers(path: Path, parameters: Mapping[str, str], names: Collection[str]) -> dict[str, int]:
    numbers = {}
    for name in names:
        text = parameters.get(name, "").strip()
        if not text:
            continue
        if not text.isdecimal() or int(text) < 1:
            raise ConfigurationError(f"parameter {name} in {path} is a whole number from 1, not {text!r}")
        numbers[name] = int(text)
    return numbers
