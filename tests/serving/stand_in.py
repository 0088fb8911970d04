"""A tiny model repository of the real one's form: tokenizer -> ONNX model -> text or labels, and an ensemble of both.

Its graphs are tiny (`graphs`), so that tests of the server and its backends need no exported model.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.serving.graphs import SETTINGS, write_echo, write_tokenizer, write_vote

BUCKETS = (8, 16)
LABELS = ("real", "fake")


def tensor(name: str, data_type: str, dims: str = "-1", *, more: str = "") -> str:
    return f'{{ name: "{name}" data_type: TYPE_{data_type} dims: [ {dims} ] {more} }}'


def parameter(key: str, value: object) -> str:
    text = json.dumps(str(value))
    return f'parameters {{ key: "{key}" value {{ string_value: {text} }} }}'


def write_model(
    repository: Path, name: str, backend: str, inputs: list[str], outputs: list[str], *more: str, batch: int = 8
) -> Path:
    """Write ``config.pbtxt``; returns the folder of version 1."""
    version = repository / name / "1"
    version.mkdir(parents=True)
    lines = [
        f'name: "{name}"',
        f'backend: "{backend}"' if backend != "ensemble" else 'platform: "ensemble"',
        f"max_batch_size: {batch}",
        f"input [ {', '.join(inputs)} ]",
        f"output [ {', '.join(outputs)} ]",
        *more,
    ]
    if backend != "ensemble":
        lines.append("instance_group [ { kind: KIND_CPU count: 1 } ]")
    (repository / name / "config.pbtxt").write_text("\n".join(lines) + "\n")
    return version


def step(model: str, inputs: dict[str, str], outputs: dict[str, str]) -> str:
    maps = [f'input_map {{ key: "{key}" value: "{value}" }}' for key, value in inputs.items()]
    maps += [f'output_map {{ key: "{key}" value: "{value}" }}' for key, value in outputs.items()]
    return f'{{ model_name: "{model}" model_version: -1 {" ".join(maps)} }}'


BATCHING = "dynamic_batching { }"
WAITING = (
    "dynamic_batching { preferred_batch_size: [ 8 ] max_queue_delay_microseconds: 100000 "
    "default_queue_policy { max_queue_size: 32 } }"
)
"""A queue that waits for others, so that a test's requests surely meet, and that refuses what is too much."""


def build(repository: Path) -> Path:
    """Write the whole repository."""
    title = tensor("title", "STRING", "1", more="optional: true")
    text = tensor("text", "STRING", "1")
    settings = [
        tensor("num_beams", "INT32", "1", more="optional: true"),
        tensor("length_penalty", "FP32", "1", more="optional: true"),
    ]
    ids = [tensor("input_ids", "INT32"), tensor("attention_mask", "INT32")]
    counts = [tensor("tokens", "INT32", "1"), tensor("truncated_tokens", "INT32", "1")]
    dummies = [tensor(name, "UINT8") for name in SETTINGS]
    common = [parameter("max_tokens", BUCKETS[-1]), parameter("buckets", ",".join(map(str, BUCKETS))), BATCHING]

    version = write_model(
        repository,
        "echo_tokenizer",
        "tokenizer",
        [text, *settings],
        [*ids, *counts, *dummies],
        *common,
        parameter("reads", "text"),
        parameter("max_article_bytes", 1000),
        *(parameter(f"setting.{name}", json.dumps(values)) for name, values in SETTINGS.items()),
    )
    write_tokenizer(version / "tokenizer.json")
    warmup = " ".join(
        f'inputs {{ key: "{name}" value {{ data_type: TYPE_{kind} dims: [ {dims} ] zero_data: true }} }}'
        for name, kind, dims in (
            ("input_ids", "INT32", 8),
            ("attention_mask", "INT32", 8),
            ("num_beams", "UINT8", 4),
            ("length_penalty", "UINT8", 31),
        )
    )
    version = write_model(
        repository,
        "echo",
        "onnxruntime",
        [*ids, *dummies],
        [tensor("sequences", "INT32"), tensor("rows", "INT32", "1"), tensor("settings", "INT32", str(len(SETTINGS)))],
        parameter("intra_op_thread_count", 1),
        parameter("session.intra_op.allow_spinning", 0),
        "optimization { graph { level: 1 } }",
        WAITING,
        f'model_warmup [ {{ name: "bucket" batch_size: 2 {warmup} }} ]',
    )
    write_echo(version / "model.onnx")
    version = write_model(
        repository,
        "echo_text",
        "detokenizer",
        [tensor("sequences", "INT32")],
        [tensor("summary", "STRING", "1")],
        BATCHING,
    )
    write_tokenizer(version / "tokenizer.json")

    version = write_model(
        repository,
        "vote_tokenizer",
        "tokenizer",
        [title, text],
        [*ids, tensor("token_type_ids", "INT32"), *counts],
        *common,
        parameter("reads", "title,text"),
    )
    write_tokenizer(version / "tokenizer.json", left=True)
    version = write_model(
        repository,
        "vote",
        "onnxruntime",
        [*ids, tensor("token_type_ids", "INT32")],
        [tensor("probabilities", "FP32", "2")],
        BATCHING,
        # Padded and bound as on a GPU.
        parameter("rehearse_gpu", 1),
        parameter("lengths", ",".join(map(str, BUCKETS))),
    )
    write_vote(version / "model.onnx")
    version = write_model(
        repository,
        "vote_labels",
        "labels",
        [tensor("probabilities", "FP32", "2")],
        [
            tensor("veracity", "STRING", "1"),
            tensor("veracity_probability", "FP32", "1"),
            tensor("veracity_probabilities", "FP32", "2", more='label_filename: "labels.txt"'),
        ],
        BATCHING,
    )
    (version.parent / "labels.txt").write_text("\n".join(LABELS) + "\n")

    dummy_tensors = {name: f"echo_{name}" for name in SETTINGS}
    tokenized = {"input_ids": "echo_ids", "attention_mask": "echo_mask", **dummy_tensors}
    counted = {"tokens": "summary_tokens", "truncated_tokens": "summary_truncated_tokens"}
    echo_inputs = {key: tokenized[key] for key in ("input_ids", "attention_mask", *SETTINGS)}
    summarize = [
        step("echo_tokenizer", {"text": "text", **{name: name for name in SETTINGS}}, {**tokenized, **counted}),
        step("echo", echo_inputs, {"sequences": "echo_sequences", "rows": "rows", "settings": "settings"}),
        step("echo_text", {"sequences": "echo_sequences"}, {"summary": "summary"}),
    ]
    summary_outputs = [
        tensor("summary", "STRING", "1"),
        tensor("rows", "INT32", "1"),
        tensor("settings", "INT32", str(len(SETTINGS))),
        tensor("summary_tokens", "INT32", "1"),
        tensor("summary_truncated_tokens", "INT32", "1"),
    ]
    steps = f"ensemble_scheduling {{ step [ {', '.join(summarize)} ] }}"
    write_model(repository, "summarize", "ensemble", [text, *settings], summary_outputs, steps)

    votes = {"input_ids": "vote_ids", "attention_mask": "vote_mask", "token_type_ids": "vote_types"}
    answers = {name: name for name in ("veracity", "veracity_probability", "veracity_probabilities")}
    verify = [
        step("vote_tokenizer", {"title": "title", "text": "text"}, votes),
        step("vote", votes, {"probabilities": "vote_probabilities"}),
        step("vote_labels", {"probabilities": "vote_probabilities"}, answers),
    ]
    verify_outputs = [
        tensor("veracity", "STRING", "1"),
        tensor("veracity_probability", "FP32", "1"),
        tensor("veracity_probabilities", "FP32", "2", more='label_filename: "labels.txt"'),
    ]
    steps = f"ensemble_scheduling {{ step [ {', '.join(verify)} ] }}"
    version = write_model(repository, "verify", "ensemble", [title, text], verify_outputs, steps)
    (version.parent / "labels.txt").write_text("\n".join(LABELS) + "\n")

    summary_names = ["summary", "rows", "settings", "summary_tokens", "summary_truncated_tokens"]
    branches = {
        "summarize": {"task": "summary", "inputs": ["text", *SETTINGS], "outputs": summary_names},
        "verify": {"task": "veracity", "inputs": ["title", "text"], "outputs": list(answers)},
    }
    version = write_model(
        repository,
        "info_lens",
        "fan_out",
        [title, text, *settings],
        [*summary_outputs, *verify_outputs, tensor("failed", "STRING", "1")],
        *(parameter(f"branch.{name}", json.dumps(names)) for name, names in branches.items()),
        parameter("max_running", 8),
        parameter("max_waiting", 8),
    )
    (version.parent / "labels.txt").write_text("\n".join(LABELS) + "\n")
    return repository
