"""The page of an evaluation: one file that needs nothing else, with pictures, for light and dark."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.runs.output import write_whole
from training.runs.pages.rendering import render

from .pictures import pictures_of
from .report import HEADLINES, comparison, gained, gains_of, sentence, shown, systems_of

PAGE: Final = "index.html"
_TEMPLATE: Final = Path(__file__).with_name("page.html.j2")
_GROUPED: Final = {
    AnswerKind.LABELS: (
        *(("accuracy", "accuracy, %"), ("macro_f1", "macro-F1, %"), ("mean_probability", "mean probability, %")),
        *(("baseline_accuracy", "TF-IDF accuracy, %"), ("baseline_macro_f1", "TF-IDF macro-F1, %")),
        *(("signal_coverage", "with a signal, %"), ("signal_accuracy", "right among them, %")),
    ),
    AnswerKind.TEXT: (
        *(("rouge1", "ROUGE-1"), ("rouge2", "ROUGE-2"), ("rougeLsum", "ROUGE-Lsum")),
        *(("lead_rouge1", "first words: ROUGE-1"), ("lead_rouge2", "ROUGE-2"), ("lead_rougeLsum", "ROUGE-Lsum")),
        *(("first_rouge1", "first sentences: ROUGE-1"), ("first_rouge2", "ROUGE-2"), ("first_rougeLsum", "ROUGE-Lsum")),
        *(("words", "words"), ("foreign", "foreign sentence, %"), ("density", "density")),
    ),
}
_GROUP_WORDS: Final = {
    "source": "By source",
    "label": "By label",
    "length": "By length of the article",
    "read": "By how much the model read",
}
_WORDS: Final = {
    "accuracy": "share of right answers",
    "macro_f1": "mean F1 over the labels that the table has: rare ones count as much as frequent ones",
    "calibration_error": "expected calibration error over ten bins: mean gap between probability and accuracy (0 to 1)",
    "mean_probability": "mean probability of the label that is given",
    "rouge1": "words shared with the reference (F-measure, stemmed, 0 to 100)",
    "rouge2": "word pairs shared with it",
    "rougeLsum": "longest common subsequences with it, by sentence",
    "words": "mean length",
    "foreign": "summaries with a sentence that the article does not hold, white space aside",
    "novel_2": "word pairs that the article does not have",
    "coverage": "words in fragments that the article has too (Grusky et al., 2018)",
    "density": "mean length of the fragment that a word stands in",
}


def write_page(folder: Path, document: Mapping[str, Any]) -> None:
    """Write ``index.html`` for a document of `report`."""
    write_whole(folder / PAGE, page(document))


def page(document: Mapping[str, Any]) -> str:
    """The page as HTML."""
    kind = CONTRACTS[Task(document["task"])].answers
    headlines = HEADLINES[kind]
    return render(
        _TEMPLATE,
        document=document,
        figures=document["figures"],
        sentence=sentence(document),
        headlines=[(words, _WORDS[name]) for name, words in headlines],
        systems=[
            (title, [shown(name, found[name]) if name in found else "" for name, _ in headlines])
            for title, found in systems_of(document)
        ],
        more=_more(document["figures"], [name for name, _ in headlines]),
        compared=(comparison(document), gains_of(document)) if document["compared"] else None,
        pictures=pictures_of(document),
        tables=_tables(document["figures"]["groups"], kind),
    )


def _more(figures: Mapping[str, Any], told: list[str]) -> list[tuple[str, str]]:
    """The other figures of the served model, and its signal's."""
    served = figures["served"]
    rest = [(name.replace("_", " "), shown(name, one)) for name, one in served["figures"].items() if name not in told]
    for name in ("gain_over_baseline", "gain_over_lead", "gain_over_first_sentences"):
        rest += [(f"{name.replace('_', ' ')}: {key}", gained(key, one)) for key, one in figures.get(name, {}).items()]
    if "risk_coverage" in served:
        at = served["risk_coverage"]["at"]
        rest += [(f"accuracy on the surest {float(part):.0%}", f"{100 * value:.1f}") for part, value in at.items()]
        rest.append(("area under the risk-coverage curve", f"{served['risk_coverage']['area']:.3f}"))
    if "signal" in figures:
        named = {"coverage": "articles with a signal, %", "accuracy": "right among them, %"}
        rest += [(words, shown(name, figures["signal"]["figures"][name])) for name, words in named.items()]
    return rest


def _tables(groups: list[Mapping[str, Any]], kind: AnswerKind) -> list[dict[str, Any]]:
    tables = []
    for by in dict.fromkeys(group["by"] for group in groups):
        rows = [group for group in groups if group["by"] == by]
        columns = [(name, words) for name, words in _GROUPED[kind] if name in rows[0]["figures"]]
        tables.append(
            {
                "title": _GROUP_WORDS.get(by, f"By {by}"),
                "columns": [words for _, words in columns],
                "rows": [
                    (row["name"], f"{row['rows']:,}", [shown(name, row["figures"][name]) for name, _ in columns])
                    for row in rows
                ],
            }
        )
    return tables
