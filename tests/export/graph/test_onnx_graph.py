"""The parts of a graph: products in fp16, and columns in int8."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort

from export.graph.functions import function
from export.graph.graph import Graph, model_of, value
from export.graph.initializers import Initializers, quantize_columns
from export.graph.precision import Precision


def test_fp16_products_are_cut_off_before_they_overflow() -> None:
    initializers = Initializers()
    graph = Graph(initializers, prefix="", precision=Precision.FP16)
    product = graph.linear("x", "large", np.full((64, 2), 500, np.float32))
    graph.one("Identity", product, output="y")
    model = model_of("one", graph, [value("x", "FLOAT", [1, 1, 64])], [value("y", "FLOAT", [1, 1, 2])], function)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"x": np.full((1, 1, 64), 600, np.float32)})[0]
    np.testing.assert_allclose(found, 6e4, rtol=1e-3)


def test_quantized_columns_are_close_and_zero_columns_stay_zero() -> None:
    weight = np.random.default_rng(0).standard_normal((50, 20)).astype(np.float32)
    weight[:, 3] = 0
    quantized, scales = quantize_columns(weight)
    assert quantized.dtype == np.int8
    assert np.abs(quantized * scales - weight).max() <= scales.max() / 2 + 1e-6
    assert not quantized[:, 3].any()
