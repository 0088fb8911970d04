"""The objects of an overlay, as ``kubectl kustomize`` makes them, and the parts of them that rules look at."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml

_BUILD_S: Final = 120
TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Where each kind has its pod."""


class CheckError(Exception):
    """Nothing can be checked; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule that an object breaks."""

    rule: str
    """Its name, such as ``image-tag``."""
    where: str
    """The object, such as ``Deployment/infolens``, and the field."""
    words: str
    """The rule, the value and the way out."""

    def __str__(self) -> str:
        return f"{self.where}: {self.words} [{self.rule}]"


@dataclass(frozen=True)
class Pod:
    """A pod, or the template of one, with the object that it belongs to."""

    owner: Mapping[str, Any]
    template: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Such as ``Deployment/infolens``."""
        return name_of(self.owner)

    @property
    def labels(self) -> Mapping[str, str]:
        """Those by which others select it."""
        labels: Mapping[str, str] = self.template.get("metadata", {}).get("labels", {})
        return labels

    @cached_property
    def spec(self) -> Mapping[str, Any]:
        """Its specification."""
        spec: Mapping[str, Any] = self.template.get("spec", {})
        return spec

    def containers(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Each container, those that come first among them, with its path."""
        for kind in ("initContainers", "containers"):
            for one in self.spec.get(kind, []):
                yield f"{self.name} {kind}/{one.get('name')}", one

    def ports(self) -> dict[str, int]:
        """The named ports of all containers."""
        return {
            port["name"]: port["containerPort"]
            for _, container in self.containers()
            for port in container.get("ports", [])
            if "name" in port
        }

    def listens_on(self, port: object) -> bool:
        """Whether a container has a port of this name or number."""
        every = [one for _, container in self.containers() for one in container.get("ports", [])]
        return any(port in (one.get("name"), one["containerPort"]) for one in every)


def name_of(thing: Mapping[str, Any]) -> str:
    """Such as ``Service/infolens``."""
    return f"{thing.get('kind')}/{thing.get('metadata', {}).get('name')}"


def pods_of(things: Sequence[Mapping[str, Any]]) -> list[Pod]:
    """Every pod and template of one among some objects."""
    pods = []
    for thing in things:
        kind = thing.get("kind")
        if kind in TEMPLATES:
            inside: Any = thing
            for part in TEMPLATES[str(kind)]:
                inside = inside.get(part, {})
            pods.append(Pod(thing, inside))
    return pods


def of_kind(things: Sequence[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    """The objects of a kind."""
    return [thing for thing in things if thing.get("kind") == kind]


def build(overlay: Path) -> list[dict[str, Any]]:
    """The objects of an overlay.

    Raises:
        CheckError: There is no kubectl, or it cannot build the overlay.
    """
    if not any((overlay / name).is_file() for name in ("kustomization.yaml", "kustomization.yml", "Kustomization")):
        raise CheckError(
            f"{overlay} is no overlay: it has no kustomization.yaml; give a folder such as k8s/overlays/cpu"
        )
    command = [_kubectl(), "kustomize", str(overlay.absolute())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_S, check=False)  # noqa: S603
    if done.returncode:
        raise CheckError(f"kubectl cannot build {overlay}: {done.stderr.strip()}")
    return [thing for thing in yaml.load_all(done.stdout, _Loader) if thing is not None]


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # it has no annotations
    """Reads what kubectl writes: in YAML 1.2 neither ``=`` nor ``<<`` nor a date is anything but text."""


_TEXT: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("merge", "timestamp", "value"))
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _TEXT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _kubectl() -> str:
    beside = Path(sys.executable).with_name("kubectl")
    found = str(beside) if beside.is_file() else shutil.which("kubectl")
    if found is None:
        raise CheckError("there is no kubectl: `make dev` installs one, or put yours on the PATH")
    return found
