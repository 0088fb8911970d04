"""What the elements of outputs stand for: the label files of the models, found through the models in front of them.

Triton names the classes of an ensemble's output, since it knows which step gives it; of a model that asks others itself
(``fan_out``) it knows nothing. Here both find the same file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

_BRANCH: Final = "branch."
_MAX_STEPS: Final = 8
"""Models that stand one behind the other; more is a circle."""


def read_labels(
    repository: Path, configs: Mapping[str, Any], versions: Mapping[str, Collection[str]]
) -> Callable[[str, str], tuple[str, ...]]:
    """What tells the labels of an output.

    Args:
        repository: The folder that holds a folder for each model.
        configs: The protobuf ``ModelConfig`` of each model that is loaded.
        versions: The versions of each that are served.

    Returns:
        A function of model and output; it returns an empty tuple where no model says.
    """
    read: dict[Path, tuple[str, ...]] = {}

    def labels(model: str, output: str) -> tuple[str, ...]:
        source = _source(configs, model, output)
        if source is None:
            return ()
        owner, file = source
        newest = max(versions[owner], key=lambda version: int(version) if version.isdecimal() else 0, default="")
        # As the backend `labels` does: the version's own, else the model's.
        for path in (repository / owner / newest / file, repository / owner / file):
            if path not in read and path.is_file():
                lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                read[path] = tuple(line.strip() for line in lines)
            if path in read:
                return read[path]
        return ()

    return labels


def _source(configs: Mapping[str, Any], model: str, output: str) -> tuple[str, str] | None:
    """The model that makes an output, and the name of its label file; None where it has none."""
    for _ in range(_MAX_STEPS):
        config = configs.get(model)
        if config is None:
            return None
        own = next((one.label_filename for one in config.output if one.name == output), "")
        if own:
            return model, own
        following = _behind(config, output)
        if following is None:
            return None
        model, output = following
    return None


def _behind(config: Any, output: str) -> tuple[str, str] | None:
    """The model from which another one takes an output, and what it is called there."""
    for step in config.ensemble_scheduling.step:
        for name, tensor in step.output_map.items():
            if tensor == output:
                return step.model_name, name
    for key, value in config.parameters.items():
        if key.startswith(_BRANCH) and output in json.loads(value.string_value).get("outputs", ()):
            return key.removeprefix(_BRANCH), output
    return None
