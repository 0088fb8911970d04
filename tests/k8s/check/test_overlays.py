"""The overlays keep every rule, and are in step with the code that they start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from infolens.targets import Target
from k8s.check import lifecycle
from k8s.check.command import findings
from k8s.check.confinement import ROOT, unconfined, version
from k8s.check.objects import CheckError, Pod, build, pods_of
from k8s.check.schemas import CUSTOM, invalid, without_schema
from k8s.cli import main
from serving.arguments import ServerOptions
from serving.cli import main as serving
from serving.gateway.access.rules import OPEN, RULES
from serving.gateway.configuration import GatewayOptions
from serving.supervisor.assembling import Plan, assemble_supervisor
from tests.k8s.check.overlays import COMPONENTS, OVERLAYS, SCHEMAS, overlay, with_components


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_keeps_every_rule(name: str) -> None:
    assert findings(overlay(name)) == []


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_alone_keeps_every_rule(name: str, tmp_path: Path) -> None:
    assert findings(with_components(tmp_path, [name])) == []


def test_all_components_together_keep_every_rule(tmp_path: Path) -> None:
    things = with_components(tmp_path, COMPONENTS)
    if not SCHEMAS.is_dir():
        pytest.skip(f"no schemas of custom resources in {SCHEMAS}")
    assert without_schema(things, SCHEMAS) == []
    assert {str(thing["apiVersion"]).rpartition("/")[0] for thing in things} & CUSTOM
    assert findings(things, SCHEMAS) == []


def test_the_pod_that_makes_a_key_is_confined() -> None:
    thing = yaml.safe_load((ROOT / "k8s" / "components" / "keys" / "make-key.yaml").read_text(encoding="utf-8"))
    assert [*invalid([thing], None), *unconfined([thing])] == []


def server_of(name: str) -> Pod:
    """The pod of an overlay that serves."""
    return next(pod for pod in pods_of(overlay(name)) if pod.owner["kind"] == "Deployment")


def container(pod: Pod, name: str) -> dict[str, Any]:
    return next(dict(one) for _, one in pod.containers() if one["name"] == name)


@pytest.mark.parametrize("name", OVERLAYS)
def test_ports_and_paths_are_the_door_s(name: str) -> None:
    pod = server_of(name)
    options = GatewayOptions(triton_grpc="", triton_metrics="", state_file=Path("state.json"), repository=Path())
    assert pod.ports() == {"http": options.http_port, "grpc": options.grpc_port, "metrics": options.metrics_port}
    door = container(pod, "door")
    paths = {door[kind]["httpGet"]["path"].strip("/") for kind in lifecycle.PROBES}
    assert all(RULES[path] is OPEN for path in paths), "the route of a probe has the name of its path, and needs no key"


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize("part", ["triton", "door"])
def test_flags_are_those_of_the_command(name: str, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    args = container(server_of(name), part)["args"]
    assert args[:4] == ["python", "-m", "serving", part]
    with pytest.raises(SystemExit) as ended:
        serving([*args[3:], "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    flags = [word.partition("=")[0] for word in args if word.startswith("--")]
    assert [flag for flag in flags if flag not in told] == []


@pytest.mark.parametrize("kept", [False, True], ids=["while the pod lives", "in a claim"])
def test_a_replica_on_a_gpu_has_a_card_of_its_own_and_time_to_build_for_it(kept: bool, tmp_path: Path) -> None:
    things = with_components(tmp_path, ["gpu", "plan-cache"]) if kept else list(overlay("gpu"))
    assert findings(things) == []
    pod = next(pod for pod in pods_of(things) if pod.owner["kind"] == "Deployment")
    triton, door = container(pod, "triton"), container(pod, "door")
    assert triton["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in door["resources"]["limits"]
    assert triton["image"] == door["image"] == f"infolens/serving-gpu:{version()}"
    words = triton["args"]
    assert Target(words[words.index("--target") + 1]).record.on_gpu
    ready_s = float(words[words.index("--ready-timeout") + 1])
    for probe in (triton["startupProbe"], door["startupProbe"]):
        assert ready_s < probe["failureThreshold"] * probe["periodSeconds"], "the kubelet would end what still loads"
    kinds = {one["name"]: set(one) - {"name"} for one in pod.spec["volumes"]}
    assert kinds["plans"] == ({"persistentVolumeClaim"} if kept else {"emptyDir"})
    caches = {one["value"] for one in triton["env"]}
    (mount,) = [one["mountPath"] for one in triton["volumeMounts"] if one["name"] == "plans"]
    assert all(Path(cache).is_relative_to(mount) for cache in caches)
    (shm,) = [one["emptyDir"] for one in pod.spec["volumes"] if one["name"] == "shm"]
    assert shm["medium"] == "Memory"


def test_exit_times_are_those_of_the_code(tmp_path: Path) -> None:
    options = ServerOptions(http_port=0, grpc_port=0, metrics_port=0, cache=tmp_path)
    assert options.exit_timeout_s + 2 <= lifecycle.TRITON_EXIT_S
    supervisor = assemble_supervisor(Plan(server=options))
    assert supervisor.server.options.exit_timeout_s == options.exit_timeout_s
    assert options.exit_timeout_s + 2 <= lifecycle.DOOR_EXIT_S


def test_the_command_says_what_took_no_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    told = capsys.readouterr().err
    assert all(f"overlays/{name}: " in told for name in OVERLAYS)
    assert "no API server took part" in told


def test_texts_that_older_yaml_reads_as_something_else_stay_texts(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yml").write_text(
        "namespace: mine\nconfigMapGenerator: [{name: a, literals: ['a==', 'b=2024-13-45', 'c=<<']}]\n"
    )
    (thing,) = build(tmp_path)
    assert thing["data"] == {"a": "=", "b": "2024-13-45", "c": "<<"}
    assert findings([thing]) == []


def test_a_schema_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "keda.sh_scaledobject_v1alpha1.json").write_text("{")
    thing = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "a", "namespace": "b"}}
    with pytest.raises(CheckError, match="is no JSON schema"):
        findings([thing], tmp_path)


def test_the_command_tells_a_broken_overlay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path)]) == 2
    assert "it has no kustomization.yaml" in capsys.readouterr().err
    (tmp_path / "kustomization.yaml").write_text("resources: [missing.yaml]\n")
    assert main(["check", str(tmp_path)]) == 2
    assert "kubectl cannot build" in capsys.readouterr().err
    (tmp_path / "missing.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    assert main(["check", str(tmp_path)]) == 1
    assert "[namespace]" in capsys.readouterr().out
