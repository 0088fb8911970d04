"""What a server says of an answer beside it: its trace, and the id under which it can be rated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray


class Outputs(dict[str, NDArray[Any]]):
    """The tensors of an answer by name, and what was said beside it; transports may give any other mapping too."""

    def __init__(
        self, arrays: Mapping[str, NDArray[Any]], *, trace_id: str | None = None, prediction: str | None = None
    ) -> None:
        super().__init__(arrays)
        self.trace_id = trace_id
        self.prediction = prediction


def told_of(outputs: Mapping[str, NDArray[Any]]) -> dict[str, str | None]:
    """The fields of a report that the transport has told: ``trace_id`` and ``prediction``."""
    if not isinstance(outputs, Outputs):
        return {}
    return {"trace_id": outputs.trace_id, "prediction": outputs.prediction}
