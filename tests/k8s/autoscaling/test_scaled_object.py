"""The autoscaling component: valid by KEDA's schema, and about things that are there."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from serving.gateway.admission import WaitingRoom
from serving.gateway.configuration import RoomLimits

ROOT = Path(__file__).parents[3]
COMPONENT = ROOT / "k8s" / "components" / "autoscaling"
SCHEMA = ROOT.parent / "shared" / "schemas" / "keda.sh_scaledobject_v1alpha1.json"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: infolens}
spec: {replicas: 3, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: []}}}
"""
KUSTOMIZATION = "resources: [deployment.yaml]\ncomponents: [autoscaling]\n"


def manifest() -> dict:
    return yaml.safe_load((COMPONENT / "scaled-object.yaml").read_text(encoding="utf-8"))


def test_it_is_valid_by_kedas_schema():
    if not SCHEMA.exists():
        pytest.skip(f"KEDA's schema is not here: {SCHEMA.name}")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.validate(manifest(), schema)
    wrong = manifest()
    wrong["spec"]["maxReplicas"] = 3
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)


def test_values_of_the_trigger_are_strings_and_a_lost_metric_is_no_load():
    spec = manifest()["spec"]
    (trigger,) = spec["triggers"]
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    assert trigger["metricType"] == "AverageValue"
    assert spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]
    assert spec["scaleTargetRef"]["name"] == "infolens"


def test_its_query_asks_for_gauges_that_the_door_has():
    query = manifest()["spec"]["triggers"][0]["metadata"]["query"]
    names = set(re.findall(r"infolens_\w+", query))
    served = (ROOT / "serving" / "gateway" / "metrics.py").read_text(encoding="utf-8")
    assert names == {"infolens_waiting_room_running", "infolens_waiting_room_waiting"}
    assert [name for name in names if f'"{name}"' not in served] == []
    assert isinstance(WaitingRoom.running, property)
    assert isinstance(WaitingRoom.waiting, property)


def test_the_threshold_lies_well_below_the_places_of_a_replica():
    threshold = float(manifest()["spec"]["triggers"][0]["metadata"]["threshold"])
    config = (ROOT / "model_repository" / "info_lens" / "config.pbtxt").read_text(encoding="utf-8")
    (places,) = re.findall(r'key: "max_running"\s+value \{\s+string_value: "(\d+)"', config)
    assert threshold < int(places) / 2
    assert threshold < RoomLimits().max_running / 2


@pytest.mark.system
def test_the_component_leaves_the_number_of_replicas_to_the_autoscaler(tmp_path: Path):
    if not (kubectl := shutil.which("kubectl")):
        pytest.skip("kubectl is not installed")
    shutil.copytree(COMPONENT, tmp_path / "autoscaling")
    (tmp_path / "deployment.yaml").write_text(DEPLOYMENT, encoding="utf-8")
    (tmp_path / "kustomization.yaml").write_text(KUSTOMIZATION, encoding="utf-8")
    built = subprocess.run([kubectl, "kustomize", str(tmp_path)], capture_output=True, text=True, check=True).stdout
    kinds = {one["kind"]: one for one in yaml.safe_load_all(built)}
    assert set(kinds) == {"Deployment", "ScaledObject"}
    assert "replicas" not in kinds["Deployment"]["spec"]
