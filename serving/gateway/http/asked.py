"""KServe's request over HTTP, JSON with or without binary parts, to what is checked and sent on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tritonclient.grpc import service_pb2

from serving.gateway.catalogue import CatalogueModel
from serving.gateway.checking import (
    SEQUENCE,
    InferRequestView,
    InputView,
    OutputView,
    check_request,
)
from serving.gateway.configuration import GatewayLimits
from serving.gateway.refusals import invalid

from .documents import kind, parse
from .tensors import pack

BINARY: Final = "binary_data"
_BINARY_SIZE: Final = "binary_data_size"
_BINARY_OUTPUT: Final = "binary_data_output"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that passed all checks."""

    message: Any
    """The ``ModelInferRequest``."""
    view: InferRequestView
    binary: frozenset[str] = frozenset()
    """The outputs that go back as binary data."""
    all_binary: bool = False
    """Whether all do, where the request names none."""


def read_infer(
    body: bytes, header_length: str | None, model: CatalogueModel, version: str, limits: GatewayLimits
) -> Asked:
    """A request of ``/infer``.

    Args:
        body: The JSON, and after it the binary data of the inputs, one after the other.
        header_length: The header ``Inference-Header-Content-Length``: how many bytes the JSON has; None is all.
        model: The model that is asked.
        version: Its version; empty is the newest.
        limits: What the door takes.

    Raises:
        RefusedError: It breaks a rule.
    """
    length = _header_length(header_length, len(body))
    document = parse(memoryview(body)[:length] if length < len(body) else body, max_depth=limits.max_json_depth)
    rest = memoryview(body)[length:]
    if "inputs" not in document:
        raise invalid(
            'a request has its tensors in "inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": '
            '["..."]}]; plain JSON, {"text": "..."}, goes to /v1/analyze'
        )
    inputs = []
    for place, given in enumerate(_list(document, "inputs", limits.max_inputs)):
        one, used = _input(given, place, rest)
        rest = rest[used:]
        inputs.append(one)
    if rest:
        raise invalid(f"the inputs' {_BINARY_SIZE} leave {len(rest)} bytes of the body over: they must add up to all")
    parameters = dict(_object(document, "parameters", "the request"))
    all_binary = _flag(parameters, _BINARY_OUTPUT)
    outputs, binary = [], set()
    for place, wanted in enumerate(_list(document, "outputs", limits.max_outputs)):
        name = _name(wanted, f"outputs[{place}]")
        own = dict(_object(wanted, "parameters", f"output '{name[:60]}'"))
        if _flag(own, BINARY):
            binary.add(name)
        outputs.append(OutputView(name=name, parameters=own))
    view = InferRequestView(id=_id(document), inputs=inputs, outputs=outputs, parameters=parameters)
    return make(view, model, version, limits, binary=frozenset(binary), all_binary=all_binary)


def make(
    view: InferRequestView,
    model: CatalogueModel,
    version: str,
    limits: GatewayLimits,
    *,
    binary: frozenset[str] = frozenset(),
    all_binary: bool = False,
) -> Asked:
    """Check a request, and make the message that Triton gets.

    Raises:
        RefusedError: It breaks a rule.
    """
    check_request(model, view, limits)
    message = service_pb2.ModelInferRequest(model_name=model.name, model_version=version, id=view.id)
    for given in view.inputs:
        message.inputs.add(name=given.name, datatype=given.datatype, shape=given.shape)
        message.raw_input_contents.append(bytes(given.data or b""))
    for wanted in view.outputs:
        _set(message.outputs.add(name=wanted.name).parameters, wanted.parameters)
    _set(message.parameters, view.parameters)
    return Asked(message=message, view=view, binary=binary, all_binary=all_binary)


def _set(target: Any, parameters: Mapping[str, Any]) -> None:
    for name, value in parameters.items():
        if name in SEQUENCE or name == "priority":  # of no effect on any model here
            continue
        fields = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}
        try:
            setattr(target[name], fields[type(value)], value)
        except UnicodeEncodeError:
            raise invalid("a parameter has half a surrogate pair, which is no character") from None


def _header_length(header: str | None, size: int) -> int:
    if header is None:
        return size
    if not (header.isascii() and header.isdecimal() and len(header) < 12) or int(header) > size:
        raise invalid(
            f"Inference-Header-Content-Length is how many of the body's {size} bytes are JSON, not '{header[:40]}'"
        )
    if int(header) == 0:
        raise invalid("a raw binary request is for models of one input: send JSON before the binary data")
    return int(header)


def _input(given: Any, place: int, rest: memoryview) -> tuple[InputView, int]:
    """One input, and how many bytes of the binary data are its."""
    name = _name(given, f"inputs[{place}]")
    where = f"input '{name[:60]}'"
    shape, datatype = given.get("shape"), given.get("datatype")
    if not isinstance(shape, list) or not all(type(length) is int for length in shape) or len(shape) > 32:
        raise invalid(f"{where} has a shape, an array of whole numbers, not {_words(shape)}")
    if not isinstance(datatype, str):
        raise invalid(f"{where} has a datatype such as BYTES or FP32, not {_words(datatype)}")
    parameters = dict(_object(given, "parameters", where))
    data = given.get("data")
    if _BINARY_SIZE in parameters:
        size = parameters.pop(_BINARY_SIZE)
        if data is not None:
            raise invalid(f"{where} has data or {_BINARY_SIZE}, not both")
        if type(size) is not int or not 0 <= size <= len(rest):
            raise invalid(f"{where} has the {_BINARY_SIZE} {_words(size)}, but {len(rest)} bytes of the body are left")
        content: bytes | memoryview = rest[:size]
        used = size
    elif isinstance(data, list):
        content, used = pack(name[:60], datatype, data), 0
    else:
        raise invalid(f"{where} has data, an array, not {_words(data)}")
    view = InputView(name=name, datatype=datatype, shape=tuple(shape), data=content, parameters=parameters)
    return view, used


def _list(document: Mapping[str, Any], name: str, limit: int) -> list[Any]:
    found = document.get(name, [])
    if not isinstance(found, list):
        raise invalid(f"{name} of a request is an array, not {kind(found)}")
    if len(found) > limit:
        raise invalid(f"a request has at most {limit} {name}, not {len(found)}")
    return found


def _object(document: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    found = document.get(name, {})
    if not isinstance(found, dict):
        raise invalid(f"{name} of {where} is an object, not {kind(found)}")
    return found


def _name(document: Any, where: str) -> str:
    if not isinstance(document, dict):
        raise invalid(f"{where} is an object with a name, not {kind(document)}")
    name = document.get("name")
    if not isinstance(name, str) or not name:
        raise invalid(f"{where} has a name, a string, not {_words(name)}")
    return name


def _id(document: Mapping[str, Any]) -> str:
    found = document.get("id", "")
    if not isinstance(found, str):
        raise invalid(f"the id of a request is a string, not {kind(found)}")
    try:
        found.encode()
    except UnicodeEncodeError:
        raise invalid("the id of a request has half a surrogate pair, which is no character") from None
    return found


def _flag(parameters: dict[str, Any], name: str) -> bool:
    """Take a boolean parameter out, false where it is absent."""
    value = parameters.pop(name, False)
    if not isinstance(value, bool):
        raise invalid(f"the parameter {name} is true or false, not {kind(value)}")
    return value


def _words(value: object) -> str:
    return str(value)[:40] if type(value) in (int, float) else kind(value)
