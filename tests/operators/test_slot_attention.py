"""The kernel of ``SlotAttention`` against its function, for slots of any age."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from export.graph.graph import DOMAIN, MICROSOFT, OPSET
from export.graph.step.functions import slot_attention

Arrays = dict[str, np.ndarray[Any, Any]]
KINDS = {
    "parts": TensorProto.FLOAT,
    "key": TensorProto.FLOAT,
    "value": TensorProto.FLOAT,
    "length": TensorProto.INT64,
    "visible": TensorProto.BOOL,
}
OUTPUTS = ("context", "key_next", "value_next")
HEADS, SIZE = 3, 24


def session(library: Path | None) -> ort.InferenceSession:
    node = helper.make_node("SlotAttention", list(KINDS), OUTPUTS, domain=DOMAIN, num_heads=HEADS)
    inputs = [helper.make_tensor_value_info(name, kind, None) for name, kind in KINDS.items()]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in OUTPUTS]
    graph = helper.make_graph([node], "one", inputs, outputs)
    opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(domain, 1) for domain in (MICROSOFT, DOMAIN))]
    model = helper.make_model(graph, functions=[slot_attention(HEADS)], opset_imports=opsets)
    model.ir_version = 8
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    if library is not None:
        options.register_custom_ops_library(str(library))
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def feeds_of(slots: int, beams: int, target: int, *, seed: int = 0) -> Arrays:
    """Slots of different ages; what a beam sees are any nodes of the steps before."""
    random = np.random.default_rng([seed, slots, beams])
    nodes = -(-beams * target // 8) * 8
    length = random.integers(1, target + 1, slots)
    length[:2] = (1, target)[:slots]
    before = np.arange(nodes) < (length[:, None, None] - 1) * beams
    shape = (slots, HEADS, nodes, SIZE)
    return {
        "parts": random.standard_normal((slots * beams, 3 * HEADS * SIZE), np.float32),
        "key": random.standard_normal(shape, np.float32),
        "value": random.standard_normal(shape, np.float32),
        "length": length,
        "visible": before & (random.random((slots, beams, nodes)) < 0.4),
    }


@pytest.mark.parametrize(("slots", "beams", "target"), [(1, 1, 9), (2, 4, 40), (5, 3, 33), (3, 8, 24)])
def test_beams_attend_to_their_paths(library: Path, slots: int, beams: int, target: int) -> None:
    feeds = feeds_of(slots, beams, target)
    given = {name: array.copy() for name, array in feeds.items()}
    found, expected = (session(path).run(None, feeds) for path in (library, None))
    for name, ours, theirs in zip(OUTPUTS, found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0 if name != "context" else 2e-6, err_msg=name)
    for name, array in feeds.items():
        np.testing.assert_array_equal(array, given[name], err_msg=name)


def test_caches_that_are_bound_as_both_are_written_in_place(library: Path) -> None:
    feeds = feeds_of(3, 4, 20)
    expected = session(library).run(None, feeds)
    made = session(library)
    binding = made.io_binding()
    caches = {name: ort.OrtValue.ortvalue_from_numpy(feeds[name].copy()) for name in ("key", "value")}
    for name, array in feeds.items():
        binding.bind_ortvalue_input(name, caches.get(name) or ort.OrtValue.ortvalue_from_numpy(array))
    for name, cache in caches.items():
        binding.bind_ortvalue_output(f"{name}_next", cache)
    binding.bind_output("context", "cpu")
    made.run_with_iobinding(binding)
    np.testing.assert_array_equal(binding.get_outputs()[-1].numpy(), expected[0])
    for (name, cache), whole in zip(caches.items(), expected[1:], strict=True):
        np.testing.assert_array_equal(cache.numpy(), whole)
        changed = (cache.numpy() != feeds[name]).any(axis=(1, 3)).sum(axis=1)
        assert changed.tolist() == [4, 4, 4]  # nodes of each slot: one for each beam


def test_a_slot_does_not_depend_on_the_others(library: Path) -> None:
    feeds = feeds_of(3, 2, 16)
    last = {name: array[-1:] for name, array in feeds.items() if name != "parts"}
    alone = session(library).run(None, last | {"parts": feeds["parts"][-2:]})
    together = session(library).run(None, feeds)
    np.testing.assert_array_equal(alone[0], together[0][-2:])
    np.testing.assert_array_equal(alone[1], together[1][-1:])


def test_what_does_not_fit_is_refused(library: Path) -> None:
    feeds = feeds_of(2, 2, 8)
    run = session(library).run
    with pytest.raises(Exception, match="a path for every beam of every slot"):
        run(None, feeds | {"visible": feeds["visible"][:, :, :5]})
    for wrong in (0, 9):
        with pytest.raises(Exception, match="no more than its caches have room for"):
            run(None, feeds | {"length": np.array([1, wrong])})
