"""A tiny BART with random weights, and rows of random sentences for it: few words, so that sentences are alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime as ort
import torch
from transformers import BartConfig, BartForConditionalGeneration

from export.architectures import Spacing, Trained
from export.graph.checkpoint_weights import CheckpointWeights
from infolens.contract import NEVER_ENDS

PAD: Final = 1
END: Final = 2
WORDS: Final = 60
Arrays = dict[str, np.ndarray[Any, Any]]


def tiny_bart(**changes: Any) -> Any:
    torch.manual_seed(3)
    sizes = {
        "d_model": 32,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "max_position_embeddings": 128,
        "init_std": 0.6,
    }
    tokens = {"pad_token_id": PAD, "eos_token_id": END, "decoder_start_token_id": END}
    made = BartForConditionalGeneration(BartConfig(vocab_size=WORDS, **(sizes | tokens | changes))).eval()
    with torch.no_grad():  # Random weights hardly ever choose to end a summary; some should.
        made.final_logits_bias[0, END] = 9.0
    return made


def spacing() -> Spacing:
    """Words from 4 to 13 have a form with a space, ten ids above; all others have none."""
    words = np.arange(WORDS, dtype=np.int32)
    return Spacing(
        spaced=np.where((words >= 4) & (words < 14), words + 10, words),
        unspaced=np.where((words >= 14) & (words < 24), words - 10, words),
    )


def trained(model: Any, **changes: Any) -> Trained:
    return Trained(
        config=model.config,
        generation=model.generation_config,
        weights=CheckpointWeights(model.state_dict()),
        max_tokens=model.config.max_position_embeddings,
        spacing=spacing(),
        **changes,
    )


def row_of(
    random: np.random.Generator, length: int, words: int = WORDS, *, least: int = 4
) -> tuple[list[int], list[int]]:
    """Ids and ends of an article of ``length`` tokens: sentences of 1 to 9 tokens, some twice, some with a gap."""
    ids, ends, known = [0], [-1], [[4, 25], [14, 25], [14, 25, 26]]
    while len(ids) < length - 1:
        fresh = random.integers(least, words, random.integers(1, 10)).tolist()
        sentence = fresh if random.random() < 0.7 else known[random.integers(len(known))]
        known.append(sentence[:])
        room = length - 1 - len(ids)
        whole = len(sentence) <= room
        ends += [len(ids) + len(sentence) - 1 if whole else NEVER_ENDS] * min(room, len(sentence))
        ids += sentence[:room]
        if random.random() < 0.2 and len(ids) < length - 1:
            ids, ends = [*ids, 3], [*ends, -1]
    return [*ids, END], [*ends, -1]


def session_of(graph: onnx.ModelProto, native: Path | None = None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if native:
        options.register_custom_ops_library(str(native))
    return ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
