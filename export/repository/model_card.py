"""The card of an exported model: ``README.md`` in its folder, which says what it is, where it comes from, and no more.

The newest version's card lies in the model's folder; when a newer one comes, it goes into the folder of its version,
where it waits to come back. People may write a card by hand: an export keeps it in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from export.errors import RepositoryError
from export.lineage import Lineage, Source
from export.reference import read_reference, with_row
from infolens.contract import CONTRACTS, AnswerKind, Task
from infolens.targets import Target

from .artefact import FILE_NAME, Artefact
from .targets.fitting import why_not

CARD: Final = "README.md"
PICTURE: Final = "calibration.png"
BEGIN: Final = "<!-- calibration: begin -->"
END: Final = "<!-- calibration: end -->"
"""Between these marks a card tells of its calibration."""
HEADING: Final = "## When it is sure"
KEPT: Final = (CARD, PICTURE)
"""The files that belong to the card of one version."""
_BAR: Final = r"\|"
"""A bar in a cell of a table, as it must be written there."""
UNKNOWN: Final = "No test figures are known"

_LIMITS: Final[Mapping[AnswerKind, tuple[str, ...]]] = {
    AnswerKind.TEXT: (
        "In the style `free` a text may say what the article does not: check it. In `extractive` a sentence out of "
        "its place can still mislead.",
    ),
    AnswerKind.LABELS: ("Every article gets one of these labels, also one that fits none of them.",),
}
_OF_TASK: Final[Mapping[str, tuple[str, ...]]] = {
    Task.VERACITY: (
        "It is **not a fact check**: it compares the wording of an article with that of articles which others once "
        "labelled, and knows nothing of the world.",
    )
}
_PLACES: Final[Mapping[Target, str]] = {
    Target.CPU: "CPUs",
    Target.CUDA: "NVIDIA's GPUs (`--target cuda`)",
    Target.TENSORRT: "NVIDIA's GPUs with TensorRT (`--target tensorrt`)",
}
_FOUND: Final[Mapping[Source, str]] = {
    Source.REGISTRY: "an MLflow model registry",
    Source.TRAINING: "a checkpoint's folder, with the files of its training",
    Source.HUB: "the Hugging Face hub",
    Source.FOLDER: "a folder that says nothing of how it was trained",
}


def card_text(name: str, version: int, artefact: Artefact) -> str:
    """The card of a version that was not calibrated, in Markdown.

    Args:
        name: The model's name in the repository.
        version: The version's number.
        artefact: The facts about it, which are all that the card says.
    """
    contract, lineage = CONTRACTS[Task(artefact.task)], artefact.lineage or Lineage(source=Source.FOLDER)
    rows = {
        "Answers": _answers(artefact),
        "Architecture": f"{artefact.architecture}, {artefact.parameters / 1e6:.1f} M parameters, a vocabulary of "
        f"{artefact.vocabulary:,} tokens",
        "Reads": _reads(artefact),
        "Served as": f"ONNX, {artefact.precision}",
        "Runs on": _runs_on(artefact),
        **_origin(artefact, lineage),
    }
    limits = [*_OF_TASK.get(artefact.task, ()), *_LIMITS[contract.answers]]
    if lineage.source in (Source.HUB, Source.FOLDER):
        limits.append("What it was trained on is not known here, so neither is where it can be trusted.")
    limits.append(f"It reads {artefact.max_tokens} tokens of an article at most; the rest it never sees.")
    return "\n".join(
        [
            f"# {name}: the {artefact.task} of an article",
            "",
            _mark(version),
            "",
            "| | |",
            "|---|---|",
            *(f"| {title} | {text.replace('|', _BAR)} |" for title, text in rows.items()),
            "",
            "## Figures",
            "",
            *_figures(artefact, lineage, version),
            "",
            *_uncalibrated(contract.answers, name, artefact.task),
            "## Limits",
            "",
            *(f"- {limit}" for limit in limits),
            "",
        ]
    )


def came_from(lineage: Lineage) -> str:
    """Where a model comes from and how good it is, in a line."""
    registered = f"version {lineage.registered_version} of {lineage.registered_model}"
    parts = (
        registered if lineage.registered_version else _FOUND[lineage.source],
        f"run {lineage.run_id}" if lineage.run_id else "",
        lineage.headline or f"{UNKNOWN[0].lower()}{UNKNOWN[1:]}",
    )
    return ", ".join(part for part in parts if part)


def cards_of(
    repository: Path, name: str, before: int, version: int, artefact: Artefact, reference: str = ""
) -> dict[str, bytes]:
    """The files of cards once a version is published, by their path in the repository.

    Args:
        repository: The model repository, as it is before.
        name: The model.
        before: Its newest version until now, whose card is kept in that version's folder; 0 or ``version`` where there
            is none to keep.
        version: The version that is published.
        artefact: The facts about it.
        reference: The text of its ``reference.json``; empty where it has none.
    """
    files = {f"{name}/{CARD}": with_row(card_text(name, version, artefact), version, reference).encode()}
    if before not in (0, version):
        here = (file for file in KEPT if (repository / name / file).is_file())
        files |= {f"{name}/{before}/{file}": (repository / name / file).read_bytes() for file in here}
    return files


def cards_after_removal(
    repository: Path, name: str, removed: int, now: int, artefact: Artefact
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """The files of cards that come and those that go when a version is removed, by their path in the repository.

    Args:
        repository: The model repository.
        name: The model.
        removed: The version that goes.
        now: The one before it, whose card comes back; where it has none, and that of the folder is the removed
            version's, one is written.
        artefact: The facts about that one.
    """
    kept = {file: repository / name / str(now) / file for file in KEPT}
    files = {f"{name}/{file}": path.read_bytes() for file, path in kept.items() if path.is_file()}
    gone = tuple(f"{name}/{now}/{file}" for file, path in kept.items() if path.is_file())
    if not files:
        card = repository / name / CARD
        if not card.is_file() or _mark(removed) not in card.read_text(encoding="utf-8"):
            return {}, ()  # It is of neither: there is none, or it was written by hand before versions had their own.
        text = with_row(card_text(name, now, artefact), now, read_reference(repository / name / str(now)))
        files = {f"{name}/{CARD}": text.encode()}
    if f"{name}/{PICTURE}" not in files:
        gone += (f"{name}/{PICTURE}",)
    return files, gone


def with_section(card: str, text: str) -> str:
    """A card with its section about calibration: in place of the one that it has, or before its limits, or at its end.

    Raises:
        RepositoryError: The card has one mark without the other.
    """
    if (BEGIN in card) != (END in card):
        raise RepositoryError(f"the model's {CARD} has only one of {BEGIN} and {END}: delete it, or add the other")
    if BEGIN in card:
        before, _, rest = card.partition(BEGIN)
        return before + text.rstrip("\n") + rest.partition(END)[2]
    before, limits, after = card.partition("\n## Limits\n")
    return f"{before.rstrip()}\n\n{text}{limits}{after}"


def _mark(version: int) -> str:
    return f"Version {version}. `python -m export` wrote this card from what it knows of the checkpoint."


def _answers(artefact: Artefact) -> str:
    if not artefact.labels:
        return f"a text, by default in the style `{artefact.style}`"
    return f"one of {', '.join(artefact.labels)}, with {len(artefact.labels)} probabilities"


def _reads(artefact: Artefact) -> str:
    contract = CONTRACTS[Task(artefact.task)]
    windows = f", in windows of {artefact.window}" if artefact.window else ""
    return f"{' and '.join(contract.reads)}, **{artefact.max_tokens}** tokens at most{windows} (special ones included)"


def _runs_on(artefact: Artefact) -> str:
    """What it can be served on, by the options of ``python -m serving``, and why not on the others."""
    faults = {target: why_not(artefact, target) for target in Target}
    if artefact.labels and artefact.target != Target.CPU and not faults[Target.CPU]:
        faults[Target.CPU] = f"its graph was written for {artefact.target}"
    there = [_PLACES[target] for target, fault in faults.items() if not fault]
    others = [f"not with `--target {target}`: {fault}" for target, fault in faults.items() if fault]
    return "; ".join([" and ".join(there) or "nothing", *others])


def _origin(artefact: Artefact, lineage: Lineage) -> dict[str, str]:
    """The rows that say where it comes from, as far as that is known."""
    version, model = lineage.registered_version, lineage.registered_model
    splits = ", ".join(f"{count:,} {split.replace('_', ' ')}" for split, count in lineage.articles.items())
    hashes = ", ".join(f"{split.replace('_', ' ')} `{digest[:16]}`" for split, digest in lineage.data_hash.items())
    parts = (f"`{lineage.data}`" if lineage.data else "", splits, f"hashes: {hashes}" if hashes else "")
    data = "; ".join(part for part in parts if part)
    rows = {
        "Checkpoint": f"`{artefact.checkpoint}`, from {_FOUND[lineage.source]}",
        "Registered as": f"version **{version}** of `{model}`" if version else "",
        "Run": f"`{lineage.run_id}`" if lineage.run_id else "",
        "Base": _base(lineage),
        "Teacher": f"`{lineage.teacher}`" if lineage.teacher else "",
        "Licence": lineage.licence or _licence(lineage),
        "Data": data,
        "Recipe": f"SHA-256 `{lineage.recipe_hash}`" if lineage.recipe_hash else "",
        "Code": f"revision `{lineage.git_revision}`" if lineage.git_revision else "",
    }
    return {title: text for title, text in rows.items() if text}


def _base(lineage: Lineage) -> str:
    if lineage.base == "starter":
        return "none: trained from scratch"
    commit = f", commit `{lineage.base_revision}`" if lineage.base_revision else ""
    return f"`{lineage.base}`{commit}" if lineage.base else ""


def _licence(lineage: Lineage) -> str:
    if lineage.base in ("", "starter"):
        return ""
    return f"not recorded here: that of `{lineage.base}` stands in its own card"


def _figures(artefact: Artefact, lineage: Lineage, version: int) -> list[str]:
    check = f"How near its answers are to the checkpoint's is in `{version}/{FILE_NAME}` (`parity`)."
    if not lineage.test:
        return [
            f"**{UNKNOWN}**: the checkpoint came without. To measure it as it is served: "
            f"`python -m training evaluate {artefact.task} --data FILE --out DIR`.",
            "",
            check,
        ]
    columns = {"this model": lineage.test, "baseline": lineage.baseline}
    unseen = {"unseen sources: this model": lineage.out_of_domain, "baseline there": lineage.out_of_domain_baseline}
    columns = {title: found for title, found in (columns | unseen).items() if found}
    beside = f", beside a baseline{f' ({lineage.baseline_is})' if lineage.baseline_is else ''}"
    on = f"{lineage.tested_on:,} test articles" if lineage.tested_on else "its test articles"
    return [
        f"Of the checkpoint, on {on}{beside if lineage.baseline else '; no baseline is known'}:",
        "",
        f"| | {' | '.join(columns)} |",
        f"|{'---|' * (1 + len(columns))}",
        *(
            f"| {name} | {' | '.join(f'{found[name]:.4g}' if name in found else '-' for found in columns.values())} |"
            for name in lineage.test
        ),
        "",
        *(["It is **below that baseline**.", ""] if lineage.is_below_baseline else []),
        check,
    ]


def _uncalibrated(answers: AnswerKind, name: str, task: str) -> list[str]:
    if answers is not AnswerKind.LABELS:
        return []
    how = f"`python -m export calibrate {task} FILE... --name {name}` fits and measures it."
    words = f"It was never calibrated: it is always sure where the text is enough to judge by. {how}"
    return [BEGIN, "", HEADING, "", words, "", END, ""]
