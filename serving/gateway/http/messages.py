"""Protobuf messages as Triton's HTTP endpoint shows them: every field by its own name, and 64-bit integers as numbers.

protobuf's own JSON would write those as strings, which clients of Triton do not expect.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def to_json(message: Message) -> dict[str, Any]:
    """A message as a JSON object; messages that are not set are left out, numbers and strings never."""
    document: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.is_repeated:
            document[field.name] = _repeated(field, value)
        elif field.message_type is not None:
            if message.HasField(field.name):
                document[field.name] = to_json(value)
        elif field.containing_oneof is None or message.HasField(field.name):
            document[field.name] = _scalar(field, value)
    return document


def _repeated(field: FieldDescriptor, value: Any) -> Any:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        of = kind.fields_by_name["value"]
        return {str(key): _one(of, value[key]) for key in sorted(value)}
    return [_one(field, one) for one in value]


def _one(field: FieldDescriptor, value: Any) -> Any:
    return to_json(value) if field.message_type is not None else _scalar(field, value)


def _scalar(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
