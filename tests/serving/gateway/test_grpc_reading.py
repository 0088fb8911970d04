"""What the door reads of a request's bytes."""

from __future__ import annotations

import pytest

from serving.gateway.configuration import GatewayLimits
from serving.gateway.grpc_door.reading import Message, count_parts, parse, view
from serving.gateway.refusals import Refusal, RefusedError
from tests.serving.gateway.mutations import mutated
from tests.serving.gateway.scripted import infer_request

LIMITS = GatewayLimits()


def refused(content: bytes) -> str:
    with pytest.raises(RefusedError) as caught:
        view(parse(content, LIMITS))
    assert caught.value.kind is Refusal.INVALID
    return caught.value.words


def test_a_request_is_seen_as_it_is() -> None:
    message = infer_request("info_lens", outputs=("category", "summary"), id="9")
    message.parameters["timeout"].int64_param = 7
    message.outputs[0].parameters["classification"].int64_param = 2
    message.inputs[0].parameters["note"].string_param = "n"
    seen = view(parse(message.SerializeToString(), LIMITS))
    assert (seen.id, seen.parameters) == ("9", {"timeout": 7})
    assert [(one.name, one.parameters) for one in seen.outputs] == [
        ("category", {"classification": 2}),
        ("summary", {}),
    ]
    (one,) = seen.inputs
    assert (one.name, one.datatype, one.shape, one.parameters) == ("text", "BYTES", (1, 1), {"note": "n"})
    assert one.data == message.raw_input_contents[0]
    assert one.elements is None


@pytest.mark.parametrize(
    ("datatype", "field", "values"),
    [
        ("BYTES", "bytes_contents", [b"a", b"b"]),
        ("INT32", "int_contents", [1, 2]),
        ("UINT8", "uint_contents", [1, 2]),
        ("INT64", "int64_contents", [1, 2]),
        ("FP32", "fp32_contents", [0.5, 2]),
        ("BOOL", "bool_contents", [True, False]),
    ],
)
def test_typed_elements_are_counted_where_they_belong(datatype: str, field: str, values: list[object]) -> None:
    message = Message()
    tensor = message.inputs.add(name="x", datatype=datatype, shape=[2])
    getattr(tensor.contents, field).extend(values)
    (one,) = view(message).inputs
    assert (one.data, one.elements) == (None, 2)
    tensor.contents.fp64_contents.append(1)
    assert f"whose data lies in {field}, not in fp64_contents" in refused(message.SerializeToString())


def test_data_that_is_not_where_it_belongs_is_refused() -> None:
    twice = infer_request()
    twice.inputs[0].contents.SetInParent()  # there, though empty
    assert "has its data twice" in refused(twice.SerializeToString())
    more = infer_request()
    more.raw_input_contents.append(b"")
    assert "there are 2 for 1 inputs" in refused(more.SerializeToString())
    half = Message()
    half.inputs.add(name="x", datatype="FP16", shape=[1]).contents.fp32_contents.append(1)
    assert "FP16, whose data lies in raw_input_contents" in refused(half.SerializeToString())
    empty = infer_request()
    empty.parameters["p"].SetInParent()
    assert "the parameter 'p' of the request has no value" in refused(empty.SerializeToString())


@pytest.mark.parametrize(
    ("part", "words"),
    [(b"\x2a\x00", "inputs"), (b"\x32\x00", "outputs"), (b"\x3a\x00", "raw input"), (b"\x22\x00", "parameters")],
)
def test_parts_are_counted_before_anything_is_made_of_them(part: bytes, words: str) -> None:
    with pytest.raises(RefusedError, match=f"at most [0-9]+ {words}"):
        count_parts(part * 2_000_000, LIMITS)


@pytest.mark.parametrize(
    "content",
    [
        b"\x0a",
        b"\x0a\x05ab",
        b"\x0b\x00",
        b"\x0c",
        b"\x0f",
        b"\x80" * 11,
        b"\x0d\x00",
        b"\x09\x00\x00",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0a\x01\xff",
        b"\x2a\x02\x0a\x05",
    ],
    ids=bytes.hex,
)
def test_what_is_no_message_is_refused(content: bytes) -> None:
    assert "not a ModelInferRequest" in refused(content)


def test_whatever_comes_is_read_or_refused() -> None:
    """Nothing but a refusal is raised, and what the count lets through has no more parts than it allows."""
    read = 0
    for content in mutated(5000, seed=3):
        try:
            message = parse(content, LIMITS)
            view(message)
        except RefusedError:
            continue
        read += 1
        assert len(message.inputs) <= LIMITS.max_inputs
        assert len(message.outputs) <= LIMITS.max_outputs
    assert read > 500
