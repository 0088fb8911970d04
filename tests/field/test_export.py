"""Checkpoints that users of such systems tried to export: what is wrong is named, and nothing is published.

Each case stands for a kind; the id is that of the field report.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from export import exporter
from export.cli import main
from export.parity.articles import ARTICLES
from inspection.errors import Unfit
from inspection.generation import SETTINGS, Effect, Search
from tests.field.checkpoints import ARCHITECTURES, made, one_thread, rewritten  # noqa: F401 - a fixture

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Moving the following attributes"),
]


def refused(task: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says of a checkpoint that it refuses; the repository gets no model."""
    repository = folder.parent / "models"
    assert main([task, "--checkpoint", str(folder), "--repository", str(repository)]) == 1
    assert not list(repository.glob("**/model.onnx"))
    said = capsys.readouterr().err
    assert str(folder) in said or folder.name in said
    assert "Traceback" not in said
    return said


CLASSIFIERS = [name for name in ARCHITECTURES if name != "bart"]


@pytest.mark.parametrize("model_type", CLASSIFIERS)
@pytest.mark.parametrize(
    ("config", "right"),
    [
        pytest.param(
            {"problem_type": "multi_label_classification"},
            "problem_type 'multi_label_classification'",
            id="E1-several-labels",
        ),
        pytest.param({"problem_type": "regression"}, "problem_type 'regression'", id="E1-regression"),
        pytest.param({"id2label": {"0": "score"}}, "num_labels=1", id="E1-one-number"),
    ],
)
def test_only_classifiers_of_single_labels_are_served(
    model_type: str, config: dict[str, Any], right: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = rewritten(made(tmp_path, model_type), "config.json", config)
    said = refused("category", folder, capsys)
    assert right in said
    assert "fine-tune it for single labels: python -m training fit" in said


@pytest.mark.parametrize("model_type", ["distilbert", "bart"])
@pytest.mark.parametrize("method", ["gptq", "bitsandbytes"])
def test_quantized_weights_are_named_and_not_called_damaged(
    model_type: str, method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """E4: of two faults that a checkpoint may have, the message tells the one that it has."""
    quantized = {"quantization_config": {"quant_method": method, "bits": 4, "load_in_8bit": True}}
    folder = rewritten(made(tmp_path, model_type), "config.json", quantized)
    said = refused("summary" if model_type == "bart" else "category", folder, capsys)
    assert f"quantization_config (quant_method '{method}')" in said
    assert "dequantize" in said
    assert "damaged" not in said


REFUSED = {
    "num_beam_groups": 2,
    "diversity_penalty": 0.5,
    "penalty_alpha": 0.6,
    "do_sample": True,
    "sequence_bias": [[[5], -1.0]],
    "guidance_scale": 1.5,
    "encoder_repetition_penalty": 1.3,
    "encoder_no_repeat_ngram_size": 3,
    "exponential_decay_length_penalty": [10, 1.1],
    "renormalize_logits": True,
    "remove_invalid_values": True,
    "stop_strings": ["end"],
    "max_time": 2.0,
    "force_words_ids": [[5]],
    "dola_layers": "low",
    "token_healing": True,
    "forced_decoder_ids": [[1, 5]],
    "a_setting_of_the_future": 1,
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_setting_that_the_search_has_not_is_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """E2, E3: it is never passed over."""
    folder = rewritten(made(tmp_path, "bart"), "generation_config.json", {name: REFUSED[name]})
    said = refused("summary", folder, capsys)
    assert f"generation_config.json sets {name}=" in said
    assert "take it out" in said


@pytest.mark.parametrize(
    ("settings", "right"),
    [
        (
            {"bad_words_ids": [[5, 6]]},
            "bad_words_ids of its generation_config.json bars [5, 6], and only single tokens",
        ),
        ({"suppress_tokens": [0]}, "suppress_tokens"),  # with which every summary begins
        ({"suppress_tokens": [9999]}, "suppress_tokens of its generation_config.json must be a token id from 0 to"),
        ({"eos_token_id": [2, 9999]}, "eos_token_id of its generation_config.json must be a token id from 0 to"),
        ({"eos_token_id": None}, "eos_token_id of its generation_config.json must be set"),
        ({"pad_token_id": 3}, "must be the id of its tokenizer's padding token, 1, not 3"),
        (
            {"forced_eos_token_id": 5},
            "forced_eos_token_id of its generation_config.json must be one token of eos_token_id",
        ),
        ({"forced_bos_token_id": -1}, "forced_bos_token_id of its generation_config.json must be a token id from 0 to"),
        ({"repetition_penalty": "much"}, "repetition_penalty"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"no_repeat_ngram_size": -2}, "no_repeat_ngram_size"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_setting_out_of_its_range_is_named(
    settings: dict[str, Any], right: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = rewritten(made(tmp_path, "bart"), "generation_config.json", settings)
    assert right in refused("summary", folder, capsys)


def test_every_setting_of_transformers_has_its_place() -> None:
    """A release with a new one fails here; until then it is refused by its name."""
    named = {name for name in vars(GenerationConfig()) if not name.startswith("_")}
    assert named - set(SETTINGS) == set()
    tokens = {"decoder_start_token_id": 2, "eos_token_id": 2, "pad_token_id": 1}
    Search.of(GenerationConfig(**tokens), 10)
    for name in (name for name, effect in SETTINGS.items() if effect is Effect.REFUSED):
        generation = GenerationConfig(**tokens)
        setattr(generation, name, "a value")
        with pytest.raises(Unfit, match=rf"sets {name}='a value'"):
            Search.of(generation, 10)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"max_new_tokens": 20, "min_new_tokens": 4, "num_beams": 3}, id="E2-lengths"),
        pytest.param({"repetition_penalty": 1.3}, id="E2-repetition_penalty"),
        pytest.param({"eos_token_id": [2, 9, 30]}, id="E3-several-ends"),
        pytest.param(
            {"suppress_tokens": [40, 41], "begin_suppress_tokens": [9], "bad_words_ids": [[30]]}, id="E2-barred"
        ),
        pytest.param(
            {"temperature": 0.7, "use_cache": False, "num_return_sequences": 2, "num_beams": 4}, id="E2-no-effect"
        ),
        pytest.param({"num_beam_groups": 1, "diversity_penalty": 0.0, "do_sample": False}, id="E3-idle"),
    ],
)
def test_settings_that_are_served(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Published only if the graph writes the tokens of ``generate`` with the same settings."""
    monkeypatch.setattr(exporter, "reference_of", partial(exporter.reference_of, articles=ARTICLES[1:4]))
    folder = rewritten(made(tmp_path, "bart"), "generation_config.json", settings)
    caplog.set_level("INFO")
    command = ["summary", "--checkpoint", str(folder), "--repository", str(tmp_path / "models"), "--precision", "fp32"]
    assert main(command) == 0
    requested = [name for name in settings if SETTINGS[name] is Effect.REQUESTED]
    said = [line for line in caplog.messages if "yield to what each request says" in line]
    assert all(f"{name}={settings[name]}" in said[0] for name in requested)


@pytest.mark.parametrize("model_type", ARCHITECTURES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_named(
    model_type: str, value: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """E4: before the graph is written."""
    names: list[str] = []

    def spoil(model: Any) -> None:
        name, weight = next((n, w) for n, w in model.named_parameters() if w.ndim == 1 and "ayer" in n)
        names.append(name)
        with torch.no_grad():
            weight[:2] = value

    folder = made(tmp_path, model_type, spoil)
    said = refused("summary" if model_type == "bart" else "category", folder, capsys)
    assert f"its weights are not finite: {names[0]} has 2 NaN or infinite of" in said
    assert "graph" not in said


def test_a_difference_that_is_not_a_number_fails_the_comparison() -> None:
    """E4: Python's ``max`` drops it."""
    import numpy as np

    from export.graph.precision import Precision
    from export.parity.classifiers import ClassifierReference
    from export.parity.report import ParityReport
    from export.parity.tolerances import Tolerances

    batch = {"input_ids": np.zeros((2, 4), np.int32)}
    reference = ClassifierReference(batches=[batch, batch], expected=np.full((2, 3), np.nan, np.float32))
    report = ParityReport()
    reference.compare(report, Precision.FP32, "fp32", lambda feeds: np.ones((len(feeds["input_ids"]), 3)), Tolerances())
    assert not report.passed
    assert "fp32_largest_difference   nan       <= 0.0001  FAILED" in report.table()


@pytest.mark.parametrize("positions", [1, 2])
def test_a_checkpoint_that_reads_no_text_is_refused(
    positions: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path, "bert", max_position_embeddings=positions)
    assert f"it reads at most {positions} tokens" in refused("category", folder, capsys)


@pytest.mark.parametrize(
    "changes", [{"chunk_size_feed_forward": 7}, {"return_dict": False}, {"output_hidden_states": True}], ids=str
)
def test_how_a_checkpoint_computed_says_nothing_of_its_answers(changes: dict[str, Any], tmp_path: Path) -> None:
    folder = rewritten(made(tmp_path, "bert"), "config.json", changes)
    command = ["category", "--checkpoint", str(folder), "--repository", str(tmp_path / "models"), "--precision", "fp32"]
    assert main(command) == 0
