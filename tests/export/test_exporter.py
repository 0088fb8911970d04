"""Exports of tiny checkpoints from end to end, each compared with transformers; and what must be refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from tokenizers import Tokenizer
from transformers import BartForConditionalGeneration

from export.checkpoint.checkpoint import Checkpoint, load_checkpoint
from export.checkpoint.tokenization import encode, padding_of, serving_tokenizer
from export.cli import main
from export.errors import ParityError
from export.exporter import ExportOptions, Outcome, build, export
from export.graph.functions import function
from export.graph.graph import Graph, model_of, value
from export.graph.initializers import Weights, quantize_columns
from export.graph.precision import Precision
from export.parity.articles import ARTICLES
from export.parity.checks import Tolerances
from export.parity.reference import reference_of, token_f1, with_settings
from infolens.contract import CONTRACTS, SUMMARY_SETTINGS, Task

# The weights are random: their answers are nearly ties, which int8 may decide otherwise.
Exported = tuple[Path, dict[Task, Outcome]]
RANDOM = Tolerances(token_f1=0.1, agreement=0.5)

pytestmark = pytest.mark.filterwarnings("ignore:Moving the following attributes")


@pytest.fixture(scope="module")
def exported(checkpoints: dict[Task, Path], tmp_path_factory: pytest.TempPathFactory) -> Exported:
    repository = tmp_path_factory.mktemp("exported") / "model_repository"
    outcomes = {
        task: export(ExportOptions(task=task, checkpoint=str(folder), repository=repository, tolerances=RANDOM))
        for task, folder in checkpoints.items()
    }
    return repository, outcomes


def check_tensors(model: Path, outcome: Outcome) -> None:
    """The graph has the contract's tensors, and nothing else."""
    contract = CONTRACTS[Task(outcome.artefact.task)]
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    types = {"INT32": "tensor(int32)", "UINT8": "tensor(uint8)", "FP32": "tensor(float)"}
    found = {tensor.name: tensor.type for tensor in (*session.get_inputs(), *session.get_outputs())}
    wanted = (*contract.model_inputs(token_types=outcome.artefact.token_types), *contract.model_outputs())
    assert found == {tensor.name: types[tensor.dtype] for tensor in wanted}


@pytest.mark.parametrize("task", list(Task))
def test_export_has_parity_and_the_contracts_tensors(exported: Exported, task: Task) -> None:
    repository, outcomes = exported
    contract, parity = CONTRACTS[task], outcomes[task].parity.figures()
    if task is Task.SUMMARY:
        assert parity["fp32_same_summaries"] == 1
        assert parity["int8_alone_or_in_a_batch"] == 1
    else:
        assert parity["fp32_largest_difference"] < 1e-4
        assert parity["int8_alone_or_in_a_batch"] < 1e-6
    check_tensors(repository / contract.model / "1" / "model.onnx", outcomes[task])
    artefact = json.loads((repository / contract.model / "1" / "artefact.json").read_text())
    assert (artefact["precision"], artefact["max_tokens"], artefact["checkpoint"]) == ("int8", 160, "checkpoint")


@pytest.mark.parametrize("precision", [one for one in Precision if not one.number_format.integers])
@pytest.mark.parametrize("task", list(Task))
def test_every_precision_is_near_and_keeps_the_contracts_tensors(
    checkpoints: dict[Task, Path], tmp_path: Path, task: Task, precision: Precision
) -> None:
    options = ExportOptions(
        task=task,
        checkpoint=str(checkpoints[task]),
        repository=tmp_path,
        precision=precision,
        tolerances=RANDOM,
    )
    outcome = export(options)
    path = tmp_path / CONTRACTS[task].model / "1" / "model.onnx"
    check_tensors(path, outcome)
    sizes: dict[int, int] = {}
    for tensor in onnx.load(path).graph.initializer:
        sizes[tensor.data_type] = sizes.get(tensor.data_type, 0) + int(np.prod(tensor.dims))
    kind = onnx.TensorProto.FLOAT16 if precision.number_format.half else onnx.TensorProto.FLOAT
    assert max(sizes, key=lambda stored: sizes[stored]) == kind


def test_fp16_products_are_cut_off_before_they_overflow() -> None:
    weights = Weights()
    graph = Graph(weights, prefix="", precision=Precision.FP16)
    product = graph.linear("x", "large", np.full((64, 2), 500, np.float32))
    graph.one("Identity", product, output="y")
    model = model_of("one", graph, [value("x", "FLOAT", [1, 1, 64])], [value("y", "FLOAT", [1, 1, 2])], function)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, {"x": np.full((1, 1, 64), 600, np.float32)})[0]
    np.testing.assert_allclose(found, 6e4, rtol=1e-3)


def test_repository_is_complete_and_in_step(exported: Exported) -> None:
    repository, _ = exported
    assert main(["configs", "--check", "--repository", str(repository)]) == 0
    assert {"info_lens", "summarize", "classify", "verify"} <= {path.name for path in repository.iterdir()}
    for contract in CONTRACTS.values():
        tokenizer = json.loads((repository / contract.served().tokenizer / "1" / "tokenizer.json").read_text())
        assert tokenizer["padding"] is None
        assert tokenizer["truncation"] is None


def test_settings_travel_as_lengths(checkpoints: dict[Task, Path]) -> None:
    checkpoint = load_checkpoint(Task.SUMMARY, str(checkpoints[Task.SUMMARY]))
    graph = build(checkpoint, Precision.FP32, Weights()).SerializeToString()
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    tokenizer, padding = serving_tokenizer(checkpoint), padding_of(checkpoint)
    batch = encode(tokenizer, ARTICLES[:4], padding, max_tokens=160)
    for values in ({"max_length": 9.0, "min_length": 0.0}, {"max_length": 30.0, "min_length": 30.0, "num_beams": 1.0}):
        settings = {setting.name: values.get(setting.name, setting.default) for setting in SUMMARY_SETTINGS}
        sequences = session.run(None, with_settings(batch, settings))[0]
        assert sequences.shape == (4, values["max_length"])
        lengths = (sequences != padding.pad_id).sum(axis=1)
        assert (lengths >= values["min_length"]).all()
        ends = sequences[np.arange(4), lengths - 1]
        assert (ends == checkpoint.model.generation_config.eos_token_id).all()


def test_rows_of_the_embedding_without_a_token_are_never_written(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoints[Task.SUMMARY], folder)
    model = BartForConditionalGeneration.from_pretrained(folder)
    tokens = model.config.vocab_size
    model.resize_token_embeddings(tokens + 40, mean_resizing=False)
    with torch.no_grad():
        model.final_logits_bias[:, tokens:] = 50
    model.save_pretrained(folder)
    checkpoint = load_checkpoint(Task.SUMMARY, str(folder))
    session = ort.InferenceSession(build(checkpoint, Precision.FP32, Weights()).SerializeToString())
    batch = encode(serving_tokenizer(checkpoint), ARTICLES[:3], padding_of(checkpoint), max_tokens=160)
    sequences = session.run(None, with_settings(batch, {s.name: s.default for s in SUMMARY_SETTINGS}))[0]
    assert sequences.max() < tokens


def test_the_tied_embedding_is_stored_once(exported: Exported) -> None:
    repository, outcomes = exported
    model = onnx.load(repository / "bart" / "1" / "model.onnx")
    shape = {outcomes[Task.SUMMARY].artefact.vocabulary, 32}
    assert [t.name for t in model.graph.initializer if set(t.dims) == shape] == ["embedding.weight_int8"]


@pytest.mark.parametrize("task", [Task.CATEGORY, Task.SUMMARY])
def test_failed_parity_leaves_the_repository_untouched(
    checkpoints: dict[Task, Path], tmp_path: Path, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(checkpoint: Checkpoint, precision: Precision, weights: Weights) -> onnx.ModelProto:
        name, add = "classifier.bias" if task is Task.CATEGORY else "logits.bias", weights.add

        def shifted(key: str, array: np.ndarray) -> str:
            return add(key, array + np.linspace(-9, 9, array.shape[-1], dtype=np.float32) if key == name else array)

        monkeypatch.setattr(weights, "add", shifted)
        return build(checkpoint, precision, weights)

    monkeypatch.setattr("export.exporter.build", broken)
    repository = tmp_path / "model_repository"
    code = main([task.value, "--checkpoint", str(checkpoints[task]), "--repository", str(repository)])
    assert code == 1
    assert not repository.exists()
    with pytest.raises(ParityError, match="FAILED"):
        export(ExportOptions(task=task, checkpoint=str(checkpoints[task]), repository=repository))


def test_a_low_token_f1_names_the_option_that_accepts_it(
    checkpoints: dict[Task, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = tmp_path / "model_repository"
    arguments = ["summary", "--checkpoint", str(checkpoints[Task.SUMMARY]), "--repository", str(repository)]
    assert main([*arguments, "--min-token-f1", "1"]) == 1
    message = capsys.readouterr().err
    assert "--min-token-f1 F" in message
    assert "must be 1 at least" in message
    assert not repository.exists()
    assert main([*arguments, "--min-token-f1", "0.1"]) == 0
    for wrong in ("1.5", "nan", "much"):
        with pytest.raises(SystemExit):
            main([*arguments, "--min-token-f1", wrong])
    assert "a share is between 0 and 1" in capsys.readouterr().err


def test_a_tokenizer_without_special_tokens_is_refused(
    checkpoints: dict[Task, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = load_checkpoint(Task.CATEGORY, str(checkpoints[Task.CATEGORY]))
    document = json.loads(checkpoint.tokenizer.backend_tokenizer.to_str())
    bare = Tokenizer.from_str(json.dumps({**document, "post_processor": None}))
    monkeypatch.setattr(checkpoint.tokenizer, "_tokenizer", bare)
    with pytest.raises(ParityError, match="special tokens"):
        reference_of(checkpoint, serving_tokenizer(checkpoint), padding_of(checkpoint))


def test_left_padding_keeps_class_token_last(checkpoints: dict[Task, Path]) -> None:
    checkpoint = load_checkpoint(Task.VERACITY, str(checkpoints[Task.VERACITY]))
    batch = encode(serving_tokenizer(checkpoint), ["Rain.", *ARTICLES], padding_of(checkpoint), max_tokens=160)
    assert batch["input_ids"].shape == (1 + len(ARTICLES), 160)
    tokenizer = checkpoint.tokenizer
    assert (batch["input_ids"][:, -2:] == [tokenizer.sep_token_id, tokenizer.cls_token_id]).all()
    assert (batch["token_type_ids"][:, -1] == 2).all()
    padded = batch["attention_mask"] == 0
    assert padded[0, 0]
    assert (batch["token_type_ids"][padded] == 3).all()


def test_quantized_columns_are_close_and_zero_columns_stay_zero() -> None:
    weight = np.random.default_rng(0).standard_normal((50, 20)).astype(np.float32)
    weight[:, 3] = 0
    quantized, scales = quantize_columns(weight)
    assert quantized.dtype == np.int8
    assert np.abs(quantized * scales - weight).max() <= scales.max() / 2 + 1e-6
    assert not quantized[:, 3].any()


def test_token_f1() -> None:
    assert token_f1([1, 2, 3], [1, 2, 3]) == 1
    assert token_f1([1, 1, 2], [1, 3, 4]) == pytest.approx(1 / 3)
    assert token_f1([], []) == 1
