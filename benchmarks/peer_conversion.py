"""Convert a checkpoint for one peer: ``python -m benchmarks.peer_conversion ENGINE TASK CHECKPOINT TARGET``.

It runs in the peers' environment and imports nothing of ours. Exit code 3 and a line on stderr say that the peer does
not offer this kind of model; any other failure is a traceback.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

NOT_OFFERED: Final = 3
_TASKS: Final = {"summary": "Seq2SeqLM", "category": "SequenceClassification", "veracity": "SequenceClassification"}
_EXAMPLE_TOKENS: Final = 64


class NotOfferedError(Exception):
    """The peer has no such model; the message is for the table."""


def optimum(task: str, checkpoint: Path, target: Path) -> None:
    """fp32, as ``export=True`` makes it."""
    import_module("optimum.exporters.onnx.model_configs")  # Fills the list of what is offered.
    tasks = import_module("optimum.exporters.tasks").TasksManager
    kind = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))["model_type"]
    try:
        tasks.get_supported_tasks_for_model_type(kind, "onnx", library_name="transformers")
    except KeyError:
        raise NotOfferedError(f"optimum has no ONNX export for {kind}") from None
    model_class = getattr(import_module("optimum.onnxruntime"), f"ORTModelFor{_TASKS[task]}")
    model_class.from_pretrained(checkpoint, export=True).save_pretrained(target)


def openvino(task: str, checkpoint: Path, target: Path) -> None:
    """Weights in int8."""
    if task == "veracity":
        _openvino_xlnet(checkpoint, target)
        return
    intel = import_module("optimum.intel")
    model_class = getattr(intel, f"OVModelFor{_TASKS[task]}")
    config = intel.OVWeightQuantizationConfig(bits=8)
    model = model_class.from_pretrained(checkpoint, export=True, quantization_config=config, compile=False)
    model.save_pretrained(target)


def _openvino_xlnet(checkpoint: Path, target: Path) -> None:
    """optimum-intel knows no XLNet; OpenVINO itself converts the model of PyTorch, and nncf compresses it."""
    import torch
    from transformers import AutoModelForSequenceClassification

    converter, nncf = import_module("openvino"), import_module("nncf")
    model: Any = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    model.config.use_mems_eval = False
    model.config.return_dict = False
    names = ("input_ids", "attention_mask", "token_type_ids")

    class Logits(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
        ) -> torch.Tensor:
            return self.model(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids, use_mems=False
            )[0]

    example = {name: torch.ones((2, _EXAMPLE_TOKENS), dtype=torch.int64) for name in names}
    shapes = {name: converter.PartialShape([-1, -1]) for name in names}
    converted = converter.convert_model(Logits(), example_input=example, input=[(n, shapes[n]) for n in names])
    for tensor, name in zip(converted.inputs, names, strict=True):
        tensor.get_tensor().set_names({name})
    compressed = nncf.compress_weights(converted, mode=nncf.CompressWeightsMode.INT8_ASYM)
    target.mkdir(parents=True)
    converter.save_model(compressed, target / "model.xml", compress_to_fp16=False)


def ctranslate2(task: str, checkpoint: Path, target: Path) -> None:
    """Weights in int8."""
    if task != "summary":
        raise NotOfferedError("CTranslate2 has no classification head")
    converters = import_module("ctranslate2").converters
    size = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))["vocab_size"]

    class Converter(converters.TransformersConverter):  # type: ignore[misc, name-defined]
        def load_tokenizer(self, tokenizer_class: Any, name: str, **settings: Any) -> Any:
            # The converter wants as many tokens as the model has rows.
            tokenizer = super().load_tokenizer(tokenizer_class, name, **settings)
            tokenizer.add_tokens([f"<extra{index}>" for index in range(size - len(tokenizer))])
            return tokenizer

    Converter(str(checkpoint)).convert(str(target), quantization="int8", force=True)


_CONVERSIONS: Final = {"optimum": optimum, "openvino": openvino, "ctranslate2": ctranslate2}


def main(arguments: list[str]) -> int:
    """Convert; returns the exit code."""
    engine, task, checkpoint, target = arguments
    try:
        _CONVERSIONS[engine](task, Path(checkpoint), Path(target))
    except NotOfferedError as error:
        sys.stderr.write(f"{error}\n")
        return NOT_OFFERED
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
