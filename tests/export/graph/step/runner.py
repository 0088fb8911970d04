"""Runs the graphs of a step-by-step summarizer as plainly as can be: every tensor goes in, every tensor comes out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from engine.artefact import ENCODER, PLAIN, STEP, Artefact
from engine.article import Article, beginning, check, choices_of, wishes_of
from engine.settings import Bucket, Settings
from engine.tensors import NEXT

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int8)": np.int8, "tensor(bool)": np.bool_}


class Runner:
    """All slots in arrays; slots are begun at any time."""

    def __init__(
        self, artefact: Artefact, bucket: Bucket, *, native: Path | None = None, plain: bool = False, multiple: int = 8
    ) -> None:
        self.artefact, self.bucket, self.multiple = artefact, bucket, multiple
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        if native:
            options.register_custom_ops_library(str(native))
        providers = ["CPUExecutionProvider"]
        self.encoder = ort.InferenceSession(artefact.path(ENCODER), options, providers=providers)
        for name, size in bucket.sizes.items():
            options.add_free_dimension_override_by_name(name, size)
        self.step_ = ort.InferenceSession(artefact.path(PLAIN if plain else STEP), options, providers=providers)
        self._given = {one.name for one in self.encoder.get_inputs()}
        sizes = {one.name: one.shape for one in self.step_.get_inputs()} | self._stored()
        self.values: dict[str, npt.NDArray[Any]] = {
            one.name: np.zeros(sizes[one.name], _TYPES.get(one.type, np.int64)) for one in self.step_.get_inputs()
        }
        for name, row in (beginning(bucket, artefact.rules) | wishes_of(Settings(max_length=2), bucket)).items():
            if name in self.values:
                self.values[name][:] = row
        self.values["done"][:] = True
        if self.values["cross_mask"].dtype == np.bool_:
            self.values["cross_mask"][:, 0] = True

    def _stored(self) -> dict[str, list[int]]:
        """The shapes of what an article leaves, which native kernels choose."""
        found = self._read(np.array([self.artefact.rules.start_token], np.int32))
        return {name: [self.bucket.slots, *array.shape[1:]] for name, array in found.items()}

    def _read(self, tokens: npt.NDArray[np.int32]) -> dict[str, npt.NDArray[Any]]:
        size = self.bucket.source_length
        length = -(-len(tokens) // self.multiple) * self.multiple if "room" in self._given else size
        ids, mask = np.full((1, length), self.artefact.rules.pad_token, np.int32), np.zeros((1, length), np.int32)
        ids[0, : len(tokens)], mask[0, : len(tokens)] = tokens, 1
        feeds: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
        if "room" in self._given:
            feeds["room"] = np.array([size])
        names = [one.name for one in self.encoder.get_outputs()]
        return dict(zip(names, self.encoder.run(names, feeds), strict=True))

    def join(self, slot: int, article: Article) -> None:
        artefact, bucket = self.artefact, self.bucket
        check(article, bucket, artefact.rules, artefact.architecture.vocabulary)
        rows = {name: array[0] for name, array in self._read(article.ids).items()}
        rows |= wishes_of(article.settings, bucket) | choices_of(article, bucket, artefact.rules, artefact.spacing)
        rows |= beginning(bucket, artefact.rules)
        for name, row in rows.items():
            if name in self.values:
                self.values[name][slot] = row

    def step(self) -> None:
        names = [one.name for one in self.step_.get_outputs()]
        for name, array in zip(names, self.step_.run(names, self.values), strict=True):
            self.values[name.removesuffix(NEXT)] = array

    def summaries(self, articles: Sequence[Article]) -> npt.NDArray[np.int64]:
        """All of them side by side, INT64 (articles, target)."""
        for slot, article in enumerate(articles):
            self.join(slot, article)
        while not self.values["done"].all():
            self.step()
        return np.array(self.values["best_tokens"][: len(articles), 0])
