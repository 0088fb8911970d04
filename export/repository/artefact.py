"""``artefact.json``: the facts about an exported model, stored beside it. The configuration is generated from them."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from export.errors import RepositoryError
from export.lineage import Lineage
from infolens.contract import CONTRACTS, SUMMARY_SETTINGS, Task
from infolens.targets import Target

FILE_NAME: Final = "artefact.json"
BEAMS, LENGTH = (
    next(setting for setting in SUMMARY_SETTINGS if setting.name == name) for name in ("num_beams", "max_length")
)
"""The settings of a request whose defaults belong to the model."""
CHOICE: Final = "choice"
EXTRACTIONS: Final = ("search", "nearest", CHOICE)
WITHOUT_CHOICE: Final = (
    "a model in steps has no head that chooses sentences: a summary that quotes is made of a draft, with the sentences "
    "that are nearest to it (extraction nearest)"
)
_INSTEAD: Final[dict[str, dict[str, str]]] = {"loop": {}, "step": {CHOICE: "nearest"}}
"""What the forms do instead of the extractions that they lack."""
FORMS: Final = tuple(_INSTEAD)
STYLES: Final = next(setting.choices for setting in SUMMARY_SETTINGS if setting.name == "style")
_WAY_OUT: Final = "export the model again, or delete its folders"


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """Facts about one version of an exported model."""

    task: str
    architecture: str
    """Name of the class in ``transformers``."""
    model_type: str
    """The architecture, as in the checkpoint's ``config.json``."""
    precision: str
    checkpoint: str
    """Folder name or hub id of the checkpoint."""
    max_tokens: int
    """Longest input, special tokens included."""
    vocabulary: int
    parameters: int
    """Number of weights of the checkpoint."""
    padding_side: str
    pad_id: int
    pad_type_id: int
    token_types: bool
    """Whether the graph has the input ``token_type_ids``."""
    labels: tuple[str, ...] = ()
    """The labels of a classifier, in the order of its classes."""
    temperature: float = 1.0
    """What the logarithms of a classifier's probabilities are divided by before they decide whether it is sure."""
    threshold: float = 0.0
    """A classifier is sure from this largest calibrated probability on; 0: always, as before it was calibrated."""
    calibration: dict[str, Any] = field(default_factory=dict)
    """How temperature and threshold were found: the rule, the collections, what of them was held out (``held_out``; a
    half where it is not said), and the figures of each; empty where they were not."""
    target: str = Target.CPU.value
    """What its graphs were written for, one of `Target`; those of a summarizer in steps are the same for all."""
    quotes: bool = False
    """Whether the graph of a text's task can quote the article only, and sample: it has the inputs for both."""
    style: str = "free"
    """How the texts are written where a request does not say it, one of the choices of that setting."""
    extraction: str = "search"
    """How texts come to quote only: the search of the graph is bound to (``search``), or it writes a draft, and the
    article's sentences that are nearest to it are taken (``nearest``), or a head says of each word of the article
    whether it belongs into the summary, nothing is written, and the best set of sentences is taken (``choice``)."""
    num_beams: int = 2
    """The width of the search where a request does not say it."""
    max_length: int = int(LENGTH.default)
    """The most tokens of a summary where a request does not say it."""
    form: str = "loop"
    """How a text's task is computed: by one graph with the search in it (``loop``), or by an engine that runs a graph
    for each step of the search (``step``), with slots for articles that come and go. Labels have no search, and are of
    the first form."""
    window: int = 0
    """Longer inputs are laid out in windows of so many tokens, which the graph encodes one by one; 0 for none."""
    exporter: str = "own"
    """The tool that wrote the graph: ``own`` or ``optimum``."""
    parity: dict[str, float] = field(default_factory=dict)
    """The measured values of the parity check at the export."""
    packages: dict[str, str] = field(default_factory=dict)
    """Versions of the packages with which it was exported."""
    lineage: Lineage | None = None
    """Where its checkpoint comes from; None in artefacts of before, which do not say."""

    def with_parity(self, figures: dict[str, float]) -> Artefact:
        """The same facts with the measured values of a parity check."""
        return replace(self, parity=figures)

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps(asdict(self), indent=2) + "\n"


def extraction_in(form: str, extraction: str) -> str:
    """How texts of a form come to quote only, where ``extraction`` is asked for: steps write drafts and do not choose.

    Args:
        form: One of `FORMS`.
        extraction: One of `EXTRACTIONS`.
    """
    return _INSTEAD[form].get(extraction, extraction)


def _with_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """The facts of an artefact; the oldest artefacts lack the fields that followed from the architecture."""
    if "model_type" in document:
        return document
    # Imported here, because it needs onnx, and only the oldest artefacts need it.
    from export.architectures import architectures

    record = next((one for one in architectures().values() if one.model_class == document.get("architecture")), None)
    if record is None or document.get("task") not in CONTRACTS:
        return document
    labels = CONTRACTS[Task(document["task"])].default_labels
    return {**document, "model_type": record.model_type, "token_types": record.token_types, "labels": labels}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_reading(artefact: Artefact) -> None:
    if type(artefact.quotes) is not bool or artefact.style not in STYLES:
        raise ValueError(f"quotes is true or false and style {' or '.join(STYLES)}, not {artefact.style!r}")
    if artefact.style != STYLES[0] and not artefact.quotes:
        raise ValueError(f"style {artefact.style} needs a graph with quotes")
    for setting, value in ((BEAMS, artefact.num_beams), (LENGTH, artefact.max_length)):
        if type(value) is not int or not setting.minimum <= value <= setting.maximum:
            raise ValueError(f"{setting.name} is {setting.rule}, not {value!r}")
    if artefact.extraction not in EXTRACTIONS:
        raise ValueError(f"extraction is {' or '.join(EXTRACTIONS)}, not {artefact.extraction!r}")
    if artefact.target not in list(Target):
        raise ValueError(f"target is {' or '.join(Target)}, not {artefact.target!r}")
    if artefact.form not in FORMS:
        raise ValueError(f"form is {' or '.join(FORMS)}, not {artefact.form!r}")
    if extraction_in(artefact.form, artefact.extraction) != artefact.extraction:
        raise ValueError(f"a model of the form {artefact.form} has no extraction {artefact.extraction!r}")
    if type(artefact.window) is not int or artefact.window < 0 or artefact.max_tokens % (artefact.window or 1):
        raise ValueError(f"window divides max_tokens ({artefact.max_tokens}) or is 0, not {artefact.window!r}")


def read_artefact(path: Path) -> Artefact:
    """Read an ``artefact.json``.

    Raises:
        RepositoryError: The file is missing, broken, of an earlier version, or of a task that is not registered.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        artefact = Artefact(**_with_defaults(document))
        origin = document.get("lineage")
        lineage = None if origin is None else Lineage.of_document(origin)
        artefact = replace(artefact, labels=tuple(artefact.labels), lineage=lineage)
        if not all(isinstance(label, str) for label in artefact.labels) or isinstance(document.get("labels"), str):
            raise ValueError(f"labels are texts, not {document['labels']!r}")
        if type(artefact.max_tokens) is not int or artefact.max_tokens < 1:
            raise ValueError(f"max_tokens is a whole number above 0, not {artefact.max_tokens!r}")
        if not (_is_number(artefact.temperature) and artefact.temperature > 0):
            raise ValueError(f"temperature is a number above 0, not {artefact.temperature!r}")
        if not (_is_number(artefact.threshold) and 0 <= artefact.threshold <= 1):
            raise ValueError(f"threshold lies between 0 and 1, not {artefact.threshold!r}")
        _check_reading(artefact)
    except FileNotFoundError as error:
        raise RepositoryError(f"{path} is missing; {_WAY_OUT}") from error
    except (ValueError, TypeError) as error:
        raise RepositoryError(f"{path} cannot be read ({error}); {_WAY_OUT}") from error
    if artefact.task not in CONTRACTS:
        raise RepositoryError(
            f"{path} is of the task {artefact.task!r}, and there are {', '.join(CONTRACTS)}: register it in "
            "clients/infolens/contract.py, or delete its models' folders"
        )
    return artefact
