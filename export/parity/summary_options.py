"""The arguments of an export that only a task with texts has."""

from __future__ import annotations

import argparse
from typing import Any

from export.repository.artefact import BEAMS, EXTRACTIONS, FORMS, LENGTH, STYLES
from infolens.targets import Target

from .tolerances import Tolerances


def add_summary_options(command: argparse.ArgumentParser) -> None:
    """Add ``--style``, ``--form`` and ``--window``, and defaults for what only classifiers have."""
    command.add_argument(
        "--style",
        choices=STYLES,
        default=STYLES[0],
        help="how summaries are written where a request does not say it: in words of the model's own, or only in whole "
        f"sentences of the article (default: {STYLES[0]})",
    )
    command.add_argument(
        "--extraction",
        choices=EXTRACTIONS,
        default=EXTRACTIONS[0],
        help="how a summary of the article's sentences is made. search: the model can write nothing else; nearest: it "
        "writes freely, and the sentences that come nearest are taken, which suits a model that slips from one to "
        "another; choice: it writes nothing, a head says which words belong into the summary, for which the checkpoint "
        "must have been trained (choice_layers of its recipe); measure them with `python -m training evaluate` "
        f"(default: {EXTRACTIONS[0]})",
    )
    command.add_argument(
        "--num-beams",
        type=int,
        choices=range(int(BEAMS.minimum), int(BEAMS.maximum) + 1),
        default=int(BEAMS.default),
        metavar="N",
        help="width of the search where a request does not say it, 1 to "
        f"{BEAMS.maximum:g} (default: {BEAMS.default:g})",
    )
    command.add_argument(
        "--max-length",
        type=int,
        choices=range(int(LENGTH.minimum), int(LENGTH.maximum) + 1),
        default=int(LENGTH.default),
        metavar="N",
        help="the most tokens of a summary where a request does not say it, "
        f"{LENGTH.minimum:g} to {LENGTH.maximum:g} (default: {LENGTH.default:g})",
    )
    command.add_argument(
        "--form",
        choices=FORMS,
        help="how the search is computed. loop: one graph with the whole search in it, which any ONNX Runtime runs; "
        "step: an encoder and one step as graphs, for the server's own engine, in which requests of all lengths, "
        f"ages and most settings share the steps: for large models, and for GPUs (default: {FORMS[0]}; for GPUs step)",
    )
    command.add_argument(
        "--window",
        type=int,
        default=0,
        metavar="W",
        help="read articles of up to --max-tokens (4,096 by default) in windows of W tokens, each of which is encoded "
        "by itself, while the summary looks at all of them (default: none)",
    )
    command.set_defaults(labels=None, exporter="own", calibrate=[])


def summary_options(options: argparse.Namespace, target: Target) -> dict[str, Any]:
    """The fields of `ExportOptions` that the arguments say; a classifier's are the defaults.

    Args:
        options: What was said.
        target: What the model is for, which has a form of its own where nothing is said of it.
    """
    writes_texts = hasattr(options, "form")
    return {
        "tolerances": Tolerances(token_f1=options.min_token_f1),
        "style": getattr(options, "style", STYLES[0]),
        "extraction": getattr(options, "extraction", EXTRACTIONS[0]),
        "num_beams": getattr(options, "num_beams", int(BEAMS.default)),
        "max_length": getattr(options, "max_length", int(LENGTH.default)),
        "form": (options.form or target.record.default_text_form) if writes_texts else FORMS[0],
        "window": options.window,
    }
