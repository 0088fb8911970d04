"""Every request that breaks a rule is refused with the code and the words of that rule, and never reaches Triton."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.serving.gateway.http.running import FakeTriton, RunningDoor, infer_body

TEXT = {"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": ["Oil rises."]}
LENGTH = {"name": "max_length", "shape": [1, 1], "datatype": "INT32", "data": [20]}
PENALTY = {"name": "length_penalty", "shape": [1, 1], "datatype": "FP32", "data": [1]}


def inputs(*given: Any, **more: Any) -> str:
    return json.dumps({"inputs": list(given), **more})


def text(**changes: Any) -> str:
    return inputs(TEXT | changes)


def deep(depth: int) -> str:
    return '{"inputs":' + "[" * depth + "]" * depth + "}"


BROKEN: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "the body is empty"),
    "no JSON": ('{"inputs":[', "the body is not JSON: Expecting value at character 11"),
    "an array": ("[]", "the body is a JSON object, not an array"),
    "no UTF-8": (b'{"inputs": "\xff"}', "its byte 12 is not"),
    "NaN": ('{"inputs": NaN}', "a JSON number is finite, and NaN is none"),
    "a name twice": ('{"inputs": [], "inputs": []}', "'inputs' comes twice"),
    "too deep": (deep(30), "nested at most 20 deep"),
    "far too deep": (deep(100_000), "nested at most 20 deep|at most 65536 values"),
    "too many values": ('{"inputs": [' + "0," * 70_000 + "0]}", "at most 65536 values"),
    "digits without end": ('{"inputs": ' + "9" * 5000 + "}", "cannot be read as JSON|is an array, not a number"),
    "inputs no array": ('{"inputs": {}}', "inputs of a request is an array, not an object"),
    "an input no object": (inputs("text"), r"inputs\[0\] is an object with a name"),
    "an input without a name": (inputs({"shape": [1]}), r"inputs\[0\] has a name, a string, not null"),
    "too many inputs": (inputs(*[TEXT] * 17), "at most 16 inputs, not 17"),
    "an input twice": (inputs(TEXT, TEXT), "'text' comes more than once"),
    "an unknown input": (inputs(TEXT | {"name": "txt"}), "unexpected inference input 'txt' for model 'summarize'"),
    "text missing": (inputs(LENGTH), "needs the input 'text', which the request lacks"),
    "no inputs": ('{"inputs": []}', "needs the input 'text'"),
    "plain JSON": ('{"text": "Oil rises."}', "goes to /v1/analyze"),
    "no shape": (text(shape=None), "has a shape, an array of whole numbers, not null"),
    "a shape of strings": (text(shape=["1", 1]), "array of whole numbers"),
    "a shape of booleans": (text(shape=[True, 1]), "array of whole numbers"),
    "too few dimensions": (text(shape=[1]), r"has the shape \[n, 1\] \(n is 1 to 4\), not \[1\]"),
    "too many dimensions": (text(shape=[1, 1, 1]), r"not \[1, 1, 1\]"),
    "no dimensions": (text(shape=[]), r"not \[\]"),
    "a wide row": (text(shape=[1, 2], data=["a", "b"]), r"not \[1, 2\]"),
    "a negative length": (text(shape=[-1, 1]), r"not \[-1, 1\]"),
    "a length of zero": (text(shape=[0, 1], data=[]), r"not \[0, 1\]"),
    "2^31 rows": (text(shape=[2**31, 1]), r"not \[2147483648, 1\]"),
    "rows without end": (text(shape=[10**400, 1]), "not .1000|cannot be read as JSON"),
    "a product that overflows": (text(shape=[2**31, 2**33]), r"not \[2147483648, 8589934592\]"),
    "five rows": (text(shape=[5, 1], data=["a"] * 5), "at most 4 rows in a request, not 5"),
    "unequal rows": (inputs(TEXT | {"shape": [2, 1], "data": ["a", "b"]}, LENGTH), "'max_length' 1 of 2"),
    "too little data": (text(shape=[2, 1]), "has 2 elements, but its data has 1"),
    "too much data": (text(data=["a", "b"]), "has 1 element, but its data has 2 or more"),
    "no data": (text(data=None), "has data, an array, not null"),
    "data no array": (text(data="Oil"), "has data, an array, not a string"),
    "text a number": (text(data=[5]), "input 'text' holds strings, not a number"),
    "half a character": (text(data=["\ud800"]), "half a surrogate pair"),
    "another datatype": (text(datatype="INT32", data=[1]), "'text' of model 'summarize' is BYTES, not 'INT32'"),
    "no datatype": (text(datatype=None), "a datatype such as BYTES or FP32, not null"),
    "a datatype that is none": (text(datatype="STRING"), "has the datatype 'STRING', which is none"),
    "a type JSON cannot carry": (text(datatype="FP16", data=[1]), "JSON cannot carry FP16"),
    "an integer out of range": (inputs(TEXT, LENGTH | {"data": [2**31]}), "'max_length' is out of the range of INT32"),
    "a fraction for an integer": (inputs(TEXT, LENGTH | {"data": [1.5]}), "holds whole numbers, not 1.5"),
    "true for an integer": (inputs(TEXT, LENGTH | {"data": [True]}), "holds numbers, not a boolean"),
    "a number too large": (inputs(TEXT, PENALTY | {"data": [1e39]}), "finite numbers of FP32, which 1e.39 is not"),
    "a number far too large": (inputs(TEXT, PENALTY).replace("[1]}", "[1e999]}"), "which inf is not"),
    "an integer far too large": (inputs(TEXT, PENALTY | {"data": [10**400]}), "a number of 401 digits"),
    "an unknown output": (infer_body(outputs=[{"name": "sumary"}]), "unexpected inference output 'sumary' for model"),
    "an output twice": (infer_body(outputs=[{"name": "summary"}] * 2), "'summary' comes more than once"),
    "too many outputs": (infer_body(outputs=[{"name": "summary"}] * 65), "at most 64 outputs, not 65"),
    "an output no object": (infer_body(outputs=["summary"]), r"outputs\[0\] is an object with a name"),
    "parameters no object": (infer_body(parameters=[]), "parameters of the request is an object"),
    "a parameter no scalar": (infer_body(parameters={"a": []}), "is true, false, a number or a string"),
    "a parameter too long": (infer_body(parameters={"a": "x" * 5000}), "at most 4096 characters, 'a' 5000"),
    "too many parameters": (infer_body(parameters={str(n): n for n in range(65)}), "at most 64 parameters, not 65"),
    "a parameter of Triton's": (infer_body(parameters={"triton_final_response": True}), "begin with triton_"),
    "half a character in a parameter": (infer_body(parameters={"a": "\ud800"}), "half a surrogate pair"),
    "an integer of 65 bits": (infer_body(parameters={"a": 2**64}), "an integer of 64 bits"),
    "a negative time-out": (infer_body(parameters={"timeout": -1}), "timeout is microseconds from 0, not -1"),
    "a time-out in words": (infer_body(parameters={"timeout": "1"}), "timeout is microseconds from 0, not '1'"),
    "priority a boolean": (infer_body(parameters={"priority": True}), "priority is a whole number from 0"),
    "partial no boolean": (infer_body(parameters={"partial": 1}), "partial is true or false, not 1"),
    "a sequence": (infer_body(parameters={"sequence_id": 7}), "no model here keeps a sequence"),
    "binary output no boolean": (
        infer_body(parameters={"binary_data_output": 1}),
        "binary_data_output is true or false",
    ),
    "shared memory": (text(parameters={"shared_memory_region": "a"}), "names shared memory"),
    "an id no string": (infer_body(id=7), "the id of a request is a string, not a number"),
    "an id of two lines": (infer_body(id="a\nb"), "has characters that can be printed"),
    "an id too long": (infer_body(id="x" * 300), "at most 256 characters, not 300"),
    "binary data that is not there": (
        text(data=None, parameters={"binary_data_size": 9}),
        "but 0 bytes of the body are",
    ),
    "a negative binary size": (text(data=None, parameters={"binary_data_size": -1}), "has the binary_data_size -1"),
    "data twice": (text(parameters={"binary_data_size": 0}), "has data or binary_data_size, not both"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_a_rule_is_refused_by_it(door: RunningDoor, fake: FakeTriton, name: str) -> None:
    body, words = BROKEN[name]
    answer = door.infer("summarize", body)
    assert answer.status == 400
    assert re.search(words, answer.error), answer.error
    assert len(answer.body) < 400
    assert fake.requests == []
    assert door.infer("summarize", infer_body()).status == 200


@pytest.mark.parametrize("count", [0, -1, True, "2", 1.5, 2**31])
def test_classification_is_a_number_from_1(door: RunningDoor, fake: FakeTriton, count: Any) -> None:
    wanted = [{"name": "category_probabilities", "parameters": {"classification": count}}]
    answer = door.infer("classify", infer_body(outputs=wanted))
    assert answer.status == 400
    assert "classification is how many classes are wanted, from 1" in answer.error
    assert fake.requests == []


@pytest.mark.parametrize("output", ["category", "category_labels"])
def test_classification_is_for_numbers(door: RunningDoor, fake: FakeTriton, output: str) -> None:
    answer = door.infer("classify", infer_body(outputs=[{"name": output, "parameters": {"classification": 1}}]))
    assert answer.status == 400
    assert f"classification ranks numbers, but the output '{output}' is BYTES" in answer.error
    assert fake.requests == []


BINARY = '{"inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "parameters": {"binary_data_size": %d}}]}'


@pytest.mark.parametrize(
    ("data", "size", "length", "words"),
    [
        (b"\x03\0\0\0abc", 7, "8x", "Inference-Header-Content-Length is how many"),
        (b"\x03\0\0\0abc", 7, "99999", "of the body's"),
        (b"\x03\0\0\0abc", 7, "-1", "not '-1'"),
        (b"\x03\0\0\0abc", 7, "0", "a raw binary request is for models of one input"),
        (b"\x03\0\0\0abc", 6, None, "leave 1 bytes of the body over"),
        (b"\xff\xff\xff\xffabc", 7, None, "cut short or not strings: element 0 reaches beyond"),
        (b"\x03\0\0\0ab", 6, None, "element 0 reaches beyond"),
        (b"\x03\0\0", 3, None, "element 0 reaches beyond"),
        (b"\0\0\0\0" * 9, 36, None, "has 1 element, but its data has 2 or more"),
        (b"", 0, None, "has 1 element, but its data has 0"),
    ],
)
def test_binary_data_that_does_not_add_up(
    door: RunningDoor, fake: FakeTriton, data: bytes, size: int, length: str | None, words: str
) -> None:
    head = (BINARY % size).encode()
    answer = door.infer("classify", head + data, {"Inference-Header-Content-Length": length or str(len(head))})
    assert answer.status == 400
    assert words in answer.error
    assert fake.requests == []


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("[]", "a JSON object, not an array"),
        ('{"title": "Oil"}', "needs the input 'text'"),
        ('{"text": 5}', "holds strings, not a number"),
        ('{"text": [["a"]]}', "a value or an array of values, not of an array"),
        ('{"text": ["a", "b", "c", "d", "e"]}', "at most 4 rows"),
        ('{"text": []}', "has 1 element, but its data has 0"),
        ('{"text": "a", "parameters": {"text": "b"}}', "'text' comes twice"),
        ('{"text": "a", "parameters": 1}', "parameters of the request is an object"),
        ('{"text": "a", "other": []}', "true, false, a number or a string"),
        ('{"text": "a", "id": 1}', "the id of a request is a string"),
    ],
)
def test_generate_has_the_same_rules(door: RunningDoor, fake: FakeTriton, document: str, words: str) -> None:
    answer = door.ask("POST", "/v2/models/classify/generate", document)
    assert answer.status == 400
    assert words in answer.error
    assert fake.requests == []
