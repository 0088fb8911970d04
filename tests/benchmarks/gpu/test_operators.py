"""The native operators beside ONNX Runtime's own: the same work, and a reason where it cannot be compared."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from onnx import parser

from benchmarks.gpu.context import Context, Row, Skipped
from benchmarks.gpu.parts import operators
from benchmarks.gpu.parts.operator_cases import add_norm, cases, linear, self_attention
from export.graph.functions import function
from operators.library import Operators, ensure_operators


def measured() -> list[Row | Skipped]:
    sent: list[Row | Skipped] = []
    operators.run(Context(device="cpu", toy=True, deadline_s=time.monotonic() + 600, send=sent.append))
    return sent


@pytest.fixture
def library() -> None:
    found = ensure_operators()
    if found.path is None:
        pytest.skip(f"no native operators: {found.reason}")


def test_every_operator_stands_beside_those_that_do_the_same_work(library: None) -> None:
    first, *rows = measured()
    assert isinstance(first, Row)
    assert first.table == "processor"
    assert first.cells["native"] is True
    expected = [(case.operator, case.shape, words) for case in cases(toy=True) for words in case.others]
    assert all(isinstance(row, Row) and row.table == "operators" for row in rows)
    cells = [row.cells for row in rows if isinstance(row, Row)]
    assert [(one["operator"], one["shape"], one["onnxruntime"]) for one in cells] == expected
    assert all(0 <= float(one["relative_error"] or 0) < 0.05 for one in cells)
    same = [one for one in cells if one["onnxruntime"] in ("one scale a row", "Sum, LayerNormalization")]
    assert all(float(one["relative_error"] or 0) < 1e-3 for one in same)


@pytest.mark.parametrize(
    ("words", "case"),
    [
        ("one scale a row", linear("Int8Linear", 2, 8, 4)),
        ("one scale a row", linear("Int8LinearGelu", 2, 8, 4)),
        ("MultiHeadAttention, fp32", self_attention(1, 8, 2, 8)),
        ("Sum, LayerNormalization", add_norm(2, 8)),
    ],
    ids=lambda value: getattr(value, "operator", ""),
)
def test_the_same_work_is_that_of_the_exported_function(words: str, case: operators.Case) -> None:
    graph = parser.parse_graph(f"work () => () {{ {case.others[words]} }}")
    found = [node.op_type for node in graph.node if node.op_type != "Constant"]
    exported = function(case.operator, heads=2, head_size=8, encoder_heads=2)
    assert found == [node.op_type for node in exported.node if node.op_type != "Constant"]


@pytest.mark.parametrize(("flags", "words"), [(["amx_int8"], "with AMX"), ([], "without AMX")])
def test_without_the_library_the_reason_is_told(flags: list[str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def none(*, ignore_amx: bool) -> Operators:
        asked.append(ignore_amx)
        return Operators(reason="there is no C++ compiler")

    monkeypatch.setattr(operators, "processor_flags", lambda: frozenset(flags))
    monkeypatch.setattr(operators, "ensure_operators", none)
    row, skipped = measured()
    assert isinstance(row, Row)
    assert row.cells["native"] is False
    assert isinstance(skipped, Skipped)
    assert f"{words}: there is no C++ compiler" in skipped.reason
    assert asked == [bool(flags)]


def test_other_work_is_not_compared(library: None, monkeypatch: pytest.MonkeyPatch) -> None:
    case = linear("Int8Linear", 4, 64, 16)
    wrong = {words: nodes.replace("Add(product, bias)", "Neg(product)") for words, nodes in case.others.items()}
    monkeypatch.setattr(operators, "cases", lambda toy: [replace(case, others=wrong)])
    _, *found = measured()
    assert len(found) == len(wrong)
    assert all(isinstance(one, Skipped) and "the answers may differ by 10%" in one.reason for one in found)


def test_calls_take_turns_and_the_first_of_a_turn_does_not_count() -> None:
    made: list[str] = []
    effort = operators.Effort(turns=2, calls=2, turn_s=600.0)
    assert len(operators.in_turn([lambda: made.append("a"), lambda: made.append("b")], effort)) == 2
    assert "".join(made) == "aaabbbaaabbb"


def test_a_slow_call_is_measured_once_a_turn() -> None:
    made: list[str] = []
    operators.in_turn([lambda: made.append("a")], operators.Effort(turns=2, calls=9, turn_s=0.0))
    assert len(made) == 4
