"""Each rule finds the manifest that breaks it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from k8s.check.command import findings
from k8s.check.objects import CheckError
from tests.k8s.check.overlays import overlay

Things = list[dict[str, Any]]


def of(things: Things, kind: str) -> dict[str, Any]:
    return next(thing for thing in things if thing["kind"] == kind)


def spec(things: Things) -> dict[str, Any]:
    found: dict[str, Any] = of(things, "Deployment")["spec"]["template"]["spec"]
    return found


def door(things: Things) -> dict[str, Any]:
    found: dict[str, Any] = spec(things)["containers"][0]
    return found


def triton(things: Things) -> dict[str, Any]:
    found: dict[str, Any] = spec(things)["initContainers"][1]
    return found


BROKEN: list[tuple[str, Callable[[Things], Any]]] = [
    ("schema", lambda t: of(t, "Deployment")["spec"].update(replica=3)),
    ("schema", lambda t: door(t).update(ports="8000")),
    ("kind", lambda t: of(t, "Service").update(kind="Servise")),
    ("kind", lambda t: of(t, "PodDisruptionBudget").update(apiVersion="policy/v1beta9")),
    ("token", lambda t: spec(t).pop("automountServiceAccountToken")),
    ("security-runAsNonRoot", lambda t: spec(t)["securityContext"].pop("runAsNonRoot")),
    ("security-readOnlyRootFilesystem", lambda t: triton(t)["securityContext"].pop("readOnlyRootFilesystem")),
    ("security-allowPrivilegeEscalation", lambda t: door(t)["securityContext"].update(allowPrivilegeEscalation=True)),
    ("security-privileged", lambda t: door(t)["securityContext"].update(privileged=True)),
    ("security-capabilities", lambda t: door(t)["securityContext"].update(capabilities={"drop": ["NET_RAW"]})),
    ("security-seccompProfile", lambda t: spec(t)["securityContext"].update(seccompProfile={"type": "Unconfined"})),
    ("resources", lambda t: door(t)["resources"]["limits"].pop("memory")),
    ("image-tag", lambda t: door(t).update(image="infolens/serving")),
    ("image-tag", lambda t: door(t).update(image="registry.example:5000/infolens/serving:latest")),
    ("image-version", lambda t: door(t).update(image="infolens/serving:0.0.9")),
    ("selector", lambda t: of(t, "Deployment")["spec"]["selector"]["matchLabels"].update(other="yes")),
    ("selector", lambda t: of(t, "Service")["spec"]["selector"].update(other="yes")),
    ("selector", lambda t: of(t, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"].update(other="yes")),
    ("selector", lambda t: of(t, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"].update(other="yes")),
    ("port", lambda t: of(t, "Service")["spec"]["ports"][0].update(targetPort="web")),
    ("port", lambda t: of(t, "NetworkPolicy")["spec"]["ingress"][1]["ports"][0].update(port="metric")),
    ("volume", lambda t: door(t)["volumeMounts"].append({"name": "logs", "mountPath": "/logs"})),
    ("volume-unused", lambda t: spec(t)["volumes"].append({"name": "logs", "emptyDir": {}})),
    ("volume-source", lambda t: spec(t)["volumes"][0].update(persistentVolumeClaim={"claimName": "plans"})),
    ("order", lambda t: spec(t)["initContainers"].reverse()),
    ("configuration", lambda t: door(t).update(envFrom=[{"configMapRef": {"name": "missing"}}])),
    ("configuration", lambda t: door(t)["env"][0]["valueFrom"]["secretKeyRef"].update(name="missing")),
    ("configuration", lambda t: spec(t)["volumes"][0].update(emptyDir=None, configMap={"name": "missing"})),
    ("account", lambda t: spec(t).update(serviceAccountName="missing")),
    ("target", lambda t: t.append(scaler("Deployment", "missing"))),
    ("namespace", lambda t: of(t, "Service")["metadata"].pop("namespace")),
    ("probe-port", lambda t: door(t)["readinessProbe"]["httpGet"].update(port="web")),
    ("probe", lambda t: triton(t).pop("livenessProbe")),
    ("sidecar", lambda t: triton(t).pop("restartPolicy")),
    ("drain", lambda t: door(t).pop("lifecycle")),
    ("grace", lambda t: spec(t).update(terminationGracePeriodSeconds=30)),
]


def scaler(kind: str, name: str) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": kind, "name": name}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "some", "namespace": "infolens"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 3},
    }


@pytest.mark.parametrize(("rule", "change"), BROKEN, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(BROKEN)])
def test_what_breaks_a_rule_is_found(rule: str, change: Callable[[Things], Any]) -> None:
    things = copy.deepcopy(list(overlay("cpu")))
    change(things)
    assert {finding.rule for finding in findings(things)} == {rule}


def well() -> Things:
    """Objects that break no rule, odd as they look."""
    pod = copy.deepcopy(of(list(overlay("cpu")), "Deployment")["spec"]["template"])
    pod["metadata"]["labels"] = {"app": "own"}
    container = pod["spec"]["containers"][0]
    container["volumeMounts"].append({"name": "claimed", "mountPath": "/claimed"})
    container["ports"] = [{"containerPort": 80}]
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        container[probe]["httpGet"]["port"] = 80
    container["env"] = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "a", "optional": True}}}]
    claim = {"metadata": {"name": "claimed"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    own = {"app": "own"}
    place = {"namespace": "infolens"}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "own", **place},
            "spec": {
                "serviceName": "own", "selector": {"matchLabels": own}, "template": pod, "volumeClaimTemplates": [claim]
            },
        },
        {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "own", **place},
            "spec": {"selector": own, "ports": [{"port": 80}]},
        },
        {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "far", **place},
            "spec": {"ports": [{"port": 5432}]},
        },
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 10},
        {
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "own", **place},
            "spec": {"selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}},
        },
    ]  # fmt: skip


def test_what_is_well_is_left_alone() -> None:
    assert findings([*overlay("cpu"), *well()]) == []


def test_a_set_without_a_deployment_is_looked_at_too() -> None:
    things = well()
    things[0]["kind"] = "ReplicaSet"
    for field in ("serviceName", "volumeClaimTemplates"):
        things[0]["spec"].pop(field)
    things[0]["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privileged"] = True
    assert "security-privileged" in {finding.rule for finding in findings([*overlay("cpu"), *things])}


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget", "NetworkPolicy"])
def test_an_object_without_its_parts_is_told(kind: str) -> None:
    things = copy.deepcopy(list(overlay("cpu")))
    of(things, kind).pop("spec")
    with pytest.raises(CheckError, match="lacks a part"):
        findings(things)


def test_a_scaler_of_what_is_there_is_well() -> None:
    assert findings([*overlay("cpu"), scaler("Deployment", "infolens")]) == []
