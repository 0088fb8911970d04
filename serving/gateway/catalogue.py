"""The closed list of models that the door knows, and what each takes and gives.

The names come from the model repository, all else from Triton's own ``ModelConfig``: asked for when it is first
needed, now and then in the background, and at once when Triton was restarted, did not answer (`Catalogue.doubt`), or a
version is asked for that is not known.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from tritonclient.grpc import service_pb2

from .kserve.labels import read_labels
from .refusals import Refusal, RefusedError

_MAX_AGE_S: Final = 30.0
"""Models that were asked for longer ago are asked for again, in the background."""
_MIN_AGE_S: Final = 1.0
"""A version that nobody knows, or a Triton that does not answer, makes the door ask no more often than this."""
_TIMEOUT_S: Final = 5.0
_NOT_LOADED: Final = re.compile(r"(?i)unknown model|no available versions|is not ready")


class Caller(Protocol):
    """What the catalogue needs of the channel to Triton."""

    async def call(self, method: str, request: bytes, timeout_s: float | None = None) -> bytes:
        """Ask one method of KServe's gRPC service; raises `RefusedError`."""
        ...


@dataclass(frozen=True, kw_only=True)
class CatalogueTensor:
    """One input or output of a model."""

    name: str
    datatype: str
    """As KServe spells it: ``BYTES``, ``FP32``, ``INT32``..."""
    dims: tuple[int, ...]
    """Shape without the batch dimension; -1 is a dimension that varies."""
    optional: bool = False
    """Whether a request may leave the input out."""
    labels: tuple[str, ...] = ()
    """What the elements of an output stand for, in order; empty where nobody says."""


@dataclass(frozen=True, kw_only=True)
class CatalogueModel:
    """One model, as Triton has loaded it."""

    name: str
    versions: tuple[str, ...]
    """Those that are served."""
    max_batch_size: int
    """0: the model has no batch dimension."""
    inputs: Mapping[str, CatalogueTensor]
    outputs: Mapping[str, CatalogueTensor]
    public: bool
    """Whether people may ask it; the others are steps of these."""
    passes_through: frozenset[str] = frozenset()
    """The models that a request to it reaches next."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The ``parameters`` of its configuration."""

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """What the elements of each output stand for, by its name."""
        return {name: output.labels for name, output in self.outputs.items()}


class Catalogue:
    """The models of one server.

    Args:
        caller: The channel to Triton.
        repository: The folder that holds a folder for each model.
        expose_internal: Whether the steps of public models are known too.
        restarts: Tells how often Triton was started again; after each time it is asked anew.
        now: The clock, in seconds.
    """

    def __init__(
        self,
        caller: Caller,
        *,
        repository: Path,
        expose_internal: bool = False,
        restarts: Callable[[], int] = lambda: 0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._caller = caller
        self._repository = repository
        self._expose_internal = expose_internal
        self._restarts = restarts
        self._restarts_then = 0
        self._now = now
        self._models: Mapping[str, CatalogueModel] = {}
        self._asked_s: float | None = None
        self._listed: frozenset[str] = frozenset()
        self._listed_s: float | None = None
        self._asking: asyncio.Task[None] | None = None

    @property
    def models(self) -> Mapping[str, CatalogueModel]:
        """Those that may be asked, by name, as they were last seen."""
        return {name: model for name, model in self._models.items() if self._is_open(model)}

    @property
    def models_by_name(self) -> Mapping[str, CatalogueModel]:
        """All that are loaded, steps too: the same object until Triton was asked anew."""
        return self._models

    def forget(self) -> None:
        """Have Triton asked anew before the next request: it was restarted, or loaded other models."""
        self._asked_s = None

    def doubt(self) -> None:
        """As `forget`, but no more than once a second: an answer was that Triton, or a model, is away."""
        if self._asked_s is not None and self._now() - self._asked_s > _MIN_AGE_S:
            self.forget()

    def reached_from(self, names: Iterable[str]) -> frozenset[str]:
        """These models and all that requests to them pass through."""
        found, left = set(), list(names)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += self._models[name].passes_through if name in self._models else ()
        return frozenset(found)

    async def find(self, name: str, version: str = "") -> CatalogueModel:
        """The model that a request is for.

        Args:
            name: Its name.
            version: Its version; empty is the newest.

        Raises:
            RefusedError: There is no such model or version (``NOT_FOUND``), it is not loaded (``AWAY``), or Triton
                cannot be asked now.
        """
        if self._restarts() != self._restarts_then:
            self.forget()
        age_s = float("inf") if self._asked_s is None else self._now() - self._asked_s
        found = self._models.get(name)
        known = found is not None and (not version or version in found.versions)
        if self._asked_s is None or (not known and age_s > _MIN_AGE_S and self._is_there(name)):
            await self.refresh()
            found = self._models.get(name)
        elif age_s > _MAX_AGE_S:
            self._ask()
        if found is None and self._is_there(name) and self._was_public(name):
            raise RefusedError(Refusal.AWAY, f"model '{name}' is not ready: it is not loaded", retry_after_s=1.0)
        if found is None or not self._is_open(found):
            raise unknown_model(name, known=self.models)
        if version and version not in found.versions:
            raise unknown_model(name, version)
        return found

    async def refresh(self) -> None:
        """Ask Triton for all models; callers at the same time share one asking.

        Raises:
            RefusedError: Triton cannot be asked now.
        """
        await asyncio.shield(self._ask())

    def _ask(self) -> asyncio.Task[None]:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._refresh())
            # One that nobody waits for may fail without a word: Triton is away, and the next request finds that out.
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._asking

    async def _refresh(self) -> None:
        restarts = self._restarts()
        names = sorted(path.parent.name for path in self._repository.glob("*/config.pbtxt"))
        seen = await asyncio.gather(*(self._see(name) for name in names))
        configs = {name: one[0] for name, one in zip(names, seen, strict=True) if one is not None}
        versions = {name: one[1] for name, one in zip(names, seen, strict=True) if one is not None}
        labels = read_labels(self._repository, configs, versions)
        self._models = {name: _model(config, versions[name], labels) for name, config in configs.items()}
        self._asked_s, self._restarts_then = self._now(), restarts

    async def _see(self, name: str) -> tuple[Any, tuple[str, ...]] | None:
        """Configuration and versions of a model; None when it is not loaded."""
        asked = service_pb2.ModelConfigRequest(name=name).SerializeToString()  # fits both methods
        try:
            config, metadata = await asyncio.gather(
                self._caller.call("ModelConfig", asked, _TIMEOUT_S),
                self._caller.call("ModelMetadata", asked, _TIMEOUT_S),
            )
        except RefusedError as error:
            if _NOT_LOADED.search(error.words):
                return None
            raise
        described = service_pb2.ModelMetadataResponse.FromString(metadata)
        return service_pb2.ModelConfigResponse.FromString(config).config, tuple(described.versions)

    def _is_open(self, model: CatalogueModel) -> bool:
        return model.public or self._expose_internal

    def _is_there(self, name: str) -> bool:
        """Whether the repository holds a model of this name; the disk is never asked for a name from outside."""
        if self._listed_s is None or self._now() - self._listed_s > _MIN_AGE_S:
            self._listed = frozenset(path.parent.name for path in self._repository.glob("*/config.pbtxt"))
            self._listed_s = self._now()
        return name in self._listed

    def _was_public(self, name: str) -> bool:
        """Whether a model that is not loaded would be public, by its configuration on disk."""
        text = (self._repository / name / "config.pbtxt").read_text(encoding="utf-8", errors="replace")
        return self._expose_internal or bool(re.search(r'(?m)^(platform: "ensemble"|backend: "fan_out")', text))


def unknown_model(name: str, version: str = "", known: Iterable[str] = ()) -> RefusedError:
    """What the door says of a model that it does not have, or does not show; the first words are Triton's own."""
    short = name if len(name) <= 60 else f"{name[:57]}..."
    which = f"'{short}' version {version[:20]}" if version else f"'{short}'"
    there = f": there are {', '.join(sorted(known))}" if known else ""
    return RefusedError(Refusal.NOT_FOUND, f"Request for unknown model: {which} is not found{there}")


def branches(parameters: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """The models that a ``fan_out`` model asks, each with the outputs that it gives; by its parameters."""
    found = {}
    for key, text in parameters.items():
        if key.startswith("branch."):
            found[key.removeprefix("branch.")] = frozenset(json.loads(text).get("outputs", ()))
    return found


def _model(config: Any, versions: Iterable[str], labels: Callable[[str, str], tuple[str, ...]]) -> CatalogueModel:
    """A model out of its protobuf ``ModelConfig``."""
    parameters = {key: value.string_value for key, value in config.parameters.items()}
    steps = {step.model_name for step in config.ensemble_scheduling.step}
    return CatalogueModel(
        name=config.name,
        versions=tuple(versions),
        max_batch_size=config.max_batch_size,
        inputs=_tensors(config.input),
        outputs=_tensors(config.output, lambda output: labels(config.name, output)),
        public=config.platform == "ensemble" or config.backend == "fan_out",
        passes_through=frozenset(steps | branches(parameters).keys()),
        parameters=parameters,
    )


def _tensors(
    configured: Sequence[Any], labels: Callable[[str], tuple[str, ...]] | None = None
) -> dict[str, CatalogueTensor]:
    types = configured[0].DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number if configured else {}
    return {
        one.name: CatalogueTensor(
            name=one.name,
            datatype=types[one.data_type].name.removeprefix("TYPE_").replace("STRING", "BYTES"),
            dims=tuple(one.dims),
            optional=getattr(one, "optional", False),
            labels=labels(one.name) if labels else (),
        )
        for one in configured
    }
