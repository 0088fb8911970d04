"""The minimum time that the work takes on this machine (the floor), from three rates that are measured on it.

Rates: memory bandwidth (every thread reads its part of a buffer far larger than the caches), and the operations a
second of large matrix products in ONNX Runtime, int8 (``MatMulInteger``, uint8 by int8) and fp32 (``MatMul``). An
operation is a multiplication or an addition. They are what software reaches here, not what a data sheet says, so an
engine with better kernels may come below 1.

With width ``d``, inner width ``f``, ``L`` tokens in, vocabulary ``V``, ``B`` articles and ``K`` beams:

* A layer over all tokens: ``2 B L (4 d^2 + 2 d f)`` int8 operations for its dense products and ``4 B L^2 d`` for its
  attention (scores, weighted values), which can be in int8 too. XLNet's scores of the relative positions are as many
  again as those of the content: ``6 B L^2 d``.
* The last layer of a classifier need not compute more than the one token that the head reads: keys and values of all
  tokens, and the rest for one, ``2 B (2 L d^2 + 2 d^2 + 2 d f)`` and ``4 B L d`` (XLNet ``6 B L d``).
* Summary: the encoder's layers as above, then the keys and values of the cross attention, ``4 B L d^2`` int8
  operations for each decoder layer, then the steps. The start token is given and the end token is forced, so
  ``tokens_out - 2`` steps choose a token. Step ``t`` takes the greater of two times, since one hides the other:

  * bytes over bandwidth: the decoder's int8 weights ``N (6 d^2 + 2 d f)``, the output embedding in int8 ``V d``, the
    articles' keys and values in int8 ``2 N B L d``, and those of the beams in fp32 ``8 N B K t d``;
  * operations over rates: ``2 B K`` times those weights and ``4 N B K L d`` at the int8 rate, ``4 N B K t d`` at the
    fp32 rate.

Embeddings, normalisations, activations, softmax and the search itself count nothing: the true floor is higher.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from benchmarks.common.shapes import Shape, shape_of
from infolens.contract import CONTRACTS, AnswerKind

from .workload import Workload


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What this machine does in a second, with the threads that the engines get."""

    bandwidth_bytes_per_s: float
    int8_operations_per_s: float
    fp32_operations_per_s: float


@dataclass(frozen=True, kw_only=True)
class Operations:
    """Multiplications and additions."""

    int8: float
    fp32: float = 0.0

    def minimum_s(self, rates: Rates) -> float:
        """Seconds, one kind after the other."""
        return self.int8 / rates.int8_operations_per_s + self.fp32 / rates.fp32_operations_per_s


def minimum_time_s(workload: Workload, config: Mapping[str, int], batch: int, rates: Rates) -> float:
    """The minimum time of one call with ``batch`` articles, seconds; the formulas are the module's.

    Args:
        workload: What is computed.
        config: Entries of the model's configuration that say how large it is, as those of `shapes.Shape.sizes`.
        batch: Articles in the call.
        rates: What the machine can do.
    """
    return _MINIMUM_TIMES[CONTRACTS[workload.task].answers](
        workload, shape_of(workload.architecture), config, batch, rates
    )


def _labels_s(workload: Workload, shape: Shape, config: Mapping[str, int], batch: int, rates: Rates) -> float:
    length, width, inner = workload.tokens_in, config[shape.width], config[shape.inner]
    full = layer_operations(batch, length, width, inner, products=shape.products)
    dense = 2 * batch * (2 * length * width**2 + 2 * width**2 + 2 * width * inner)
    last = Operations(int8=dense + 2 * shape.products * batch * length * width)
    return (config[shape.layers] - 1) * full.minimum_s(rates) + last.minimum_s(rates)


def layer_operations(batch: int, length: int, width: int, inner: int, *, products: int = 2) -> Operations:
    """One layer over all tokens, whose attention has ``products`` products of length by length."""
    dense = 2 * batch * length * (4 * width**2 + 2 * width * inner)
    return Operations(int8=dense + 2 * products * batch * length**2 * width)


def _text_s(workload: Workload, shape: Shape, config: Mapping[str, int], batch: int, rates: Rates) -> float:
    if workload.generation is None:
        raise ValueError(f"the workload of {workload.task}, whose answers are texts, says how they are generated")
    length, width, layers = workload.tokens_in, config[shape.width], config[shape.decoder_layers]
    encoder = layer_operations(batch, length, width, config[shape.inner], products=shape.products)
    cross = Operations(int8=4 * batch * length * width**2)
    total = config[shape.layers] * encoder.minimum_s(rates) + layers * cross.minimum_s(rates)
    rows = batch * workload.generation.beams
    weights = layers * (6 * width**2 + 2 * width * config[shape.decoder_inner]) + config[shape.vocabulary] * width
    for past in range(1, workload.generation.tokens_out - 1):
        read = weights + 2 * layers * batch * length * width + 8 * layers * rows * past * width
        work = Operations(
            int8=2 * rows * weights + 4 * layers * rows * length * width, fp32=4 * layers * rows * past * width
        )
        total += max(read / rates.bandwidth_bytes_per_s, work.minimum_s(rates))
    return total


_MINIMUM_TIMES: Final[dict[AnswerKind, Callable[[Workload, Shape, Mapping[str, int], int, Rates], float]]] = {
    AnswerKind.TEXT: _text_s,
    AnswerKind.LABELS: _labels_s,
}


def measure_machine_rates(threads: int, *, buffer_bytes: int = 2**30, rows: int = 1024, width: int = 4096) -> Rates:
    """Measure the three rates with ``threads`` threads; takes some seconds.

    Args:
        threads: As many as the engines get.
        buffer_bytes: What is read for the bandwidth; far more than the last cache holds.
        rows: Rows of the left matrix of the products.
        width: Rows and columns of the right one.
    """
    operations = 2 * rows * width**2
    return Rates(
        bandwidth_bytes_per_s=_bandwidth(threads, buffer_bytes),
        int8_operations_per_s=operations / _product_s(threads, rows, width, np.dtype(np.uint8)),
        fp32_operations_per_s=operations / _product_s(threads, rows, width, np.dtype(np.float32)),
    )


def _bandwidth(threads: int, buffer_bytes: int) -> float:
    # The product of two vectors: two streams are read faster than one, and the arithmetic hides behind them.
    count = buffer_bytes // (2 * threads * np.dtype(np.float32).itemsize)
    parts = [(np.ones(count, np.float32), np.ones(count, np.float32)) for _ in range(threads)]
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:

        def read() -> None:
            list(pool.map(lambda pair: np.dot(*pair), parts))

        return sum(a.nbytes + b.nbytes for a, b in parts) / best_s(read)


def _product_s(threads: int, rows: int, width: int, dtype: np.dtype[Any]) -> float:
    """Seconds of one product (rows, width) by (width, width) in ONNX Runtime, uint8 by int8 or fp32."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    integers = dtype == np.uint8
    generator = np.random.default_rng(0)
    weight: npt.NDArray[Any] = generator.integers(-100, 100, (width, width), np.int8)
    left = generator.integers(0, 200, (rows, width)).astype(dtype)
    if not integers:
        weight = weight.astype(np.float32)
    node = helper.make_node("MatMulInteger" if integers else "MatMul", ["a", "b"], ["c"])
    kinds = (TensorProto.UINT8, TensorProto.INT32) if integers else (TensorProto.FLOAT, TensorProto.FLOAT)
    values = [helper.make_tensor_value_info(name, kind, [rows, width]) for name, kind in zip("ac", kinds, strict=True)]
    graph = helper.make_graph([node], "product", values[:1], values[1:], [numpy_helper.from_array(weight, "b")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return best_s(lambda: session.run(None, {"a": left}))


def best_s(call: Callable[[], object], *, runs: int = 7) -> float:
    """The shortest of some runs after one that warms up, seconds: a ceiling is what the machine can do undisturbed."""
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
