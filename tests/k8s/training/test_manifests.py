"""``k8s/training``: what a cluster would refuse, what its pods may do, and what the code says otherwise.

No API server takes part: kustomize builds, and schemas, parsers and these rules judge.
"""

from __future__ import annotations

import json
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.k8s.training.manifests import CLUSTERS, FOLDERS, JOBS, ROOT, built, cluster_of, containers, pods, the

SCHEMAS = ROOT.parent / "shared" / "schemas"
OPERATORS = {"infolens-s3", "infolens-mlflow-postgresql"}
"""Secrets that the operator makes."""
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_kubernetes_knows_every_kind_and_every_field(folder: str) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    version = validate.latest_version()
    for one in built(folder):
        if not one["apiVersion"].startswith("ray.io/"):
            validate.validate(one, version, strict=True)


def closed(schema: Any) -> Any:
    """A schema that takes no field which it does not name, as the API server prunes them."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(one) for name, one in schema.items()}
    free = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not free:
        made["additionalProperties"] = False
    return made


@pytest.mark.parametrize("folder", CLUSTERS)
def test_kuberay_knows_every_field(folder: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    one = the(folder, "RayCluster" if folder == "cluster" else "RayJob")
    assert one["apiVersion"] == "ray.io/v1"
    file = SCHEMAS / f"ray.io_{one['kind'].lower()}_v1.json"
    if not file.exists():
        pytest.skip(f"the schemas of KubeRay's kinds are not here ({file.name})")
    jsonschema.Draft202012Validator(closed(json.loads(file.read_text(encoding="utf-8")))).validate(one)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_pod_is_confined(folder: str) -> None:
    seen = 0
    for name, template in pods(folder):
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["runAsGroup"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        seen += 1
    for _, container in containers(folder):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }, container["name"]  # fmt: skip
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]) & set(container["resources"]["limits"])
        assert container["image"] == f"infolens/training:{VERSION}"
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert seen


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_referred_to_is_there(folder: str) -> None:
    stay = {(one["kind"], one["metadata"]["name"]) for one in built(".")}
    assert {one["metadata"].get("namespace") for one in built(folder) if one["kind"] != "Namespace"} == {
        the(".", "Namespace")["metadata"]["name"]
    }
    for spec, container in containers(folder):
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= set(volumes)
        for volume in volumes.values():
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            assert claim is None or ("PersistentVolumeClaim", claim) in stay
        assert ("ServiceAccount", spec["serviceAccountName"]) in stay
        sources = list(container.get("envFrom", []))
        sources += [one["valueFrom"] for one in container.get("env", []) if "valueFrom" in one]
        for source in sources:
            for kind, reference in source.items():  # secretRef, secretKeyRef, configMapRef
                name = reference["name"]
                assert name in OPERATORS if kind.startswith("secret") else ("ConfigMap", name) in stay
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container.get(probe, {}).get("httpGet", {}).get("port", "") in ports | {""}


def test_the_service_finds_mlflow_and_the_policies_find_the_pods() -> None:
    service, deployment = the(".", "Service"), the(".", "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert service["spec"]["ports"][0]["targetPort"] in {port["name"] for port in container["ports"]}
    mlflow = the(".", "NetworkPolicy", "infolens-mlflow")["spec"]
    assert mlflow["podSelector"]["matchLabels"].items() <= labels.items()
    (asking,) = mlflow["ingress"][0]["from"]
    training = the(".", "NetworkPolicy", "infolens-training")["spec"]["podSelector"]["matchLabels"]
    assert asking["podSelector"]["matchLabels"] == training
    for folder in CLUSTERS:
        for name, template in pods(folder):
            assert training.items() <= template["metadata"]["labels"].items(), name


def test_jobs_find_mlflow_where_it_is_and_it_knows_its_name() -> None:
    service = the(".", "Service")
    place = f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert the(".", "ConfigMap")["data"]["MLFLOW_TRACKING_URI"] == f"http://{place}"
    (container,) = the(".", "Deployment")["spec"]["template"]["spec"]["containers"]
    options = dict(word.split("=", 1) for word in container["args"])
    assert place in options["--allowed-hosts"].split(",")
    assert options["--port"] == str(container["ports"][0]["containerPort"])


def mlflow_commands() -> list[list[str]]:
    from tests.compose.composed import words_of

    (container,) = the(".", "Deployment")["spec"]["template"]["spec"]["containers"]
    return [[*container["command"], *container["args"]], words_of("mlflow")]


def test_mlflow_knows_the_options() -> None:
    commands = pytest.importorskip("mlflow.cli").cli.commands
    for program, command, *words in mlflow_commands():
        assert (program, command) == ("mlflow", "server")
        context = commands["server"].make_context("server", list(words))
        assert context.params["host"] == "0.0.0.0"
        assert context.params["port"] == 5000


@pytest.mark.parametrize("folder", JOBS)
def test_a_job_runs_a_command_that_training_knows(folder: str) -> None:
    from training.cli import build_parser
    from training.commands.options import recipe_from

    words = shlex.split(the(folder, "RayJob")["spec"]["entrypoint"])
    assert words[:3] == ["python", "-m", "training"]
    assert not set("$&|;<>") & set(" ".join(words)), "KubeRay hands words on, and no shell reads them"
    if "--config" in words:
        place = words.index("--config") + 1
        file = Path(words[place])
        words[place] = str(ROOT / file.relative_to("/opt/infolens"))
    options = build_parser().parse_args(words[3:])
    _, recipe = recipe_from(options)
    assert options.command == folder.partition("-")[0]

    cluster = cluster_of(folder)
    (group,) = cluster["workerGroupSpecs"]
    pod_cpus = int(group["rayStartParams"]["num-cpus"])
    places = group["replicas"] * (pod_cpus // recipe.cpus_per_worker)
    wanted = max(recipe.workers, getattr(options, "concurrent", 1))
    if options.command == "compare":
        wanted = max(int(number) for number in options.workers.split(","))
    assert wanted == places, "as many processes as there is room for"
    assert group["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] == str(pod_cpus)

    (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    mounts = {mount["mountPath"] for mount in head["volumeMounts"]}
    assert any(Path(recipe.data).is_relative_to(mount) for mount in mounts)
    assert options.out.is_relative_to("/shared"), "what is made has to outlive the pods"
    assert not recipe.storage or recipe.storage.startswith("s3://")
    (worker,) = group["template"]["spec"]["containers"]
    assert "/shared" in mounts & {mount["mountPath"] for mount in worker["volumeMounts"]}


def test_the_cluster_that_stays_is_that_of_the_jobs() -> None:
    for folder in ("fit", "tune", "compare"):
        assert cluster_of(folder) == cluster_of("cluster")


def test_ray_runs_what_it_is_sent_only_for_a_token_and_in_one_version() -> None:
    ray = pytest.importorskip("ray")
    for folder in CLUSTERS:
        assert cluster_of(folder)["authOptions"] == {"mode": "token"}
        assert cluster_of(folder)["rayVersion"] == ray.__version__


def test_every_worker_of_the_gpu_variant_has_one_gpu_and_no_other_pod_has() -> None:
    for folder in CLUSTERS:
        for _, container in containers(folder):
            has = container["resources"]["limits"].get("nvidia.com/gpu", 0)
            assert has == (1 if folder == "fit-gpu" and container["name"] == "ray-worker" else 0)


def test_ray_has_room_for_its_objects() -> None:
    for folder in CLUSTERS:
        cluster = cluster_of(folder)
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            spec = group["template"]["spec"]
            (shm,) = (volume["emptyDir"] for volume in spec["volumes"] if volume["name"] == "shm")
            assert shm["medium"] == "Memory"
            assert int(group["rayStartParams"]["object-store-memory"]) < int(shm["sizeLimit"].removesuffix("Gi")) << 30
            assert "/dev/shm" in {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
