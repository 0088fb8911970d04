"""``python -m export.graph.step``: a checkpoint's folder in, an engine's folder out, on a machine with little on it.

It needs onnx, numpy, PyTorch and safetensors, and of this project `engine` and this folder's neighbours alone. Nothing
is checked or compared: ``python -m export summary`` does that where the rest is at hand.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.artefact import PRECISIONS
from engine.settings import Architecture, Rules


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m export.graph.step", description="Write a BART's encoder and one step of its search as graphs."
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a folder that save_pretrained wrote")
    parser.add_argument("out", type=Path, metavar="DIR", help="gets the files; made where it is missing")
    parser.add_argument("--precision", choices=PRECISIONS, default="bf16", help="of the graphs (default: %(default)s)")
    args = parser.parse_args(words)
    # Here, since help needs none of them.
    from safetensors.torch import load_file

    from export.graph.checkpoint_weights import CheckpointWeights

    from .files import write_engine

    config: dict[str, Any] = json.loads((args.checkpoint / "config.json").read_text(encoding="utf-8"))
    generation = json.loads((args.checkpoint / "generation_config.json").read_text(encoding="utf-8"))
    tensors = load_file(args.checkpoint / "model.safetensors")
    args.out.mkdir(parents=True, exist_ok=True)
    write_engine(
        args.out,
        CheckpointWeights(tensors),
        Architecture.of(config),
        rules_of(generation),
        args.precision,
        no_repeat_ngram_size=generation.get("no_repeat_ngram_size") or 0,
        early_stopping=generation.get("early_stopping") or False,
    )
    return 0


def rules_of(generation: dict[str, Any]) -> Rules:
    """What a generation configuration fixes, of what it may say: tokens, and the repetition penalty.

    Raises:
        KeyError: It lacks a token that every search needs.
    """
    ends = generation["eos_token_id"]
    return Rules(
        start_token=generation["decoder_start_token_id"],
        end_tokens=tuple(ends) if isinstance(ends, list) else (ends,),
        pad_token=generation["pad_token_id"],
        first_token=generation.get("forced_bos_token_id"),
        last_token=generation.get("forced_eos_token_id"),
        repetition_penalty=generation.get("repetition_penalty") or 1.0,
    )


if __name__ == "__main__":
    raise SystemExit(main())
