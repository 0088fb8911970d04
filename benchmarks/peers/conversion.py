"""Convert a checkpoint for one peer: ``python -m benchmarks.peers.conversion ENGINE ANSWERS CHECKPOINT TARGET``.

ANSWERS is ``text`` or ``labels``, what the model's answers are made of. It runs in the peers' environment and imports
nothing of ours. Exit code 3 and a line on stderr say that the peer does
not offer this kind of model; any other failure is a traceback.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

NOT_OFFERED: Final = 3
ALONE: Final = "model.xml"
"""File of a model that OpenVINO itself converted; optimum-intel gives its own another name."""
_CLASSES: Final = {"text": "Seq2SeqLM", "labels": "SequenceClassification"}
"""Ends of the names of the classes of optimum and optimum-intel."""
_EXAMPLE_TOKENS: Final = 64


class NotOfferedError(Exception):
    """The peer has no such model; the message is for the table."""


def optimum(answers: str, checkpoint: Path, target: Path) -> None:
    """fp32, as ``export=True`` makes it."""
    architecture = _config(checkpoint)["model_type"]
    if not _knows("onnx", architecture):
        raise NotOfferedError(f"optimum has no ONNX export for {architecture}")
    model_class = getattr(import_module("optimum.onnxruntime"), f"ORTModelFor{_CLASSES[answers]}")
    model_class.from_pretrained(checkpoint, export=True).save_pretrained(target)


def openvino(answers: str, checkpoint: Path, target: Path) -> None:
    """Weights in int8."""
    architecture = _config(checkpoint)["model_type"]
    if not _knows("openvino", architecture):
        if architecture not in _ALONE:
            raise NotOfferedError(f"optimum-intel has no export for {architecture}")
        _ALONE[architecture](checkpoint, target)
        return
    intel = import_module("optimum.intel")
    model_class = getattr(intel, f"OVModelFor{_CLASSES[answers]}")
    config = intel.OVWeightQuantizationConfig(bits=8)
    model = model_class.from_pretrained(checkpoint, export=True, quantization_config=config, compile=False)
    model.save_pretrained(target)


def _config(checkpoint: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    return found


def _knows(exporter: str, architecture: str) -> bool:
    """Whether optimum has an export of that kind for an architecture."""
    import_module(f"optimum.exporters.{exporter}.model_configs")  # Fills the list of what is offered.
    tasks = import_module("optimum.exporters.tasks").TasksManager
    try:
        tasks.get_supported_tasks_for_model_type(architecture, exporter, library_name="transformers")
    except KeyError:
        return False
    return True


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
    converter.save_model(compressed, target / ALONE, compress_to_fp16=False)


_ALONE: Final[dict[str, Callable[[Path, Path], None]]] = {"xlnet": _openvino_xlnet}
"""What OpenVINO converts without optimum-intel, by architecture."""


def ctranslate2(answers: str, checkpoint: Path, target: Path) -> None:
    """Weights in int8."""
    if answers == "labels":
        raise NotOfferedError("CTranslate2 has no classification head")
    converters = import_module("ctranslate2").converters
    size = _config(checkpoint)["vocab_size"]

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
    engine, answers, checkpoint, target = arguments
    try:
        _CONVERSIONS[engine](answers, Path(checkpoint), Path(target))
    except NotOfferedError as error:
        sys.stderr.write(f"{error}\n")
        return NOT_OFFERED
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
