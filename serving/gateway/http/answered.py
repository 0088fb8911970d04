"""Triton's answer as KServe's over HTTP: JSON, and the outputs that were asked for as binary data after it."""

from __future__ import annotations

from typing import Any

from .asked import BINARY, Asked
from .documents import dump
from .tensors import unpack


def write_infer(response: Any, asked: Asked) -> tuple[bytes, int | None]:
    """The body of an answer of ``/infer``.

    Args:
        response: The ``ModelInferResponse``.
        asked: What it answers.

    Returns:
        The body, and how many bytes of it are JSON when binary data comes after it; else None.
    """
    outputs, parts = [], []
    named = bool(asked.view.outputs)
    for output, data in zip(response.outputs, response.raw_output_contents, strict=True):
        one: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": list(output.shape)}
        if (output.name in asked.binary) if named else asked.all_binary:
            one["parameters"] = {f"{BINARY}_size": len(data)}
            parts.append(data)
        else:
            one["data"] = unpack(output.datatype, data)
        outputs.append(one)
    document: dict[str, Any] = {"id": response.id} if response.id else {}
    document |= {"model_name": response.model_name, "model_version": response.model_version}
    if parameters := read_parameters(response):
        document["parameters"] = parameters
    head = dump({**document, "outputs": outputs})
    return (b"".join([head, *parts]), len(head)) if parts else (head, None)


def read_parameters(response: Any) -> dict[str, Any]:
    """The parameters of an answer."""
    found = {}
    for name in sorted(response.parameters):
        value = response.parameters[name]
        if which := value.WhichOneof("parameter_choice"):
            found[name] = getattr(value, which)
    return found
