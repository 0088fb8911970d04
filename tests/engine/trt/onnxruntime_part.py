"""Stands for a plan of TensorRT where there is no GPU: ONNX Runtime on the CPU, on the memory of the executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch

from engine.artefact import Artefact
from engine.settings import Bucket
from engine.trt.graphs import prepared, sizes_of
from engine.trt.parts import Spec

_TYPES = {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(bool)": "bool"}


class OnnxRuntimePart:
    def __init__(self, artefact: Artefact, name: str, bucket: Bucket) -> None:
        path = artefact.folder / f"prepared-{name}"
        path.write_bytes(prepared(artefact.path(name), sizes_of(name, bucket), artefact.precision))
        self.session = session_of(path)
        self.inputs = {one.name: Spec(dtype=_TYPES[one.type], shape=(*one.shape,)) for one in self.session.get_inputs()}
        self.outputs = {
            one.name: Spec(dtype=_TYPES[one.type], shape=(*one.shape,)) for one in self.session.get_outputs()
        }
        self.runs = 0

    def bound(self, memory: Mapping[str, torch.Tensor]) -> Callable[[], object]:
        binding = self.session.io_binding()
        for specs, bind in ((self.inputs, binding.bind_input), (self.outputs, binding.bind_output)):
            for name, spec in specs.items():
                tensor = memory[name]
                assert (tuple(tensor.shape), tensor.is_contiguous()) == (spec.shape, True)
                bind(name, "cpu", 0, np.dtype(spec.dtype), spec.shape, tensor.data_ptr())

        def run() -> None:
            self.runs += 1
            self.session.run_with_iobinding(binding)

        return run


def session_of(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
