"""``compose.yaml``: what compose would refuse, what would be open, and what the code does otherwise."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from itertools import chain
from typing import Any

import pytest

from infolens.targets import Target
from tests.compose.composed import EXAMPLE, FILE, NEEDED, ROOT, VARIABLE, UnsetError, composed, words_of

SERVICES: dict[str, Any] = composed()["services"]
OURS = {"infolens/serving", "infolens/serving-gpu", "infolens/training"}


def test_it_is_what_the_compose_specification_takes() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_all_that_the_issue_names_is_there() -> None:
    assert set(SERVICES) == {"infolens", "infolens-gpu", "postgresql", "mlflow", "prometheus", "grafana"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert int(service["user"].partition(":")[0]) > 0
    assert not {"privileged", "cap_add", "devices", "pid", "network_mode"} & set(service)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_says_how_it_is(name: str) -> None:
    assert words_of(name, "healthcheck")
    assert {"interval", "timeout", "start_period"} <= set(SERVICES[name]["healthcheck"])


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_a_version(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].partition(":")
    assert tag
    assert tag != "latest"
    assert "." not in image.partition("/")[0], "a registry's host: images are named without one"
    if image.startswith("infolens/"):
        assert image in OURS
        assert tag == tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


@pytest.mark.parametrize("name", SERVICES)
def test_what_it_waits_for_is_there(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    file = composed()
    for mount in SERVICES[name].get("volumes", []):
        source, _, rest = mount.partition(":")
        if source.startswith("."):
            if not (ROOT / "k8s" / "monitoring").exists():
                pytest.skip("k8s/monitoring is not in this checkout")
            assert (ROOT / source).is_dir(), f"{source} is mounted and is not there"
            assert rest.endswith(":ro")
        else:
            assert source in file["volumes"]
    for config in SERVICES[name].get("configs", []):
        assert file["configs"][config["source"]]["content"]


@pytest.mark.parametrize("name", SERVICES)
def test_only_this_machine_reaches_it_by_default(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_what_asks_nobody_for_a_key_stays_on_this_machine_whatever_is_set() -> None:
    services = composed({**NEEDED, "INFOLENS_ADDRESS": "0.0.0.0"})["services"]
    opened = {
        name for name, service in services.items() for port in service.get("ports", []) if port.startswith("0.0.0.0")
    }
    assert opened == {"infolens", "infolens-gpu"}


def test_each_variable_is_explained_in_the_example_and_none_is_a_password() -> None:
    text = FILE.read_text(encoding="utf-8")
    used = {match[1]: match for match in VARIABLE.finditer(text)}
    example = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE))
    assert example.pop("COMPOSE_PROFILES") == "gpu", "compose itself reads it"
    assert set(example) == set(used)
    for name, match in used.items():
        assert example[name] == ("" if match[2] == ":?" else match[3]), "the example shows the default"
    assert {name for name, match in used.items() if match[2] == ":?"} == set(NEEDED)
    assert {name for name in used if "PASSWORD" in name} == set(NEEDED)


@pytest.mark.parametrize("name", NEEDED)
def test_nothing_starts_without_a_password(name: str) -> None:
    with pytest.raises(UnsetError, match=name):
        composed({**NEEDED, name: ""})


def test_no_password_stands_in_the_file() -> None:
    services = composed({name: f"{name}-value" for name in NEEDED})["services"]
    for where, value in chain.from_iterable(one.get("environment", {}).items() for one in services.values()):
        if "PASSWORD" in where:
            assert value.endswith("-value")


def test_its_ports_are_those_of_the_code() -> None:
    """The server is started with its own defaults, and Prometheus and Grafana are where the others look for them."""
    told = subprocess.run([sys.executable, "-m", "serving", "--help"], capture_output=True, text=True, check=True)
    for option, port in (("http-port", 8000), ("grpc-port", 8001), ("metrics-port", 8002)):
        assert re.search(rf"--{option} PORT\s+{port};", told.stdout), option
    inside = {port.rpartition(":")[2] for port in SERVICES["infolens"]["ports"]} | set(SERVICES["infolens"]["expose"])
    assert inside == {"8000", "8001", "8002"}
    assert not any(word.endswith("-port") for word in words_of("infolens"))
    for name, port in (("mlflow", "5000"), ("prometheus", "9090"), ("grafana", "3000")):
        assert [one.rpartition(":")[2] for one in SERVICES[name]["ports"]] == [port]
        assert f"127.0.0.1:{port}/" in " ".join(words_of(name, "healthcheck"))
    assert "url: http://prometheus:9090\n" in composed()["configs"]["grafana-datasources"]["content"]


def test_a_server_on_a_gpu_stands_in_the_place_of_the_other() -> None:
    """It is started by its profile alone, has the other's ports and name, one card, and room to build for it."""
    gpu, cpu = SERVICES["infolens-gpu"], SERVICES["infolens"]
    assert gpu["profiles"] == ["gpu"]
    assert "profiles" not in cpu
    assert gpu["ports"] == cpu["ports"]
    assert gpu["networks"]["default"]["aliases"] == ["infolens"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "device_ids": ["0"], "capabilities": ["gpu"]}
    assert composed({**NEEDED, "INFOLENS_CPU_SERVERS": "0"})["services"]["infolens"]["deploy"]["replicas"] == 0
    assert cpu["deploy"]["replicas"] == 1
    assert "replicas" not in gpu["deploy"]
    assert gpu["environment"].items() > cpu["environment"].items()
    caches = {value for key, value in gpu["environment"].items() if key not in cpu["environment"]}
    assert all(cache.startswith("/var/cache/infolens/") for cache in caches)
    assert "plans:/var/cache/infolens" in gpu["volumes"]
    assert gpu["ulimits"]["memlock"] == -1


def test_the_options_of_the_server_on_a_gpu_are_known_to_it() -> None:
    """Read from its help: a start would ask for a GPU, and set up gigabytes."""
    told = subprocess.run(
        [sys.executable, "-m", "serving", "--help"], capture_output=True, text=True, check=True
    ).stdout
    words = words_of("infolens-gpu")
    assert words[:3] == ["python", "-m", "serving"]
    assert [word for word in words if word.startswith("--") and word not in told] == []
    assert Target(words[words.index("--target") + 1]).record.on_gpu


def test_the_servers_options_are_known_to_it() -> None:
    """An option that it does not know ends it with 2, before anything is made."""
    command = [sys.executable, *words_of("infolens")[1:], "--set-up-only"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
