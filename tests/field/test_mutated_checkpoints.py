"""Whatever stands in a checkpoint's configuration, an export answers as the checkpoint does or says what is wrong.

Each case changes one to three values of a small checkpoint, before its weights are made or only in the files, and
exports it. A traceback fails, and so does the comparison: it would blame the export for what should have been said.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from export import exporter
from export.cli import main
from export.parity.articles import ARTICLES
from tests.field.checkpoints import ARCHITECTURES, made, one_thread, rewritten  # noqa: F401 - a fixture

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.filterwarnings("ignore")]

_ACTIVATIONS: Final = ("relu", "gelu", "gelu_new", "silu", "nope", None)
_COUNTS: Final = (1, 2, 3, 4, 0, -1, "two")
_WIDTHS: Final = (16, 32, 48, 33, 0)
_ANY: Final[Mapping[str, Sequence[Any]]] = {
    "architectures": (None, [], ["SomethingElse"], "text"),
    "dtype": ("float16", "bfloat16", "float32", "nope"),
    "output_attentions": (True,),
    "output_hidden_states": (True,),
    "pad_token_id": (0, 1, 3, -1, 9999, None, "one"),
    "return_dict": (False,),
    "tie_word_embeddings": (False, True),
    "use_cache": (False, True),
    "vocab_size": (10, 5000, 0, None, "many"),
}
_LABELLED: Final[Mapping[str, Sequence[Any]]] = {
    "id2label": ({"0": "a", "1": "b"}, {"0": "a"}, {}, {"1": "a", "2": "b"}, ["a", "b"], {"0": "a", "x": "b"}),
    "problem_type": ("regression", "multi_label_classification", "single_label_classification", "nope"),
}
_BERT: Final[Mapping[str, Sequence[Any]]] = {
    "add_cross_attention": (True,),
    "chunk_size_feed_forward": (2, 7),
    "classifier_dropout": (0.3, None),
    "hidden_act": _ACTIVATIONS,
    "hidden_dropout_prob": (0.5, 0.0),
    "hidden_size": _WIDTHS,
    "intermediate_size": _WIDTHS,
    "is_decoder": (True,),
    "is_encoder_decoder": (True,),
    "layer_norm_eps": (1e-12, 1e-5, 0.1),
    "max_position_embeddings": (66, 40, 8, 1, 600),
    "num_attention_heads": _COUNTS,
    "num_hidden_layers": _COUNTS,
    "position_embedding_type": ("absolute", "relative_key", None),
    "type_vocab_size": _COUNTS,
}
MUTATIONS: Final[Mapping[str, Mapping[str, Sequence[Any]]]] = {
    "bart": {
        **_ANY,
        "activation_function": _ACTIVATIONS,
        "d_model": _WIDTHS,
        "decoder_attention_heads": _COUNTS,
        "decoder_ffn_dim": _WIDTHS,
        "decoder_layerdrop": (0.5,),
        "decoder_layers": _COUNTS,
        "decoder_start_token_id": (0, 2, 9999, None),
        "encoder_attention_heads": _COUNTS,
        "encoder_ffn_dim": _WIDTHS,
        "encoder_layers": _COUNTS,
        "is_encoder_decoder": (False,),
        "max_position_embeddings": (256, 300, 100, 1),
        "scale_embedding": (True, False),
    },
    "bert": {**_ANY, **_LABELLED, **_BERT},
    "distilbert": {
        **_ANY,
        **_LABELLED,
        "activation": _ACTIVATIONS,
        "dim": _WIDTHS,
        "hidden_dim": _WIDTHS,
        "max_position_embeddings": (160, 40, 8, 1, 600),
        "n_heads": _COUNTS,
        "n_layers": _COUNTS,
        "seq_classif_dropout": (0.5,),
        "sinusoidal_pos_embds": (True,),
    },
    "roberta": {**_ANY, **_LABELLED, **_BERT},
    "xlnet": {
        **_ANY,
        **_LABELLED,
        "attn_type": ("bi", "uni"),
        "bi_data": (True, False),
        "clamp_len": (-1, 3, 40),
        "d_inner": _WIDTHS,
        "d_model": _WIDTHS,
        "ff_activation": _ACTIVATIONS,
        "layer_norm_eps": (1e-12, 1e-5, 0.1),
        "mem_len": (4, None),
        "n_head": _COUNTS,
        "n_layer": _COUNTS,
        "reuse_len": (2,),
        "same_length": (True,),
        "summary_activation": ("tanh", None, "relu"),
        "summary_type": ("last", "first", "mean", "cls_index", "nope"),
        "summary_use_proj": (True, False),
        "untie_r": (True, False),
        "use_mems_eval": (True,),
    },
}
"""Architecture -> field of the configuration -> values, good and bad."""
SEARCH: Final[Mapping[str, Sequence[Any]]] = {
    "bad_words_ids": ([[5]], [[5, 6]], [[]], [5], "5"),
    "begin_suppress_tokens": ([5, 6], [], 5, [9999]),
    "decoder_start_token_id": (0, 2, None, 9999, [2]),
    "diversity_penalty": (0.0, 0.5, None),
    "do_sample": (True, False, None),
    "early_stopping": (True, False, "never", "soon"),
    "eos_token_id": (2, [2, 5], [], None, "2", 9999),
    "forced_bos_token_id": (0, None, 9999, "0"),
    "forced_eos_token_id": (2, None, [2], 5),
    "length_penalty": (2.0, -1.0, "long"),
    "max_length": (10, 142, 0, -5),
    "max_new_tokens": (5, 60, 0, "all"),
    "min_length": (5, -1, 500),
    "no_repeat_ngram_size": (0, 1, 2, 3, -1, "three"),
    "num_beams": (1, 4, 0, "four"),
    "num_return_sequences": (1, 3),
    "pad_token_id": (1, 0, None, 9999),
    "renormalize_logits": (True, False),
    "repetition_penalty": (1.0, 1.3, 0.7, 0, -1.0, "high"),
    "suppress_tokens": ([5, 6], [2], [], None, [9999]),
    "temperature": (0.5, 1.0, 0.0),
    "unheard_of": (1, None),
}
"""Setting of a generation configuration -> values, good and bad."""
OTHERS_THAN_ONE: Final = (1, 1, 2, 3)


def wrong(seed: int, place: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a case; returns what is wrong with its end, or nothing."""
    chance = random.Random(seed)
    model_type = ARCHITECTURES[seed % len(ARCHITECTURES)]
    fields = MUTATIONS[model_type]
    names = chance.sample(sorted(fields), chance.choice(OTHERS_THAN_ONE))
    changes = {name: chance.choice(fields[name]) for name in names}
    search: dict[str, Any] = {}
    if model_type == "bart" and chance.random() < 0.7:
        search = {name: chance.choice(SEARCH[name]) for name in chance.sample(sorted(SEARCH), chance.choice((1, 2)))}
        changes = changes if chance.random() < 0.3 else {}
    case = f"case {seed}: {model_type}, config.json {changes}, generation_config.json {search}"
    place.mkdir()
    folder = None
    if chance.random() < 0.6:
        try:
            folder = made(place, model_type, **changes)
        except Exception:  # no such model can be made; the files may still say it
            folder = None
    folder = folder or rewritten(made(place, model_type), "config.json", changes)
    if search:
        rewritten(folder, "generation_config.json", search)
    task = "summary" if model_type == "bart" else "category"
    command = [task, "--checkpoint", str(folder), "--repository", str(place / "models"), "--precision", "fp32"]
    try:
        code = main(command)
    except Exception as error:  # what a user would see as a traceback
        return f"{case}: {type(error).__name__}: {error}"
    said = capsys.readouterr().err
    if code and ("does not answer as its checkpoint does" in said or "export failed: " not in said):
        return f"{case}: {said}"
    return ""


def run(seeds: Sequence[int], place: Path, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> list[str]:
    patch.setattr(exporter, "reference_of", partial(exporter.reference_of, articles=ARTICLES[1:4]))
    found = [fault for seed in seeds if (fault := wrong(seed, place / str(seed), capsys))]
    published = len({path.parents[3] for path in place.glob("*/models/*/*/model.onnx")})
    assert 0 < published < len(seeds), "of these cases some are exported and some are refused"
    return found


def test_a_mutated_checkpoint_answers_or_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(range(20), tmp_path, capsys, monkeypatch) == []


@pytest.mark.slow
def test_many_mutated_checkpoints_answer_or_are_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(range(20, 220), tmp_path, capsys, monkeypatch) == []
