"""Triton's ``/generate``: one flat JSON object in, named as the model's inputs are, and one out."""

from __future__ import annotations

import math
from typing import Any, Final

from serving.gateway.catalogue import CatalogueModel, CatalogueTensor
from serving.gateway.checking import InferRequestView, InputView
from serving.gateway.configuration import GatewayLimits
from serving.gateway.refusals import invalid

from .answered import read_parameters
from .asked import Asked, make
from .documents import dump, kind, parse
from .tensors import pack, unpack

_PARAMETERS: Final = "parameters"


def read_generate(body: bytes, model: CatalogueModel, version: str, limits: GatewayLimits) -> Asked:
    """A request of ``/generate``: ``{"text": "...", "title": "...", "parameters": {...}}``.

    What is named as an input is one, a value or an array of one for each row; ``id`` is the request's; all other names,
    and those of ``parameters``, are inputs or request parameters.

    Raises:
        RefusedError: It breaks a rule.
    """
    document = parse(body, max_depth=limits.max_json_depth)
    nested = document.pop(_PARAMETERS, {})
    if not isinstance(nested, dict):
        raise invalid(f"parameters of the request is an object, not {kind(nested)}")
    if both := sorted(document.keys() & nested.keys()):
        raise invalid(f"'{both[0][:60]}' comes twice, beside parameters and in it: send it once")
    values = document | nested
    identity = values.pop("id", "") if "id" not in model.inputs else ""
    if not isinstance(identity, str):
        raise invalid(f"the id of a request is a string, not {kind(identity)}")
    inputs = [_input(model, model.inputs[name], values.pop(name)) for name in list(values) if name in model.inputs]
    view = InferRequestView(id=identity, inputs=inputs, parameters=values)
    return make(view, model, version, limits)


def write_generate(response: Any) -> bytes:
    """The body of an answer of ``/generate``: outputs of one element as values, all others as flat arrays."""
    document: dict[str, Any] = {"model_name": response.model_name, "model_version": response.model_version}
    if response.id:
        document["id"] = response.id
    document |= read_parameters(response)
    for output, data in zip(response.outputs, response.raw_output_contents, strict=True):
        values = unpack(output.datatype, data)
        document[output.name] = values[0] if len(values) == 1 else values
    return dump(dict(sorted(document.items())))


def _input(model: CatalogueModel, tensor: CatalogueTensor, value: Any) -> InputView:
    values = value if isinstance(value, list) else [value]
    if nested := next((one for one in values if isinstance(one, list | dict)), None):
        raise invalid(f"input '{tensor.name}' is a value or an array of values, not of {kind(nested)}")
    count = len(values)
    dims = list(tensor.dims)
    fixed = math.prod(dim for dim in dims if dim > 0)
    if -1 in dims:
        dims[dims.index(-1)] = max(1, count // fixed)
        fixed = math.prod(dims)
    shape = [max(1, count // fixed), *dims] if model.max_batch_size else dims
    return InputView(
        name=tensor.name,
        datatype=tensor.datatype,
        shape=tuple(shape),
        data=pack(tensor.name, tensor.datatype, values),
    )
