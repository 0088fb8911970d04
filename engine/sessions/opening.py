"""Opens the session that a model configuration of Triton wants, for whoever runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnxruntime as ort

from .parameters import BOOLEANS, choose, count, lengths_of, parameters_of
from .providers import open_session, placement
from .shapes import Counted, FixedShapes

TRITON_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
}
GRAPH_LEVELS = {
    -1: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    0: ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    1: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
EXECUTION_MODES = {0: ort.ExecutionMode.ORT_SEQUENTIAL, 1: ort.ExecutionMode.ORT_PARALLEL}
SHRINKAGE = "memory.enable_memory_arena_shrinkage"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A model, and how it is to be run."""

    config: Mapping[str, Any]
    """Its configuration, as Triton hands it over."""
    kind: str
    """``CPU`` or ``GPU``: the kind of the instance."""
    number: int
    """The GPU's."""
    version: Path
    """The folder of its version."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A session, called as `onnxruntime.InferenceSession` is, with the options of its configuration."""

    session: ort.InferenceSession
    shapes: FixedShapes | None
    """What runs it in prepared shapes, if anything does."""
    options: ort.RunOptions | None

    @property
    def counted(self) -> Counted | None:
        """What is counted where shapes are prepared; None elsewhere."""
        return None if self.shapes is None else self.shapes.counted

    def run(
        self,
        output_names: Sequence[str],
        input_feed: Mapping[str, npt.NDArray[Any]],
        run_options: Any = None,  # noqa: ARG002 - as of a session; this one has its own
    ) -> list[npt.NDArray[Any]]:
        """The outputs ``output_names`` of a batch, in this order."""
        if self.shapes is not None:
            return self.shapes.run(output_names, input_feed)
        return list(self.session.run(output_names, dict(input_feed), self.options))

    def close(self) -> None:
        """Run nothing more; the memory is free once nobody holds this."""
        if self.shapes is not None:
            self.shapes.close()


def open_model(wanted: Wanted, operators: Path | None = None, *, apart: bool = True) -> Opened:
    """Open a model, and prepare the shapes that its configuration names.

    Args:
        wanted: The model.
        operators: The library of native operators; None has the model's own functions of these names run.
        apart: Whether shapes get a thread of their own, so that any thread may run the session; else only the one that
            calls this may.

    Raises:
        ValueError: The configuration, the file or the machine does not allow it; the message says what helps.
    """
    config = wanted.config
    where = placement(config, wanted.kind, wanted.number, wanted.version)
    session = open_session(model_path(config, wanted.version), session_options(config, operators), where)
    check_tensors(config, session)
    options = run_options(config)
    shapes = None
    if where.shapes:
        shapes = FixedShapes(
            session=session,
            lengths=lengths_of(parameters_of(config)),
            most_rows=max(1, int(config.get("max_batch_size", 0))),
            device=where.device,
            number=where.number,
            options=options,
            apart=apart,
        )
        try:
            shapes.prepare()
        except BaseException:
            shapes.close()
            raise
    return Opened(session=session, shapes=shapes, options=options)


def session_options(config: Mapping[str, Any], operators: Path | None = None) -> ort.SessionOptions:
    """The session options that a model configuration asks for.

    Args:
        config: The configuration.
        operators: The library of native operators, if there is one.

    Raises:
        ValueError: A parameter has a value that it cannot have.
    """
    parameters = parameters_of(config)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    level = int(config.get("optimization", {}).get("graph", {}).get("level", 0))
    options.graph_optimization_level = choose("optimization.graph.level", level, GRAPH_LEVELS)
    options.intra_op_num_threads = count(parameters, "intra_op_thread_count")
    options.inter_op_num_threads = count(parameters, "inter_op_thread_count")
    options.execution_mode = choose("execution_mode", count(parameters, "execution_mode"), EXECUTION_MODES)
    options.enable_cpu_mem_arena = choose("enable_mem_arena", parameters.get("enable_mem_arena", "1"), BOOLEANS)
    options.enable_mem_pattern = choose("enable_mem_pattern", parameters.get("enable_mem_pattern", "1"), BOOLEANS)
    entries = {"session.intra_op.allow_spinning": "0", "session.inter_op.allow_spinning": "0"}
    entries |= {key: value for key, value in parameters.items() if key.startswith("session.")}
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    if operators is not None:
        options.register_custom_ops_library(str(operators))
    return options


def run_options(config: Mapping[str, Any]) -> ort.RunOptions | None:
    """The options of each run, or None where the configuration asks for nothing special.

    Raises:
        ValueError: What it asks for cannot be together.
    """
    devices = parameters_of(config).get(SHRINKAGE)
    if devices is None:
        return None
    if "gpu" in devices and lengths_of(parameters_of(config)):
        raise ValueError(f"{SHRINKAGE} is not for a GPU with lengths: it would free memory that CUDA graphs use")
    options = ort.RunOptions()
    options.add_run_config_entry(SHRINKAGE, devices)
    return options


def model_path(config: Mapping[str, Any], version: Path) -> Path:
    """The ONNX file of a version's folder.

    Raises:
        ValueError: There is none.
    """
    path = version / (config.get("default_model_filename") or "model.onnx")
    if path.is_dir():
        path /= "model.onnx"
    if not path.is_file():
        raise ValueError(f"no ONNX model at {path}: export the model again")
    return path


def check_tensors(config: Mapping[str, Any], session: ort.InferenceSession) -> None:
    """Compare the configuration with the graph, as the native backend does at load time.

    Raises:
        ValueError: A tensor is unknown to the graph, has another type there, or an input is not in the configuration.
    """
    for kind, nodes in (("input", session.get_inputs()), ("output", session.get_outputs())):
        types = {node.name: TRITON_TYPES.get(node.type, node.type) for node in nodes}
        for tensor in config[kind]:
            name, data_type = tensor["name"], tensor["data_type"]
            if name not in types:
                raise ValueError(f"the model has no {kind} {name}; it has {sorted(types)}")
            if data_type != types[name]:
                raise ValueError(f"{kind} {name} is {types[name]} in the model, but {data_type} in the configuration")
        missing = set(types) - {tensor["name"] for tensor in config[kind]}
        if kind == "input" and missing:
            raise ValueError(f"the configuration leaves out the model's inputs {sorted(missing)}")
