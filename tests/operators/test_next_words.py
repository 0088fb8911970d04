"""The kernel of ``NextWords`` against its function, along summaries that are written word by word."""

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
from export.graph.next_words import INPUTS, OUTPUTS
from export.parity.quotes import Quoting, sentences_of
from tests.export.graph.rows import END, WORDS, Arrays, row_of, spacing

FIRST, NGRAM, CANDIDATES = 2, 3, 6
RULES = Rules(
    start_token=END,
    end_tokens=(END,),
    last_token=END,
    pad_token=1,
    first_token=0,
    no_repeat_ngram_size=NGRAM,
    never=(40, 41),
    never_first=(42,),
    early_stopping=True,
)
FLOATS = {"words", "sampling", "values"}
LONG = {"min_length", "max_length", "candidates"}


def session(library: Path | None) -> ort.InferenceSession:
    def typed(name: str) -> Any:
        kind = TensorProto.FLOAT if name in FLOATS else TensorProto.INT64 if name in LONG else TensorProto.INT32
        return helper.make_tensor_value_info(name, kind, None)

    node = helper.make_node("NextWords", INPUTS, OUTPUTS, domain=DOMAIN, first=FIRST, ngram=NGRAM)
    graph = helper.make_graph([node], "one", [typed(name) for name in INPUTS], [typed(name) for name in OUTPUTS])
    opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(domain, 1) for domain in (MICROSOFT, DOMAIN))]
    made = function("NextWords", rules=RULES)
    model = helper.make_model(graph, functions=[made], opset_imports=opsets)
    model.ir_version = 8
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    if library is not None:
        options.register_custom_ops_library(str(library))
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def inputs_of(random: np.random.Generator, *, batch: int, beams: int, quotes: bool, draws: bool) -> Arrays:
    length, most = 40, 24
    rows = [row_of(random, length, 30) for _ in range(batch)]
    sampling = np.zeros((batch, 1), np.float32)
    if draws:
        sampling = random.random((batch, 2 + most), np.float32)
        sampling[:, 0], sampling[:, 1] = 2, [0.7, 1.0]
    return {
        "source": np.array([ids for ids, _ in rows], np.int32),
        "ends": np.array([ends for _, ends in rows], np.int32) if quotes else np.zeros((batch, 1), np.int32),
        "state": np.zeros((batch * beams, length if quotes else 1), np.int32),
        "sampling": sampling,
        "min_length": np.array([9]),
        "max_length": np.array([most]),
        "candidates": np.array([CANDIDATES]),
        "spaced": spacing().spaced,
        "unspaced": spacing().unspaced,
        "end_tokens": np.array([END], np.int32),
        "never": np.array([40, 41], np.int32),
        "never_first": np.array([42], np.int32),
        "history": np.array([[END, 0]] * (batch * beams), np.int32),
    }


@pytest.mark.parametrize(("batch", "beams", "draws"), [(1, 1, False), (2, 3, False), (2, 1, True)])
@pytest.mark.parametrize("quotes", [False, True])
def test_words_are_the_same(library: Path, batch: int, beams: int, draws: bool, quotes: bool) -> None:
    native, standard = session(library), session(None)
    random = np.random.default_rng(batch + 10 * beams)
    written: set[int] = set()
    for _ in range(5):
        feeds = inputs_of(random, batch=batch, beams=beams, quotes=quotes, draws=draws)
        while feeds["history"].shape[1] < feeds["max_length"][0] - 1:
            feeds["words"] = random.standard_normal((batch * beams, WORDS), np.float32)
            values, tokens, after = standard.run(None, feeds)
            found, chosen, empty = native.run(None, feeds)
            assert empty.size == 0
            np.testing.assert_allclose(found, values)
            certain = np.isfinite(values)
            assert (chosen[certain] == tokens[certain]).all()
            picks = random.integers(np.maximum(certain.sum(axis=1), 1))
            newest = tokens[np.arange(len(tokens)), picks][:, None]
            written |= set(newest.flatten().tolist())
            feeds |= {"history": np.concatenate([feeds["history"], newest], axis=1), "state": after}
            if draws and END in newest:
                break  # nothing is drawn after the end
    assert END in written
    assert not written & {40, 41}


@pytest.mark.parametrize("native", [False, True])
def test_words_are_those_that_the_plain_search_allows(library: Path, native: bool) -> None:
    """So few words that most tokens may go on in several ways."""
    run = session(library if native else None).run
    random = np.random.default_rng(5)
    followed = 0
    for _ in range(30):
        feeds = inputs_of(random, batch=1, beams=1, quotes=True, draws=False)
        ids, ends = row_of(random, 40, 28, least=25)
        feeds |= {"source": np.array([ids], np.int32), "ends": np.array([ends], np.int32)}
        feeds["candidates"] = np.array([30])
        most, least = int(feeds["max_length"][0]), int(feeds["min_length"][0])
        plain = Quoting(
            sentences=sentences_of(ids, ends, ()),
            spacing=spacing(),
            first=FIRST,
            end_tokens=(END,),
            min_length=least,
            max_length=most,
        )
        while feeds["history"].shape[1] < most - 1:
            feeds["words"] = random.standard_normal((1, WORDS), np.float32)
            values, tokens, after = run(None, feeds)
            allowed = tokens[np.isfinite(values)]
            assert set(allowed.tolist()) == plain.next(feeds["history"][0].tolist())
            if not allowed.size:
                break
            newest = random.choice(allowed)
            feeds["history"] = np.append(feeds["history"], [[newest]], axis=1).astype(np.int32)
            feeds["state"] = after
        followed += feeds["history"].shape[1]
    assert followed > 300


def test_an_article_does_not_depend_on_the_others(library: Path) -> None:
    random = np.random.default_rng(0)
    feeds = inputs_of(random, batch=3, beams=2, quotes=True, draws=False)
    feeds["words"] = random.standard_normal((6, WORDS), np.float32)
    last = {name: feeds[name][-1:] for name in ("source", "ends", "sampling")}
    last |= {name: feeds[name][-2:] for name in ("words", "history", "state")}
    run = session(library).run
    for alone, together in zip(run(None, feeds | last), run(None, feeds), strict=True):
        np.testing.assert_array_equal(alone, together[-2:])


def test_what_does_not_fit_together_is_refused(library: Path) -> None:
    feeds = inputs_of(np.random.default_rng(0), batch=2, beams=1, quotes=True, draws=True)
    feeds["words"] = np.zeros((2, WORDS), np.float32)
    run = session(library).run
    with pytest.raises(Exception, match="as many beams of every article"):
        run(None, feeds | {"source": feeds["source"][:1].repeat(3, axis=0)})
    with pytest.raises(Exception, match="the end of the sentence of every position"):
        run(None, feeds | {"ends": feeds["ends"][:, :5]})
    with pytest.raises(Exception, match="a number for every step"):
        run(None, feeds | {"sampling": feeds["sampling"][:, :3]})
