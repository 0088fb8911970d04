"""What objects say of one another: selectors, ports, volumes, configuration, targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from .objects import Finding, Pod, name_of, of_kind, pods_of

OPERATORS: Final = frozenset(
    {"infolens-postgresql", "infolens-tls", "infolens-s3", "infolens-mlflow-postgresql", "infolens-mlflow"}
)
"""Secrets that whoever runs a cluster makes; no manifest holds one."""


EVERYWHERE: Final = frozenset(
    {
        "APIService", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "GatewayClass", "IngressClass",
        "MutatingWebhookConfiguration", "Namespace", "PersistentVolume", "PriorityClass", "RuntimeClass",
        "StorageClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    }
)  # fmt: skip
"""Kinds that belong to no namespace."""


def broken(things: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """References to what is not there."""
    pods = pods_of(things)
    for pod in pods:
        yield from _selector(pod)
        yield from _volumes(pod)
        yield from _configuration(pod, things)
    for service in of_kind(things, "Service"):
        yield from _service(service, pods)
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        for one in of_kind(things, kind):
            field = {"PodDisruptionBudget": "selector", "NetworkPolicy": "podSelector"}[kind]
            chosen = one["spec"].get(field, {})
            wanted = chosen.get("matchLabels", {})
            if "matchExpressions" not in chosen and not _selected(wanted, pods):
                yield _nobody(one, wanted)
    for one in of_kind(things, "NetworkPolicy"):
        yield from _policy(one, pods)
    for kind in ("PodMonitor", "ServiceMonitor"):
        for one in of_kind(things, kind):
            yield from _monitor(one, pods)
    yield from _targets(things)
    yield from _namespaces(things)


def _selected(labels: Mapping[str, str], pods: Sequence[Pod]) -> list[Pod]:
    return [pod for pod in pods if labels.items() <= pod.labels.items()]


def _nobody(thing: Mapping[str, Any], labels: Mapping[str, str]) -> Finding:
    words = f"no pod has the labels {dict(labels)}: they are those of the pod's template"
    return Finding(rule="selector", where=f"{name_of(thing)} selector", words=words)


def _selector(pod: Pod) -> Iterator[Finding]:
    wanted = pod.owner.get("spec", {}).get("selector", {}).get("matchLabels")
    if wanted is not None and not wanted.items() <= pod.labels.items():
        words = f"selects {wanted}, and its own pods have {dict(pod.labels)}: make them the same"
        yield Finding(rule="selector", where=f"{pod.name} selector", words=words)


def _service(service: Mapping[str, Any], pods: Sequence[Pod]) -> Iterator[Finding]:
    spec = service["spec"]
    if spec.get("type") == "ExternalName" or "selector" not in spec:  # its addresses are somebody else's
        return
    chosen = _selected(spec.get("selector", {}), pods)
    if not chosen:
        yield _nobody(service, spec.get("selector", {}))
        return
    for port in spec.get("ports", []):
        target = port.get("targetPort", port["port"])
        for pod in chosen:
            if not pod.listens_on(target):
                words = f"{pod.name} has no port {target}, only {pod.ports()}: name one of these"
                yield Finding(rule="port", where=f"{name_of(service)} targetPort", words=words)


def _policy(policy: Mapping[str, Any], pods: Sequence[Pod]) -> Iterator[Finding]:
    chosen = _selected(policy["spec"].get("podSelector", {}).get("matchLabels", {}), pods)
    for rule in policy["spec"].get("ingress", []):
        for port in rule.get("ports", []):
            for pod in chosen:
                if "port" in port and "endPort" not in port and not pod.listens_on(port["port"]):
                    words = f"{pod.name} has no port {port.get('port')}, only {pod.ports()}: name one of these"
                    yield Finding(rule="port", where=f"{name_of(policy)} ingress", words=words)


def _monitor(monitor: Mapping[str, Any], pods: Sequence[Pod]) -> Iterator[Finding]:
    spec = monitor["spec"]
    chosen = _selected(spec.get("selector", {}).get("matchLabels", {}), pods)
    if not chosen:
        yield _nobody(monitor, spec.get("selector", {}).get("matchLabels", {}))
    for end in spec.get("podMetricsEndpoints", []):
        for pod in chosen:
            if end.get("port") not in pod.ports():
                words = f"{pod.name} has no port {end.get('port')}, only {sorted(pod.ports())}: name one of these"
                yield Finding(rule="port", where=f"{name_of(monitor)} port", words=words)


def _volumes(pod: Pod) -> Iterator[Finding]:
    there = {volume["name"] for volume in pod.spec.get("volumes", [])}
    claimed = {claim["metadata"]["name"] for claim in pod.owner.get("spec", {}).get("volumeClaimTemplates", [])}
    used = set()
    for where, container in pod.containers():
        for mount in container.get("volumeMounts", []):
            used.add(mount["name"])
            if mount["name"] not in there | claimed:
                words = f"mounts {mount['name']}, and the pod's volumes are {sorted(there)}: name one of these"
                yield Finding(rule="volume", where=f"{where} volumeMounts", words=words)
    for volume in pod.spec.get("volumes", []):
        sources = sorted(kind for kind, source in volume.items() if kind != "name" and source is not None)
        if len(sources) > 1:
            words = f"the volume {volume['name']} has {len(sources)} sources, {' and '.join(sources)}: leave it one"
            yield Finding(rule="volume-source", where=f"{pod.name} volumes", words=words)
    for name in sorted(there - used):
        words = f"the volume {name} is mounted nowhere: mount it, or leave it out"
        yield Finding(rule="volume-unused", where=f"{pod.name} volumes", words=words)


def _configuration(pod: Pod, things: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    there = {kind: {one["metadata"]["name"] for one in of_kind(things, kind)} for kind in ("ConfigMap", "Secret")}
    there["Secret"] |= OPERATORS
    for where, kind, name in _referred(pod):
        if name not in there[kind]:
            words = f"there is no {kind} {name}, only {sorted(there[kind])}: add it, or name one of these"
            yield Finding(rule="configuration", where=where, words=words)
    accounts = {one["metadata"]["name"] for one in of_kind(things, "ServiceAccount")}
    account = pod.spec.get("serviceAccountName")
    if account is not None and account not in accounts:
        words = f"there is no ServiceAccount {account}, only {sorted(accounts)}"
        yield Finding(rule="account", where=f"{pod.name} serviceAccountName", words=words)


def _referred(pod: Pod) -> Iterator[tuple[str, str, str]]:
    for volume in pod.spec.get("volumes", []):
        if any(volume.get(kind, {}).get("optional") for kind in ("configMap", "secret")):
            continue
        if "configMap" in volume:
            yield f"{pod.name} volumes/{volume['name']}", "ConfigMap", volume["configMap"]["name"]
        if "secret" in volume:
            yield f"{pod.name} volumes/{volume['name']}", "Secret", volume["secret"]["secretName"]
    for where, container in pod.containers():
        for source in container.get("envFrom", []):
            for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                if field in source and not source[field].get("optional"):
                    yield f"{where} envFrom", kind, source[field]["name"]
        for variable in container.get("env", []):
            for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
                if field in variable.get("valueFrom", {}) and not variable["valueFrom"][field].get("optional"):
                    yield f"{where} env/{variable['name']}", kind, variable["valueFrom"][field]["name"]


def _targets(things: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    there = {name_of(thing) for thing in things}
    for kind in ("ScaledObject", "HorizontalPodAutoscaler"):
        for one in of_kind(things, kind):
            target = one["spec"]["scaleTargetRef"]
            name = f"{target.get('kind', 'Deployment')}/{target['name']}"
            if name not in there:
                yield Finding(rule="target", where=f"{name_of(one)} scaleTargetRef", words=f"there is no {name}")
    services = {one["metadata"]["name"]: one for one in of_kind(things, "Service")}
    for kind in ("HTTPRoute", "GRPCRoute"):
        for one in of_kind(things, kind):
            for rule in one["spec"].get("rules", []):
                for back in rule.get("backendRefs", []):
                    ports = [port["port"] for port in services.get(back["name"], {}).get("spec", {}).get("ports", [])]
                    if back.get("port") not in ports:
                        words = f"the Service {back['name']} has the ports {ports}, and not {back.get('port')}"
                        yield Finding(rule="target", where=f"{name_of(one)} backendRefs", words=words)


def _namespaces(things: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    for thing in things:
        if thing.get("kind") not in EVERYWHERE and not thing.get("metadata", {}).get("namespace"):
            words = "has no namespace, so it would land in whatever is current: the overlay sets `namespace:`"
            yield Finding(rule="namespace", where=name_of(thing), words=words)
