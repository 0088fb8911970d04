"""How a pod starts, is asked how it is, and ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from .objects import Finding, Pod, pods_of

PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")
SERVER: Final = "server"
"""The component whose pods hold the door."""
DOOR_EXIT_S: Final = 12.0
"""How long the door may answer what it has, once it is told to end."""
TRITON_EXIT_S: Final = 15.0
"""How long Triton may take after it."""


def unsound(things: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Probes that ask nobody, and pods that are killed while they answer."""
    for pod in pods_of(things):
        for where, container in pod.containers():
            for kind in PROBES:
                yield from _probe(pod, f"{where} {kind}", container.get(kind, {}))
        if pod.labels.get("app.kubernetes.io/component") == SERVER:
            yield from _server(pod)


def _probe(pod: Pod, where: str, probe: Mapping[str, Any]) -> Iterator[Finding]:
    for kind in ("httpGet", "tcpSocket", "grpc"):
        port = probe.get(kind, {}).get("port")
        if port is not None and not pod.listens_on(port):
            words = f"asks port {port}, and the pod has {pod.ports()}: name one of these"
            yield Finding(rule="probe-port", where=where, words=words)


def _server(pod: Pod) -> Iterator[Finding]:
    containers = {container["name"]: container for _, container in pod.containers()}
    wanted = {"triton": ("startupProbe", "livenessProbe"), "door": PROBES}
    for name, probes in wanted.items():
        for probe in probes:
            if probe not in containers.get(name, {}):
                words = f"the container {name} has no {probe}: see k8s/base/deployment.yaml"
                yield Finding(rule="probe", where=f"{pod.name} {name}", words=words)
    if containers.get("triton", {}).get("restartPolicy") != "Always":
        words = "must be an init container with restartPolicy Always, so that it ends after the door"
        yield Finding(rule="sidecar", where=f"{pod.name} triton", words=words)
    names = [container["name"] for container in pod.spec.get("initContainers", [])]
    if "triton" in names[:-1]:
        words = f"the init containers start in the order {', '.join(names)}: triton is the last"
        yield Finding(rule="order", where=f"{pod.name} initContainers", words=words)
    sleeps_s = containers.get("door", {}).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if sleeps_s < 5:
        words = f"preStop sleeps {sleeps_s} s: 5 at least, so that callers hear of it before the door stops listening"
        yield Finding(rule="drain", where=f"{pod.name} door lifecycle", words=words)
    grace_s, needed_s = pod.spec.get("terminationGracePeriodSeconds", 30), sleeps_s + DOOR_EXIT_S + TRITON_EXIT_S
    if grace_s <= needed_s:
        words = (
            f"is {grace_s} s, and preStop, door and Triton may take {needed_s:g} s: make it longer, or requests in "
            "flight are lost"
        )
        yield Finding(rule="grace", where=f"{pod.name} terminationGracePeriodSeconds", words=words)
