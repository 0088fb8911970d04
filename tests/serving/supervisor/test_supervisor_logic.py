"""What the supervisor decides, without any process."""

from __future__ import annotations

import io
import json
import random
import uuid
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from serving.processes import SHARED_MEMORY, Process, Stub, parse_stub, remove_regions
from serving.supervisor.events import Journal
from serving.supervisor.healing import MARK, override
from serving.supervisor.models import passes_through, read_model, reasons_with_those_of_others, verdict
from serving.supervisor.patience import Backoff, CrashLoop, Patience
from serving.supervisor.probes import tiny_request
from serving.supervisor.pulse import Life, Pulse, Watch, judge
from serving.supervisor.state import State, StateFile
from serving.supervisor.stubs import missing
from serving.triton_log import model_failures, short_reason

PATIENCE = Patience()


def config(text: str) -> Any:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def ensemble(name: str, *steps: str) -> Any:
    lines = " ".join(f'step {{ model_name: "{step}" model_version: -1 }}' for step in steps)
    return config(f'name: "{name}" ensemble_scheduling {{ {lines} }}')


def fan_out(name: str, *branches: str, order: str = "") -> Any:
    lines = [
        f'parameters {{ key: "branch.{branch}" value {{ string_value: "{{\\"outputs\\": [\\"{branch}_out\\"]}}" }} }}'
        for branch in branches
    ]
    if order:
        lines.append(f'parameters {{ key: "order" value {{ string_value: "{order}" }} }}')
    text = 'input { name: "text" data_type: TYPE_STRING dims: 1 } max_batch_size: 4'
    return config(f'name: "{name}" backend: "fan_out" {text} {" ".join(lines)}')


MODELS = {
    found.name: found
    for found in map(
        read_model,
        (
            fan_out("info_lens", "classify", "verify", order="verify,classify"),
            ensemble("classify", "words", "bert", "labels"),
            ensemble("verify", "xl"),
            *(config(f'name: "{name}" backend: "python"') for name in ("words", "bert", "labels", "xl")),
        ),
    )
}


def test_restarts_wait_longer_and_longer_until_it_goes_well() -> None:
    backoff = Backoff(0.5, 4.0, 60.0)
    assert [backoff.after(now) for now in (0, 1, 2, 3, 10)] == [0.5, 1.0, 2.0, 4.0, 4.0]
    assert backoff.after(10 + 4 + 59) == 4.0
    assert backoff.after(10 + 4 + 59 + 4 + 61) == 0.5


def test_a_crash_loop_is_deaths_without_service_between() -> None:
    loop = CrashLoop(3, 30.0)
    assert [loop.died(now) for now in (0, 1)] == [False, False]
    loop.ready(2)
    assert not loop.died(40), "it served for 38 s"
    loop.ready(41)
    assert not loop.died(50)
    loop.ready(51)
    assert loop.died(60)
    assert loop.count == 3


def pulse(**known: Any) -> Pulse:
    start = {"silent_s": 0.0, "asked_s": None, "slowest_s": 0.1, "working_share": 0.0, "others_work": False}
    return Pulse(**{**start, **known})


@pytest.mark.parametrize(
    ("known", "life"),
    [
        ({"silent_s": 1.0}, Life.ALIVE),
        ({"silent_s": 5.0}, Life.ALIVE),
        ({"silent_s": 5.0, "others_work": True}, Life.ASK),
        ({"silent_s": 11.0}, Life.ASK),
        ({"silent_s": 20.0, "asked_s": 9.0}, Life.WAITING),
        ({"silent_s": 20.0, "asked_s": 10.0}, Life.HUNG),
        ({"silent_s": 20.0, "asked_s": 19.0, "slowest_s": 4.0}, Life.WAITING),
        ({"silent_s": 30.0, "asked_s": 20.0, "slowest_s": 4.0}, Life.HUNG),
        ({"silent_s": 200.0, "asked_s": 200.0, "working_share": 0.5}, Life.WAITING),
        ({"silent_s": 601.0, "asked_s": 600.0, "working_share": 0.5}, Life.HUNG),
    ],
)
def test_busy_is_not_hung(known: dict[str, Any], life: Life) -> None:
    assert judge(pulse(**known), PATIENCE) is life


def stub(pid: int = 1, model: str = "bert", version: str = "1", **more: Any) -> Stub:
    return Stub(
        **{"pid": pid, "model": model, "version": version, "region": "r", "stopped": False, "processor_s": 0.0, **more}
    )


def test_counters_that_move_are_a_sign_of_life() -> None:
    """An overloaded model does not get to the question, but it goes on answering others."""
    watch = Watch(moved_s=0.0)
    assert not watch.counted((5, 5, 100), 1.0)
    watch.ask(None, [stub()], 10.0)
    assert watch.pulse([stub()], 15.0, others_work=True).asked_s == 5.0
    assert watch.counted((6, 6, 200), 16.0, 3.0)
    known = watch.pulse([stub()], 17.0, others_work=True)
    assert (known.asked_s, known.silent_s, known.slowest_s) == (None, 1.0, 3.0)


def test_a_question_that_is_asked_again_does_not_start_the_time_anew() -> None:
    watch = Watch(moved_s=0.0)
    watch.ask(None, [stub(processor_s=1.0)], 10.0)
    watch.ask(None, [stub(processor_s=2.0)], 15.0)
    known = watch.pulse([stub(processor_s=3.0)], 20.0, others_work=True)
    assert (known.asked_s, known.working_share) == (10.0, 0.2)


def test_only_what_stays_stopped_counts_as_stopped() -> None:
    watch, both = Watch(moved_s=0.0), [stub(1, stopped=True), stub(2)]
    assert watch.stopped(both, 0.0, 10.0) == []
    assert watch.stopped([stub(1), stub(2)], 9.0, 10.0) == []
    assert watch.stopped(both, 12.0, 10.0) == []
    assert [found.pid for found in watch.stopped(both, 22.0, 10.0)] == [1]


def test_how_many_processes_a_model_has() -> None:
    groups = "instance_group { count: 2 kind: KIND_CPU } instance_group { count: 1 kind: KIND_GPU gpus: [0, 1] }"
    assert read_model(config(f'name: "bert" backend: "onnxruntime" {groups}')).instances == 4
    assert read_model(config('name: "bert" backend: "python"')).instances == 1
    assert read_model(config(f'name: "bert" backend: "tensorrt" {groups}')).instances == 0, "it runs inside Triton"
    native = read_model(config(f'name: "bert" backend: "onnxruntime" {groups}'), {"python", "fan_out"})
    assert native.instances == 0, "NVIDIA's own stands in the place of ours"
    assert MODELS["classify"].instances == 0


def test_what_passes_through_what() -> None:
    through = passes_through(MODELS)
    assert through["info_lens"] == ("verify", "xl", "classify", "words", "bert", "labels")
    assert through["classify"] == ("words", "bert", "labels")
    assert through["bert"] == ()
    assert {name for name, model in MODELS.items() if model.public} == {"info_lens", "classify", "verify"}


def test_an_ill_model_makes_those_that_pass_through_it_not_ready() -> None:
    reasons = reasons_with_those_of_others({"bert": "it has died"}, passes_through(MODELS), MODELS)
    assert {name: reason for name, reason in reasons.items() if reason} == {
        "bert": "it has died",
        "classify": "bert: it has died",
        "info_lens": "bert: it has died",
    }
    assert verdict(reasons, (), ("info_lens", "classify", "verify")) == (False, "bert: it has died")


def test_a_model_that_cannot_be_loaded_leaves_the_others_ready() -> None:
    failed = {"xl": "a damaged file", "verify": "it depends on xl"}
    loaded = {name: model for name, model in MODELS.items() if name not in failed}
    reasons = reasons_with_those_of_others(failed, passes_through(loaded), [*loaded, *failed])
    ready, words = verdict(reasons, failed, ("info_lens", "classify"))
    assert ready
    assert "xl: a damaged file" in words
    assert reasons["info_lens"] == "verify: it depends on xl"
    assert not verdict(reasons, failed, ("info_lens",))[0], "nobody serves"
    assert verdict(dict.fromkeys(MODELS, ""), (), ("classify",)) == (True, "")


def test_processes_are_counted_by_version() -> None:
    living = [stub(1), stub(2), stub(3, version="2")]
    assert missing(2, ("1",), living) == {}
    assert missing(2, ("1", "2"), living) == {"2": 1}
    assert missing(1, (), []) == {}


def test_a_stub_is_known_by_its_command_line() -> None:
    process = Process(pid=7, parent=1, group=1, state="S", processor_s=1.5)
    words = ["/b/python/triton_python_backend_stub", "/my/models/bert/3/model.onnx", "triton_x_shm_region_1", "1", "1"]
    found = parse_stub(process, words)
    assert found == Stub(
        pid=7, model="bert", version="3", region="triton_x_shm_region_1", stopped=False, processor_s=1.5
    )
    assert parse_stub(process, ["/usr/bin/python", "x", "y"]) is None
    assert parse_stub(process, [""]) is None


def test_only_what_triton_names_is_removed_from_shared_memory() -> None:
    region, other = f"triton_labels_backend_shm_region_{uuid.uuid4()}", f"of_mine_{uuid.uuid4()}"
    paths = [SHARED_MEMORY / region, SHARED_MEMORY / other]
    for path in paths:
        path.touch()
    try:
        assert remove_regions([region, other, f"../tmp/{region}", str(uuid.uuid4())]) == [region]
        assert [path.exists() for path in paths] == [False, True]
    finally:
        paths[1].unlink()


def test_the_override_is_the_configuration_but_for_a_mark() -> None:
    served = config('name: "bert" max_batch_size: 8 parameters { key: "a" value { string_value: "b" } }')
    document = override(served, served=["1"], on_disk=["1"], now_s=1.5)
    assert document.pop("cc_model_filenames") == {MARK: "1.5"}
    assert document == {"name": "bert", "max_batch_size": 8, "parameters": {"a": {"string_value": "b"}}}
    pinned = override(served, served=["2"], on_disk=["1", "2", "10"], now_s=1.5)
    assert pinned["version_policy"] == {"specific": {"versions": [2]}}


def test_the_smallest_request_of_a_model() -> None:
    chance = random.Random(7)
    model = read_model(
        config(
            """name: "bert" backend: "onnxruntime" max_batch_size: 4
            input { name: "ids" data_type: TYPE_INT32 dims: -1 }
            input { name: "text" data_type: TYPE_STRING dims: 1 }
            input { name: "title" data_type: TYPE_STRING dims: 1 optional: true }
            model_warmup { name: "b" batch_size: 1 inputs { key: "ids" value { data_type: TYPE_INT32 dims: 64 } } }
            model_warmup { name: "a" batch_size: 1 inputs { key: "ids" value { data_type: TYPE_INT32 dims: 16 } } }"""
        )
    )
    request = tiny_request(model, chance)
    assert [(entry.name, entry.datatype, list(entry.shape)) for entry in request.inputs] == [
        ("ids", "INT32", [1, 16]),
        ("text", "BYTES", [1, 1]),
    ]
    assert len(request.raw_input_contents[0]) == 64
    assert request.raw_input_contents != tiny_request(model, chance).raw_input_contents, "a cache could answer"
    request = tiny_request(MODELS["info_lens"], chance)
    assert [output.name for output in request.outputs] == ["classify_out"], "its last branch alone"


def test_the_state_is_written_when_it_changes_and_now_and_then(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "state.json", 1.0)

    def written() -> dict[str, Any]:
        document: dict[str, Any] = json.loads((tmp_path / "state.json").read_text())
        return document

    file.write(State(ready=True, models={"a": ""}, triton_pid=5), 0.0)
    first = written()
    assert first["models"] == {"a": {"ready": True, "reason": "", "died_at": None}}
    assert first["triton"] == {"pid": 5, "restarts": 0}
    file.write(State(ready=True, models={"a": ""}, triton_pid=5), 0.5)
    assert written() == first
    file.write(State(ready=False, reason="gone", models={"a": "gone"}), 0.6)
    second = written()
    assert (second["ready"], second["reason"], second["models"]["a"]["reason"]) == (False, "gone", "gone")
    file.write(State(ready=False, reason="gone", models={"a": "gone"}), 1.7)
    assert written()["written_at"] > second["written_at"]
    assert (tmp_path / "state.json").stat().st_mode & 0o077 == 0


def test_an_event_is_a_line_for_a_person_and_one_for_programs(tmp_path: Path) -> None:
    stream = io.StringIO()
    journal = Journal(tmp_path / "logs" / "events.jsonl", stream)
    for number in range(25):
        journal.tell("stub died", f"number {number}", model="bert")
    assert stream.getvalue().splitlines()[0] == "number 0"
    lines = [json.loads(line) for line in (tmp_path / "logs" / "events.jsonl").read_text().splitlines()]
    assert len(lines) == 25
    assert (lines[3]["kind"], lines[3]["words"], lines[3]["model"]) == ("stub died", "number 3", "bert")
    assert [event["words"] for event in journal.last()] == [f"number {number}" for number in range(5, 25)]


def test_the_log_says_why_each_model_failed() -> None:
    log = "\n".join(
        [
            """E1 m.cc:642] "failed to load 'vote' version 1: Internal: ValueError: it is damaged\\n\\nAt:\\n x" """,
            """E1 m.cc:1460] "Poll failed for model directory 'echo': failed to read text proto from config.pbtxt" """,
            """E1 m.cc:703] "Invalid argument: ensemble 'verify' depends on 'vote' which has no loaded version" """,
            """E1 m.cc:703] "Invalid argument: ensemble sum contains models that are not available: echo" """,
        ]
    )
    assert model_failures(log) == {
        "vote": "it is damaged",
        "echo": "failed to read text proto from config.pbtxt",
        "verify": "depends on 'vote' which has no loaded version",
        "sum": "contains models that are not available: echo",
    }
    assert short_reason("Internal: ValueError: bad\n\nAt:\n  here") == "bad"
    assert short_reason("unloaded") == "unloaded"
