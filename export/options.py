"""What to export, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from infolens.contract import CONTRACTS, AnswerKind, Task
from infolens.targets import Target

from .checkpoint.labels import Naming
from .errors import CheckpointError
from .graph.model_file import SPLIT_BYTES
from .graph.precision import LABELS, Precision, precisions_of
from .parity.tolerances import Tolerances
from .repository.artefact import extraction_in

_LONGEST_NAME: Final = 100


class Exporter(StrEnum):
    """The tool that writes the graph."""

    OWN = "own"
    """Our writer of the architecture, in `architectures`."""
    OPTIMUM = "optimum"
    """optimum, in an environment of its own; see `optimum`."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to export, and how."""

    task: Task
    checkpoint: str
    """A folder written by ``save_pretrained``, a hub id, or a registered model: ``models:/category@champion``."""
    tracking_uri: str = ""
    """The MLflow server or database of a registered model; empty for the default of `checkpoint_found`."""
    repository: Path = Path("model_repository")
    name: str = ""
    """The model's name in the repository; by default the one that the contract has for its architecture."""
    serve: bool = True
    """Whether the model answers its task from now on."""
    target: Target = Target.CPU
    """What the model is written for."""
    precision: Precision = Precision.INT8
    exporter: Exporter = Exporter.OWN
    max_tokens: int | None = None
    """Longest input to serve; by default the checkpoint's own limit."""
    window: int = 0
    """Tokens that the encoder reads at once, where a longer input consists of such windows; 0 for no windows."""
    style: str = "free"
    """How a summarizer writes where a request does not say it: ``free`` or ``extractive``."""
    extraction: str = "search"
    """How it comes to quote only: see `Artefact.extraction`, and `served_extraction`."""
    num_beams: int = 2
    """The width of its search where a request does not say it."""
    max_length: int = 80
    """The most tokens of its summaries where a request does not say it."""
    form: str = "loop"
    """How a summarizer is computed: see `Artefact.form`."""
    naming: Naming | None = None
    """Names for the classes of a classifier."""
    replace: bool = False
    """Overwrite the newest version instead of adding one."""
    compared: bool = True
    """Whether nothing is published that does not answer as its checkpoint does; see `uncompared` for when it is not."""
    tolerances: Tolerances = field(default_factory=Tolerances)
    split_bytes: int = SPLIT_BYTES
    """Weights of this size and more stand in a file beside the graph."""

    def __post_init__(self) -> None:
        if self.name and not (self.name.isidentifier() and self.name.isascii() and len(self.name) <= _LONGEST_NAME):
            raise CheckpointError(
                f"a model's name is made of at most {_LONGEST_NAME} letters, digits and underscores, not {self.name!r}"
            )
        writes_texts = CONTRACTS[self.task].answers is AnswerKind.TEXT
        known = precisions_of(self.form if writes_texts else LABELS)
        if self.precision not in known:
            raise CheckpointError(
                f"a model of the form {self.form} has the precision {', '.join(known)}, not {self.precision}"
            )
        fault = self.target.record.fault(precision=self.precision, writes_texts=writes_texts, form=self.form)
        # Whatever runs on CPUs or not may be written without a target, but a classifier's graph is for one alone.
        if fault and (self.target.record.on_gpu or not writes_texts):
            raise CheckpointError(
                f"no {self.task} can be exported so for the target {self.target}: {fault}; name another --target or "
                "--precision, or leave out what differs"
            )

    @property
    def served_extraction(self) -> str:
        """How a summarizer of the form comes to quote only."""
        return extraction_in(self.form, self.extraction)

    def model_name(self, model_type: str) -> str:
        """The name that a checkpoint of this architecture gets in the repository."""
        return self.name or CONTRACTS[self.task].model_name(model_type)
