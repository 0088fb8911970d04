"""What a server starts from: the native operators reach the backend that uses them, or their absence is told."""

from __future__ import annotations

import logging
from pathlib import Path

import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from engine.sessions.opening import session_options
from operators.library import ensure_operators
from serving import assembly
from serving.assembly import BACKENDS, ENGINE, READING, assemble, prepare
from serving.runtime import ROOT, ensure_runtime


def test_the_library_lies_beside_the_backend(tmp_path: Path) -> None:
    runtime = ensure_runtime()
    library = tmp_path / "some.so"
    library.write_bytes(b"library")
    without, with_it = assemble(runtime, tmp_path), assemble(runtime, tmp_path, library)
    assert without != with_it
    for backend_name in ("onnxruntime", "summarizer"):
        assert not (without / backend_name / "operators.so").exists()
        assert (with_it / backend_name / "operators.so").read_bytes() == b"library"
    assert assemble(runtime, tmp_path, library) == with_it


def test_a_backend_comes_with_the_modules_beside_it(tmp_path: Path) -> None:
    folder = assemble(ensure_runtime(), tmp_path)
    for source in BACKENDS.glob("*/*.py"):
        assert (folder / source.relative_to(BACKENDS)).read_bytes() == source.read_bytes()
    assert (folder / "fan_out" / "admission.py").is_file()
    for model in BACKENDS.glob("*/model.py"):
        for shared in (BACKENDS / "wanted.py", READING / "sentences.py", READING / "windows.py"):
            assert (folder / model.parent.name / shared.name).read_bytes() == shared.read_bytes()


def test_what_runs_models_comes_with_the_engine_as_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = assemble(ensure_runtime(), tmp_path / "cache")
    for name in ("onnxruntime", "summarizer"):
        place = folder / name
        copied = {path.relative_to(place): path.read_bytes() for path in place.glob("engine/**/*.py")}
        assert copied == {path.relative_to(ROOT): path.read_bytes() for path in ENGINE.rglob("*.py")}
    assert not (folder / "labels" / "engine").exists()
    # Another engine is another folder, as a change of a backend is.
    changed = tmp_path / "room" / "engine"
    (changed / "part").mkdir(parents=True)
    (changed / "part" / "new.py").write_text("")
    monkeypatch.setattr(assembly, "ROOT", changed.parent)
    monkeypatch.setattr(assembly, "ENGINE", changed)
    other = assemble(ensure_runtime(), tmp_path / "cache")
    assert other != folder
    assert (other / "summarizer" / "engine" / "part" / "new.py").is_file()


def test_the_operators_can_be_switched_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "triton").symlink_to(ensure_runtime().folder)
    _, folder = prepare(tmp_path, operators=False)
    assert not (folder / "onnxruntime" / "operators.so").exists()
    assert "operators: ONNX Runtime's own, since the native ones are switched off" in caplog.text


def test_sessions_of_the_backend_know_the_operators() -> None:
    library = ensure_operators()
    if library.path is None:
        pytest.skip(f"no native operators: {library.reason}")
    node = helper.make_node("AddNorm", ["x", "x", "g", "g"], ["y"], domain="infolens", epsilon=1e-5)
    tensors = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xgy"}
    graph = helper.make_graph([node], "norm", [tensors["x"], tensors["g"]], [tensors["y"]])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("infolens", 1)]
    content = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    with pytest.raises(Exception, match="AddNorm"):
        ort.InferenceSession(content, session_options({}))
    ort.InferenceSession(content, session_options({}, library.path))
