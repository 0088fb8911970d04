"""What the door adds to Triton's configuration of an ensemble: which model answers its task, and whence it comes."""

from __future__ import annotations

import json
from typing import Any

from infolens.contract import SERVED_PARAMETER

from .models import Served


async def with_served(config: Any, served: Served) -> Any:
    """A configuration with the parameter `SERVED_PARAMETER`, whose text is JSON: what ``/v1/models`` says of the model.

    So callers of gRPC are told the revision too. A configuration of any other model stays as it is.

    Args:
        config: The protobuf ``ModelConfig``, which is changed.
        served: The models of all tasks.

    Raises:
        RefusedError: Triton cannot be asked now.
    """
    for one in (await served.tasks()).values():
        if one.ensemble == config.name:
            config.parameters[SERVED_PARAMETER].string_value = json.dumps(one.document, ensure_ascii=False)
    return config
