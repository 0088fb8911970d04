"""Models on a GPU: which providers they get, and how batches run in prepared shapes; on a CPU, without graphs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from prometheus_client import CollectorRegistry

from engine.ort.libraries import CUDA
from engine.sessions.opening import run_options
from engine.sessions.providers import CACHE, CPU, TENSORRT, open_session, placement
from engine.sessions.shapes import GRAPH, Counted, FixedShapes
from serving import launcher
from serving.backends.counts import Counts
from serving.gateway.calls.slots import GRAPHS, Slots

INPUTS: list[dict[str, Any]] = [{"name": "input_ids", "dims": [-1]}, {"name": "attention_mask", "dims": [-1]}]


def config(*accelerators: dict[str, Any], **parameters: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "input": INPUTS,
        "max_batch_size": 8,
        "parameters": {key: {"string_value": value} for key, value in parameters.items()},
    }
    if accelerators:
        found["optimization"] = {"execution_accelerators": {"gpu_execution_accelerator": list(accelerators)}}
    return found


def write_sums(path: Path) -> None:
    """``input_ids``, ``attention_mask`` INT32 [B, L] -> ``sums`` FLOAT [B, 2]: of the ids, and of those that count."""
    nodes = [
        helper.make_node("Mul", ["input_ids", "attention_mask"], ["kept"]),
        helper.make_node("ReduceSum", ["input_ids", "axis"], ["all"], keepdims=1),
        helper.make_node("ReduceSum", ["kept", "axis"], ["some"], keepdims=1),
        helper.make_node("Concat", ["all", "some"], ["both"], axis=1),
        helper.make_node("Cast", ["both"], ["sums"], to=TensorProto.FLOAT),
    ]
    inputs = [helper.make_tensor_value_info(one["name"], TensorProto.INT32, ["B", "L"]) for one in INPUTS]
    outputs = [helper.make_tensor_value_info("sums", TensorProto.FLOAT, ["B", 2])]
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    model = helper.make_model(helper.make_graph(nodes, "sums", inputs, outputs, [axis]), ir_version=8)
    model.opset_import[0].version = 17
    onnx.save(model, path)


def feeds(rows: int, length: int, start: int = 0) -> dict[str, Any]:
    ids = np.arange(start, start + rows * length, dtype=np.int32).reshape(rows, length)
    return {"input_ids": ids, "attention_mask": (ids % 3 > 0).astype(np.int32)}


def sums(given: dict[str, Any]) -> Any:
    ids, mask = given["input_ids"], given["attention_mask"]
    return np.stack([ids.sum(1), (ids * mask).sum(1)], 1).astype(np.float32)


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[FixedShapes]:
    path = tmp_path / "model.onnx"
    write_sums(path)
    session = ort.InferenceSession(path, providers=[CPU])
    shapes = FixedShapes(session=session, lengths=(4, 8), most_rows=6, device="cpu")
    shapes.prepare()
    yield shapes
    shapes.close()


def test_a_gpu_gets_cuda_with_the_parameters_of_the_native_backend(tmp_path: Path) -> None:
    where = placement(
        config(
            {"name": "cuda", "parameters": {"use_ep_level_unified_stream": "1"}},
            gpu_mem_limit="1000",
            arena_extend_strategy="0",
            cudnn_conv_algo_search="1",
            do_copy_in_default_stream="true",
        ),
        "GPU",
        3,
        tmp_path,
    )
    ((name, options),) = where.providers
    assert (name, where.device, where.number, where.shapes) == (CUDA, "cuda", 3, False)
    assert options == {
        "device_id": "3",
        "gpu_mem_limit": "1000",
        "arena_extend_strategy": "kNextPowerOfTwo",
        "cudnn_conv_algo_search": "HEURISTIC",
        "do_copy_in_default_stream": "1",
        "use_ep_level_unified_stream": "1",
        "use_tf32": "0",
        "enable_skip_layer_norm_strict_mode": "1",
    }


def test_lengths_ask_for_cuda_graphs(tmp_path: Path) -> None:
    where = placement(config(lengths="128, 512,256"), "GPU", 0, tmp_path)
    assert (where.shapes, where.graphs, where.providers[0][1]["enable_cuda_graph"]) == (True, True, "1")
    assert placement(config(lengths="128"), "CPU", 0, tmp_path).shapes is False
    rehearsal = placement(config(lengths="128", rehearse_gpu="1"), "CPU", 0, tmp_path)
    assert (rehearsal.providers, rehearsal.shapes, rehearsal.graphs) == (((CPU, {}),), True, False)


def test_the_first_gpu_is_not_named(tmp_path: Path) -> None:
    """ONNX Runtime takes it anyway, and warns at every name."""
    ((_, options),) = placement(config(), "GPU", 0, tmp_path).providers
    assert "device_id" not in options


def test_tensorrt_comes_before_cuda_and_knows_all_shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE, raising=False)
    asked = {"name": "tensorrt", "parameters": {"precision_mode": "FP16", "max_workspace_size_bytes": "5"}}
    where = placement(config(asked, lengths="16,64"), "GPU", 1, tmp_path)
    assert [name for name, _ in where.providers] == [TENSORRT, CUDA]
    options = where.providers[0][1]
    assert (options["trt_fp16_enable"], options["trt_max_workspace_size"], options["device_id"]) == ("1", "5", "1")
    assert options["trt_timing_cache_path"] == str(tmp_path / "plans")
    assert Path(options["trt_engine_cache_path"]).parent == tmp_path / "plans"
    assert options["trt_profile_min_shapes"] == "input_ids:1x1,attention_mask:1x1"
    assert options["trt_profile_max_shapes"] == "input_ids:8x64,attention_mask:8x64"
    assert not where.shapes
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    asked["parameters"] = {"trt_engine_cache_path": "engines", "trt_timing_cache_path": str(tmp_path)}
    options = placement(config(asked), "GPU", 0, tmp_path).providers[0][1]
    assert Path(options["trt_engine_cache_path"]).parent == tmp_path / "cache" / "engines"
    assert options["trt_timing_cache_path"] == str(tmp_path)


def test_other_weights_have_other_engines(tmp_path: Path) -> None:
    """ONNX Runtime would take the engine of another model whose nodes have the same names."""

    def engines(weights: bytes) -> str:
        (tmp_path / "model.onnx").write_bytes(b"graph")
        (tmp_path / "model.onnx.data").write_bytes(weights)
        where = placement(config({"name": "tensorrt", "parameters": {}}, lengths="16"), "GPU", 0, tmp_path)
        return where.providers[0][1]["trt_engine_cache_path"]

    assert engines(b"one") == engines(b"one") != engines(b"other")


def test_launcher_and_backend_call_the_cache_alike() -> None:
    assert launcher.CACHE_VARIABLE == CACHE


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (config({"name": "openvino"}), "tensorrt or cuda, not openvino"),
        (config({"name": "tensorrt", "parameters": {"precision_mode": "FP8"}}), "precision_mode is one of"),
        (config({"name": "tensorrt", "parameters": {"speed": "1"}}), "parameter speed of the accelerator tensorrt"),
        (config(arena_extend_strategy="2"), "arena_extend_strategy is one of"),
        (config(lengths="128,many"), "lengths is a list of whole numbers"),
        (config(lengths="128,0"), "lengths is a list of whole numbers"),
        (config(rehearse_gpu="maybe"), "rehearse_gpu is one of"),
    ],
)
def test_what_cannot_be_is_told(wrong: dict[str, Any], message: str, tmp_path: Path) -> None:
    kind = "CPU" if "rehearse_gpu" in wrong["parameters"] else "GPU"
    with pytest.raises(ValueError, match=message):
        placement(wrong, kind, 0, tmp_path)


def test_memory_that_graphs_use_is_not_freed() -> None:
    with pytest.raises(ValueError, match="would free memory that CUDA graphs use"):
        run_options(config(lengths="4", **{"memory.enable_memory_arena_shrinkage": "cpu:0;gpu:0"}))


def test_without_a_gpu_the_model_does_not_load(tmp_path: Path) -> None:
    if CUDA in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has a CUDA provider")
    path = tmp_path / "model.onnx"
    write_sums(path)
    with pytest.raises(ValueError, match="is built for CPUs alone: install the wheel onnxruntime-gpu"):
        open_session(path, ort.SessionOptions(), placement(config(), "GPU", 0, tmp_path))


def test_a_batch_is_padded_to_the_next_size(prepared: FixedShapes) -> None:
    assert prepared.sizes == (1, 2, 4, 6)
    for rows, length, padding in ((1, 4, 0), (3, 8, 1), (5, 4, 1), (2, 4, 0), (6, 8, 0)):
        before = prepared.counted.graph_padding
        given = feeds(rows, length, start=rows)
        (answer,) = prepared.run(["sums"], given)
        np.testing.assert_array_equal(answer, sums(given))
        assert prepared.counted.graph_padding - before == padding
    assert prepared.counted == Counted(graph_runs=5, graph_rows=17, graph_padding=2)


def test_answers_are_not_overwritten_by_the_next_batch(prepared: FixedShapes) -> None:
    first, second = feeds(2, 4), feeds(2, 4, start=50)
    (kept,) = prepared.run(["sums"], first)
    prepared.run(["sums"], second)
    np.testing.assert_array_equal(kept, sums(first))


@pytest.mark.parametrize(("rows", "length"), [(1, 5), (7, 4)])
def test_what_is_not_prepared_runs_plainly_and_is_counted(prepared: FixedShapes, rows: int, length: int) -> None:
    given = feeds(rows, length)
    (answer,) = prepared.run(["sums"], given)
    np.testing.assert_array_equal(answer, sums(given))
    assert prepared.counted == Counted(graph_misses=1)


class _Gpu:
    """A session that stands for one on a GPU: it notes in which thread each graph runs, and may forget its inputs."""

    def __init__(self, session: ort.InferenceSession, *, frozen: bool = False) -> None:
        self.session, self.frozen = session, frozen
        self.runs: list[tuple[str, int]] = []
        self.lost_after = 0
        """After so many graphs were made the first one reads memory that is another's; 0 for never."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def run(self, names: list[str], given: Any, options: ort.RunOptions) -> Any:
        self.runs.append((options.get_run_config_entry(GRAPH), threading.get_ident()))
        return self.session.run(names, given)

    def run_with_iobinding(self, binding: Any, options: ort.RunOptions) -> None:
        graph = options.get_run_config_entry(GRAPH)
        again = any(graph == other for other, _ in self.runs)
        self.runs.append((graph, threading.get_ident()))
        made = dict.fromkeys(name for name, _ in self.runs if name != "-1")
        lost = self.lost_after and len(made) >= self.lost_after and graph == next(iter(made))
        if not (again and (self.frozen or lost)):
            self.session.run_with_iobinding(binding)


def on_gpu(path: Path, monkeypatch: pytest.MonkeyPatch, *, frozen: bool = False) -> tuple[_Gpu, FixedShapes]:
    write_sums(path)
    gpu = _Gpu(ort.InferenceSession(path, providers=[CPU]), frozen=frozen)
    make = ort.OrtValue.ortvalue_from_numpy
    monkeypatch.setattr(ort.OrtValue, "ortvalue_from_numpy", lambda array, *_: make(array))
    shapes = FixedShapes(session=gpu, lengths=(4,), most_rows=2, device="cuda")
    return gpu, shapes


def test_each_shape_has_a_graph_and_one_thread_runs_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, shapes = on_gpu(tmp_path / "model.onnx", monkeypatch)
    shapes.prepare()
    made = len(gpu.runs)
    shapes.run(["sums"], feeds(1, 4))
    shapes.run(["sums"], feeds(2, 4))
    shapes.run(["sums"], feeds(1, 3))
    shapes.close()
    first, second, plain = (graph for graph, _ in gpu.runs[made:])
    assert (len({first, second, "0", "-1"}), plain) == (4, "-1")
    assert {first, second} <= {graph for graph, _ in gpu.runs[:made]}, "they are made before the model is ready"
    assert len({thread for _, thread in gpu.runs}) == 1


def test_without_graphs_where_one_answers_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, shapes = on_gpu(tmp_path / "model.onnx", monkeypatch, frozen=True)
    shapes.prepare()
    assert "2 rows of the length 4 have another sums as a CUDA graph than without one" in caplog.text
    given = feeds(2, 4)
    (answer,) = shapes.run(["sums"], given)
    shapes.close()
    np.testing.assert_array_equal(answer, sums(given))
    assert shapes.counted == Counted(graph_misses=1)


def test_a_graph_that_answers_otherwise_only_after_others_were_made_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Memory that a graph reads again may be the next one's."""
    gpu, shapes = on_gpu(tmp_path / "model.onnx", monkeypatch)
    gpu.lost_after = 2
    shapes.prepare()
    shapes.close()
    assert "2 rows of the length 4 have another sums" in caplog.text


def test_what_is_counted_is_shown(tmp_path: Path) -> None:
    counted = Counted(graph_runs=5, graph_misses=2, graph_rows=9, graph_padding=3)
    Counts(tmp_path / "xlnet.json", lambda: vars(counted)).look()
    registry = CollectorRegistry()
    registry.register(Slots(tmp_path, GRAPHS))
    registry.register(Slots(tmp_path))
    seen = {sample.name: sample.value for family in registry.collect() for sample in family.samples}
    assert seen == {
        "infolens_graph_runs_total": 5,
        "infolens_graph_misses_total": 2,
        "infolens_graph_rows_total": 9,
        "infolens_graph_padding_total": 3,
    }
