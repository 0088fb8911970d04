"""Runs optimum on a checkpoint, in a process of optimum's own environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from export.errors import CheckpointError
from export.graph.graph import OPSET
from export.progress import step

_WORKER: Final = Path(__file__).with_name("worker.py")
_WEIGHTS: Final = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin", "pytorch_model.bin.index.json")
_FOREIGN_KEYS: Final = ("transformers_version", "dtype", "torch_dtype", "auto_map")
"""Fields of a configuration that are removed: the weights become fp32, and no code of a checkpoint is run."""


def convert(checkpoint: Path, work: Path, python: Path) -> Path:
    """Have optimum write the fp32 graph of a sequence classifier.

    Args:
        checkpoint: A folder that ``save_pretrained`` of the exporter's own ``transformers`` wrote.
        work: An empty folder for the graph, with room for the weights in fp32, twice for a while. Optimum also needs
            about three times their size in memory.
        python: The interpreter that `environment.ensure_optimum` returned.

    Returns:
        The path of the graph, in ``work``: ``input_ids``, ``attention_mask`` and perhaps ``token_type_ids`` INT64
        (batch, length) -> ``logits`` FLOAT (batch, classes). Weights of 2 GB and more stand in a file beside it.

    Raises:
        CheckpointError: The folder lacks its configuration or weights, or optimum cannot export it; the message holds
            its reason.
    """
    source, output = work / "checkpoint", work / "optimum"
    _sanitized(checkpoint, source)
    command = [str(python), "-I", str(_WORKER), str(source), str(output), str(OPSET)]
    with step("writing the graph with optimum"):
        done = subprocess.run(  # noqa: S603 - the arguments are our own
            command, capture_output=True, text=True, check=False, env=_environment()
        )
    shutil.rmtree(source)
    graph = output / "model.onnx"
    if done.returncode or not graph.is_file():
        raise CheckpointError(
            f"optimum cannot write the graph of {checkpoint.name!r} ({_reason(done)}). It takes sequence classifiers "
            "of the families that optimum-onnx knows (its documentation lists them), complete as save_pretrained wrote "
            "them; write a graph in export/architectures/ for another family"
        )
    return graph


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:  # The worker was killed before it could write its reason.
        return f"signal {-done.returncode} ended it; 9 mostly means that the memory ran out"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {done.returncode}, without a message"


def _sanitized(checkpoint: Path, folder: Path) -> None:
    """Fill ``folder`` with a configuration that an older ``transformers`` can read, and links to the weights."""
    folder.mkdir()
    try:
        config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{checkpoint / 'config.json'} cannot be read ({error}); give the folder that save_pretrained wrote"
        ) from error
    kept = {key: value for key, value in config.items() if key not in _FOREIGN_KEYS}
    (folder / "config.json").write_text(json.dumps(kept), encoding="utf-8")
    files = [file for pattern in _WEIGHTS for file in checkpoint.glob(pattern)]
    if not files:
        raise CheckpointError(
            f"{checkpoint} has no weights (none of {', '.join(_WEIGHTS)}); save the whole model with save_pretrained"
        )
    for file in files:
        (folder / file.name).symlink_to(file.resolve())


def _environment() -> dict[str, str]:
    """The environment variables of the worker: none of this Python's, and no access to the network."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**kept, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
