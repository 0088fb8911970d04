"""The sessions of a folder on a CPU, made once and shared by all executors of a process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from engine.artefact import ENCODER, PLAIN, STEP, Artefact
from engine.executor import UnavailableError
from engine.settings import Bucket

ROOM: Final = "room"
"""An input of the encoder, see `engine.artefact`."""
ENCODER_MULTIPLE: Final = 64
"""Articles are padded to a multiple of so many tokens, so that few shapes occur."""


class CpuGraphs:
    """Encoder and steps of one artefact. Sessions may run on several threads at a time, each run on its own thread."""

    def __init__(self, artefact: Artefact, operators: Path | None = None) -> None:
        """Read nothing yet.

        Args:
            artefact: The folder.
            operators: The library of native operators; None to compute int8 by the functions in the graphs.
        """
        self.artefact = artefact
        self._operators = operators
        self._lock = threading.Lock()
        self._sessions: dict[str, ort.InferenceSession] = {}

    def encoder(self) -> ort.InferenceSession:
        """Reads articles.

        Raises:
            UnavailableError: ONNX Runtime cannot run it here.
        """
        return self._session(ENCODER)

    def step(self) -> ort.InferenceSession:
        """Continues slots of all kinds.

        Raises:
            UnavailableError: As for `encoder`.
        """
        return self._session(STEP)

    def plain(self) -> ort.InferenceSession:
        """Continues slots that neither quote nor draw, where there is a graph for them; else `step`.

        Raises:
            UnavailableError: As for `encoder`.
        """
        return self._session(PLAIN if self.artefact.has_plain else STEP)

    @property
    def has_room(self) -> bool:
        """Whether the encoder pads what it writes to the room that it is told, in a layout of its own."""
        return any(node.name == ROOM for node in self.encoder().get_inputs())

    def read(
        self, ids: npt.NDArray[np.int32], seen: npt.NDArray[np.int32], bucket: Bucket
    ) -> dict[str, npt.NDArray[Any]]:
        """The feeds of the encoder for an article's tokens, and which of them are read, INT32 (tokens,) both."""
        length = self.padded(len(ids), bucket.source_length)
        padded = np.full((1, length), self.artefact.rules.pad_token, np.int32)
        mask = np.zeros((1, length), np.int32)
        padded[0, : len(ids)], mask[0, : len(ids)] = ids, seen
        feeds: dict[str, npt.NDArray[Any]] = {"input_ids": padded, "attention_mask": mask}
        if self.has_room:
            feeds[ROOM] = np.full(1, bucket.source_length, np.int64)
        return feeds

    def layout(self, bucket: Bucket) -> dict[str, tuple[int, ...]]:
        """Shapes of what the encoder writes in a layout of its own, for all slots, by name; empty if it has none."""
        if not self.has_room:
            return {}
        encoder, token = self.encoder(), np.full(1, self.artefact.rules.end_tokens[0], np.int32)
        names = [node.name for node in encoder.get_outputs()]
        found = encoder.run(names, self.read(token, np.ones_like(token), bucket))
        return {name: (bucket.slots, *array.shape[1:]) for name, array in zip(names, found, strict=True)}

    def padded(self, tokens: int, source_length: int) -> int:
        """The length at which an article of so many tokens is read."""
        window = self.artefact.architecture.window
        multiple = window if 0 < window < tokens else ENCODER_MULTIPLE
        longest = window if tokens <= window else source_length
        return min(-(-tokens // multiple) * multiple, longest, source_length)

    def _session(self, name: str) -> ort.InferenceSession:
        with self._lock:
            if name not in self._sessions:
                self._sessions[name] = self._open(self.artefact.path(name))
            return self._sessions[name]

    def _open(self, path: Path) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        try:
            if self._operators is not None:
                options.register_custom_ops_library(str(self._operators))
            return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise UnavailableError(
                f"ONNX Runtime {ort.__version__} cannot run {path} on a CPU ({error}): export the model in fp32 or "
                "int8, or install a newer release"
            ) from error
