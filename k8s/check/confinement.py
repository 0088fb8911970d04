"""What a container may do, use and be made of."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from .objects import Finding, Pod, pods_of

ROOT: Final = Path(__file__).resolve().parents[2]
_ASKED: Final = (("requests", "cpu"), ("requests", "memory"), ("limits", "cpu"), ("limits", "memory"))


@cache
def version() -> str:
    """The version in ``pyproject.toml``, which is the tag of our images."""
    found: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return found


def unconfined(things: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Containers that may do more than they need, or take more than is said."""
    for pod in pods_of(things):
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield Finding(
                rule="token",
                where=f"{pod.name} automountServiceAccountToken",
                words="no container asks the API server: set it to false",
            )
        for where, container in pod.containers():
            for field, wanted, found in _confined(pod, container):
                if found != wanted:
                    words = (
                        f"is {found!r} and must be {wanted!r}: set it in the pod's or the container's securityContext"
                    )
                    yield Finding(rule=f"security-{field}", where=f"{where} {field}", words=words)
            for kind, resource in _ASKED:
                if resource not in container.get("resources", {}).get(kind, {}):
                    words = f"there is no {resource} in resources.{kind}: say how much it needs"
                    yield Finding(rule="resources", where=f"{where} resources", words=words)
            yield from _image(where, str(container.get("image", "")))


def _confined(pod: Pod, container: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    both = {**pod.spec.get("securityContext", {}), **container.get("securityContext", {})}
    yield "runAsNonRoot", True, both.get("runAsNonRoot")
    yield "readOnlyRootFilesystem", True, both.get("readOnlyRootFilesystem")
    yield "allowPrivilegeEscalation", False, both.get("allowPrivilegeEscalation")
    yield "privileged", False, both.get("privileged", False)
    yield "capabilities", {"drop": ["ALL"]}, both.get("capabilities")
    yield "seccompProfile", {"type": "RuntimeDefault"}, both.get("seccompProfile")


def _image(where: str, image: str) -> Iterator[Finding]:
    name, _, tag = image.rpartition(":") if ":" in image.rpartition("/")[2] else (image, "", "")
    if "@sha256:" in image:
        return
    if tag in ("", "latest"):
        words = f"{image} has no tag, or one that moves: set a version or a digest under `images:`"
        yield Finding(rule="image-tag", where=f"{where} image", words=words)
    elif name.startswith("infolens/") and tag != version():
        words = f"{image} is not of this version, {version()}: set newTag under `images:`"
        yield Finding(rule="image-version", where=f"{where} image", words=words)
