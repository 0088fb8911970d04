"""The kernel of ``KeepBeams`` against its function, along whole searches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from export.graph.beam_state import Rules
from export.graph.functions import function
from export.graph.graph import DOMAIN, MICROSOFT, OPSET
from export.graph.keep_beams import ATTRIBUTES, EARLY, INPUTS, NEVER, OUTPUTS

PAD, WORDS, MOST = 1, 30, 12
KINDS = dict.fromkeys(INPUTS + OUTPUTS, TensorProto.INT64)
KINDS |= dict.fromkeys(("tokens", "history", "sequences", "end_tokens"), TensorProto.INT32)
KINDS |= dict.fromkeys(("values", "running", "seen", "scores", "length_penalty"), TensorProto.FLOAT)
KINDS |= dict.fromkeys(("finished", "improvable", "within", "going"), TensorProto.BOOL)
STATES = ("history", "running", "ancestors", "sequences", "scores", "finished", "improvable")
KINDS |= {f"{name}_after": KINDS["seen" if name == "ancestors" else name] for name in STATES}


def session(rules: Rules, library: Path | None) -> ort.InferenceSession:
    def typed(names: tuple[str, ...]) -> list[Any]:
        return [helper.make_tensor_value_info(name, KINDS[name], None) for name in names]

    settings = dict(zip(ATTRIBUTES, (EARLY[rules.early_stopping], rules.pad_token), strict=True))
    node = helper.make_node("KeepBeams", INPUTS, OUTPUTS, domain=DOMAIN, **settings)
    graph = helper.make_graph([node], "one", typed(INPUTS), typed(OUTPUTS))
    opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(domain, 1) for domain in (MICROSOFT, DOMAIN))]
    model = helper.make_model(graph, functions=[function("KeepBeams", rules=rules)], opset_imports=opsets)
    model.ir_version = 8
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if library is not None:
        options.register_custom_ops_library(str(library))
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def beginning(batch: int, beams: int, ends: tuple[int, ...], penalty: float) -> dict[str, Any]:
    candidates, rows = beams * (1 + len(ends)), batch * beams
    running = np.full((batch, beams), NEVER, np.float32)
    running[:, 0] = 0
    return {
        "history": np.zeros((rows, 1), np.int32),
        "running": running,
        "sequences": np.full((batch, beams, MOST), PAD, np.int32),
        "scores": np.full((batch, beams), NEVER, np.float32),
        "finished": np.zeros((batch, beams), bool),
        "improvable": np.ones((batch, 1), bool),
        "max_length": np.array([MOST]),
        "length_penalty": np.array([penalty], np.float32),
        "end_tokens": np.array(ends, np.int32),
        "batch": np.array([batch]),
        "beams": np.array([beams]),
        "candidates": np.array([candidates]),
        "first_rows": np.arange(batch)[:, None] * beams,
        "first_merged": np.arange(batch)[:, None] * (beams + candidates),
        "within": np.arange(candidates) < beams,
    }


@pytest.mark.parametrize("early", [True, False, "never"])
@pytest.mark.parametrize(("batch", "beams", "ends"), [(1, 1, (2,)), (3, 4, (2,)), (2, 3, (2, 5))])
@pytest.mark.parametrize("penalty", [1.0, -0.5])
def test_beams_are_the_same(
    library: Path, early: bool | str, batch: int, beams: int, ends: tuple[int, ...], penalty: float
) -> None:
    rules = Rules(
        start_token=0,
        end_tokens=ends,
        last_token=ends[0],
        pad_token=PAD,
        first_token=None,
        no_repeat_ngram_size=0,
        early_stopping=early,
    )
    native, standard = session(rules, library), session(rules, None)
    random = np.random.default_rng(batch + 10 * beams)
    ended = stopped = 0
    for _ in range(8):
        feeds = beginning(batch, beams, ends, penalty)
        path = np.zeros((batch, beams, 0), np.float32)
        while feeds["history"].shape[1] < MOST - 1:
            own = np.broadcast_to(np.where(np.eye(beams), 0, -1e30).astype(np.float32), (batch, beams, beams))
            feeds["seen"] = np.concatenate([path, own], axis=2)
            # In steps of a half, so that many are equal; some are never chosen.
            scores = np.round(2 * random.standard_normal((batch * beams, WORDS))).astype(np.float32) / 2 - 4
            scores[:, 7] = -np.inf
            scores[:, list(ends)] += np.float32(random.choice([0.0, 3.0]))
            order = np.argsort(-scores, axis=1, kind="stable")[:, : feeds["candidates"][0]]
            feeds |= {"values": np.take_along_axis(scores, order, axis=1), "tokens": order.astype(np.int32)}
            wanted = dict(zip(OUTPUTS, standard.run(None, feeds), strict=True))
            found = dict(zip(OUTPUTS, native.run(None, feeds), strict=True))
            for name, array in wanted.items():
                np.testing.assert_array_equal(found[name], array, err_msg=name)
                assert found[name].dtype == array.dtype
            path = wanted["ancestors_after"]
            feeds |= {name: wanted[f"{name}_after"] for name in STATES if name != "ancestors"}
            ended += int(wanted["finished_after"].any())
            if not wanted["going"]:
                stopped += 1
                break
    assert ended
    assert stopped or penalty < 0
