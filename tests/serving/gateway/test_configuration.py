"""The door's configuration, and what it reads of the repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.feedback.options import FeedbackOptions
from serving.gateway.branches import Branches, read_room_limits
from serving.gateway.catalogue import CatalogueModel
from serving.gateway.configuration import ConfigurationError, GatewayLimits, RoomLimits, read_options
from serving.reports.options import ReportsOptions

NEEDED = {
    "triton_grpc": "127.0.0.1:1",
    "triton_metrics": "http://127.0.0.1:2/metrics",
    "state_file": "/run/state.json",
    "repository": "/models",
}


def written(folder: Path, document: object) -> Path:
    path = folder / "gateway.json"
    path.write_text(json.dumps(document))
    return path


def test_all_settings_are_read_and_the_others_have_defaults(tmp_path: Path) -> None:
    given = {**NEEDED, "config_name": None, "http_port": 0, "limits": {"max_inputs": 3, "max_body_time_s": 1}}
    options = read_options(written(tmp_path, given))
    assert options.repository == Path("/models")
    assert options.door_file == Path("/run/door.json")
    assert options.limits == GatewayLimits(max_inputs=3, max_body_time_s=1)
    assert options.grpc_port == 8001
    assert not options.reports.keeps
    kept = {"keeps": True, "url": "sqlite:////srv/r.sqlite3", "texts": True, "days": 7, "why_not": ""}
    assert read_options(written(tmp_path, {**NEEDED, "reports": kept})).reports == ReportsOptions(**kept)
    assert not options.feedback.keeps
    noted = FeedbackOptions(keeps=True, url="sqlite:////srv/f", spool="/srv/spool", audit_share=0.5, trust=1.0)
    assert read_options(written(tmp_path, {**NEEDED, "feedback": noted.document()})).feedback == noted
    assert "secret" not in repr(read_options(written(tmp_path, {**NEEDED, "admin_key": "secret"})))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "is a JSON object"),
        ({}, "lacks the settings"),
        ({**NEEDED, "hostname": "x"}, r"does not know: \['hostname'\]"),
        ({**NEEDED, "http_port": "80"}, 'http_port .* is of the type int, not "80"'),
        ({**NEEDED, "http_port": True}, "http_port .* is of the type int, not true"),
        ({**NEEDED, "http_port": 70000}, "between 0 and 65535"),
        ({**NEEDED, "expose_internal": 1}, "expose_internal .* is of the type bool, not 1"),
        ({**NEEDED, "limits": 3}, "limits .* is a JSON object, not 3"),
        ({**NEEDED, "limits": {"max_inputs": 0}}, "limits.max_inputs .* is above 0, not 0"),
        ({**NEEDED, "limits": {"many": 0}}, "does not know"),
        ({**NEEDED, "reports": {"days": 0}}, "reports.days .* lies between 1 and 3650, not 0"),
        ({**NEEDED, "feedback": {"days": 0}}, "feedback.days lies between 1 and 3650, not 0"),
        ({**NEEDED, "feedback": {"audit_share": 1.5}}, "feedback.audit_share lies between 0 and 1, not 1.5"),
        ({**NEEDED, "feedback": {"spool_bytes": 1}}, "feedback.spool_bytes lies between 65536 and"),
        ({**NEEDED, "reports": {"keeps": "yes"}}, 'keeps .* is of the type bool or NoneType, not "yes"'),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, document: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_options(written(tmp_path, document))


def test_a_file_that_is_no_json_or_absent_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    for path in (tmp_path / "x.json", tmp_path / "none.json"):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            read_options(path)


def model(folder: Path, name: str, backend: str = "fan_out", file: str = "config.pbtxt", **numbers: object) -> None:
    path = folder / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    parameters = [f'parameters {{ key: "{key}" value {{ string_value: "{text}" }} }}' for key, text in numbers.items()]
    path.write_text("\n".join([f'name: "{name}"', f'backend: "{backend}"', *parameters]))


LABOUR = {"outputs": ["z"], "parameter": "hard", "places": 4}


def test_the_room_takes_what_the_models_say(tmp_path: Path) -> None:
    assert read_room_limits(tmp_path) == RoomLimits()
    model(tmp_path, "info_lens", max_running=12, max_wait_ms=250)
    model(tmp_path, "info_lens", file="configs/large.pbtxt", max_running=40, max_waiting=99)
    model(tmp_path, "bart", backend="onnxruntime", max_running=1)
    assert read_room_limits(tmp_path) == RoomLimits(max_running=12, max_wait_s=0.25)
    assert read_room_limits(tmp_path, "large") == RoomLimits(max_running=40, max_waiting=99)
    assert read_room_limits(tmp_path, "large", max_waiting=5).max_waiting == 5
    model(tmp_path, "info_lens", max_running="many")
    with pytest.raises(ConfigurationError, match="a whole number from 1, not 'many'"):
        read_room_limits(tmp_path)


def test_a_request_asks_the_branches_of_the_outputs_that_it_wants() -> None:
    def made(name: str, **parameters: str) -> CatalogueModel:
        return CatalogueModel(
            name=name, versions=("1",), max_batch_size=4, inputs={}, outputs={}, public=True, parameters=parameters
        )

    shares = {"a": ["x", "y"], "b": ["z"]}
    whole = made("whole", **{f"branch.{name}": json.dumps({"outputs": given}) for name, given in shares.items()})
    branches = Branches()
    assert branches.asked(whole, []) == ("a", "b")
    assert branches.asked(whole, ["y"]) == ("a",)
    assert branches.asked(whole, ["z", "y"]) == ("a", "b")
    assert branches.asked(whole, ["unknown"]) == ("whole",)
    assert branches.asked(made("single"), ["y"]) == ("single",)
    changed = made("whole", **{"branch.c": json.dumps({"outputs": ["y"]})})
    assert branches.asked(changed, ["y"]) == ("c",)
    labour = made("whole", **{"branch.c": json.dumps({"outputs": ["y"]}), "branch.d": json.dumps(LABOUR)})
    for parameters in ({}, {"hard": False}, {"hard": 1}):
        assert branches.asked(labour, [], parameters) == ("c",)
        assert branches.asked(labour, ["z"], parameters) == ("whole",)
    assert branches.asked(labour, [], {"hard": True}) == ("c", "d")
    assert branches.asked(labour, ["y"], {"hard": True}) == ("c",)


def test_a_branch_may_have_fewer_places(tmp_path: Path) -> None:
    model(tmp_path, "whole", **{"branch.d": json.dumps(LABOUR).replace('"', '\\"')})
    assert read_room_limits(tmp_path).places == {"d": 4}
    model(tmp_path, "whole", **{"branch.d": json.dumps({**LABOUR, "places": 0}).replace('"', '\\"')})
    with pytest.raises(ConfigurationError, match="a whole number from 1, not '0'"):
        read_room_limits(tmp_path)
