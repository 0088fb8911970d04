"""The engines that are measured, each behind the same three calls; imported by the worker process alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.common.shapes import shape_of

from .conversion import ALONE

Inputs = dict[str, npt.NDArray[Any]]


class Engine(Protocol):
    """What the worker asks of an engine."""

    packages: ClassVar[tuple[str, ...]]
    """Distributions whose versions belong to the figures."""
    notes: str
    """What a reader should know about how it runs here."""

    def __init__(self, job: dict[str, Any]) -> None:
        """Load the model: what ``load_s`` times."""

    @classmethod
    def load_packages(cls, job: dict[str, Any]) -> None:
        """Import what `__init__` needs for a job, so that it times the model alone."""

    def prepare(self, inputs: Inputs, generation: dict[str, Any] | None) -> Callable[[], Any]:
        """Bring the inputs into the engine's own form; the call that is returned is what is timed."""

    def rows(self, raw: Any) -> list[list[Any]]:
        """The answer of a call as lists: token ids of the summaries, or probabilities."""


class _Torch:
    """Whatever behaves as a model of ``transformers`` does."""

    packages: ClassVar[tuple[str, ...]] = ("transformers", "torch")
    notes = ""
    module = "transformers"
    classes: ClassVar[dict[str, str]] = {
        "text": "AutoModelForSeq2SeqLM",
        "labels": "AutoModelForSequenceClassification",
    }
    """By what the answers are made of."""

    def __init__(self, job: dict[str, Any]) -> None:
        import torch

        torch.set_num_threads(job["threads"])
        self.model = self.load(self.model_class(job), job)

    @classmethod
    def load_packages(cls, job: dict[str, Any]) -> None:
        cls.model_class(job)

    @classmethod
    def model_class(cls, job: dict[str, Any]) -> Any:
        return getattr(import_module(cls.module), cls.classes[job["answers"]])

    def load(self, model_class: Any, job: dict[str, Any]) -> Any:
        return model_class.from_pretrained(job["model"]).eval()

    def prepare(self, inputs: Inputs, generation: dict[str, Any] | None) -> Callable[[], Any]:
        import torch

        tensors = {name: torch.from_numpy(array).long() for name, array in inputs.items()}
        if generation is None:

            def classify() -> Any:
                with torch.inference_mode():
                    return torch.as_tensor(self.model(**tensors).logits).softmax(-1).numpy()

            return classify
        g = generation

        def summarize() -> Any:
            with torch.inference_mode():
                return self.model.generate(
                    **tensors,
                    num_beams=g["beams"],
                    min_length=g["tokens_out"],
                    max_length=g["tokens_out"],
                    no_repeat_ngram_size=g["no_repeat_ngram"],
                    length_penalty=g["length_penalty"],
                    early_stopping=True,
                    do_sample=False,
                ).numpy()

        return summarize

    def rows(self, raw: Any) -> list[list[Any]]:
        return _rows(raw)


class _Transformers(_Torch):
    """``transformers`` with PyTorch, not compiled, fp32."""


class _Optimum(_Torch):
    """``ORTModel`` of optimum: ONNX Runtime inside the loops of ``transformers``, fp32."""

    packages: ClassVar[tuple[str, ...]] = ("optimum-onnx", "onnxruntime", "transformers", "torch")
    module = "optimum.onnxruntime"
    classes: ClassVar[dict[str, str]] = {
        "text": "ORTModelForSeq2SeqLM",
        "labels": "ORTModelForSequenceClassification",
    }

    def load(self, model_class: Any, job: dict[str, Any]) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job["threads"]
        return model_class.from_pretrained(job["model"], session_options=options)


class _OpenVino(_Torch):
    """OpenVINO with weights in int8, through optimum-intel; what that does not know, through OpenVINO alone."""

    packages: ClassVar[tuple[str, ...]] = ("openvino", "optimum-intel", "nncf", "transformers", "torch")
    module = "optimum.intel"
    classes: ClassVar[dict[str, str]] = {
        "text": "OVModelForSeq2SeqLM",
        "labels": "OVModelForSequenceClassification",
    }

    @classmethod
    def model_class(cls, job: dict[str, Any]) -> Any:
        return import_module("openvino").Core if cls._is_alone(job) else super().model_class(job)

    @staticmethod
    def _is_alone(job: dict[str, Any]) -> bool:
        return Path(job["model"], ALONE).is_file()

    def load(self, model_class: Any, job: dict[str, Any]) -> Any:
        config = {"INFERENCE_NUM_THREADS": str(job["threads"]), "PERFORMANCE_HINT": "LATENCY"}
        if self._is_alone(job):
            self.notes = (
                f"through openvino.convert_model, since optimum-intel knows no {shape_of(job['architecture']).name}"
            )
            return model_class().compile_model(str(Path(job["model"], ALONE)), "CPU", config)
        model = model_class.from_pretrained(job["model"], ov_config=config)
        model.compile()
        return model

    def prepare(self, inputs: Inputs, generation: dict[str, Any] | None) -> Callable[[], Any]:
        from openvino import CompiledModel

        if not isinstance(self.model, CompiledModel):
            return super().prepare(inputs, generation)
        feeds = {name: array.astype(np.int64) for name, array in inputs.items()}
        return lambda: _softmax(self.model(feeds)[0])


class _CTranslate2:
    """CTranslate2 with weights in int8 and activations quantized as it goes."""

    packages: ClassVar[tuple[str, ...]] = ("ctranslate2",)
    notes = ""

    def __init__(self, job: dict[str, Any]) -> None:
        import ctranslate2

        self.translator = ctranslate2.Translator(
            job["model"], device="cpu", inter_threads=1, intra_threads=job["threads"], compute_type="int8"
        )
        vocabulary = Path(job["model"], "shared_vocabulary.json").read_text(encoding="utf-8")
        self.tokens: list[str] = json.loads(vocabulary)
        self.ids = {token: index for index, token in enumerate(self.tokens)}
        shape = shape_of(job["architecture"])
        self.start, *self.forced = (self.tokens[index] for index in shape.decoder_first)
        self.end = self.tokens[shape.last[-1]]

    @classmethod
    def load_packages(cls, job: dict[str, Any]) -> None:  # noqa: ARG003 - it has one class for all
        import_module("ctranslate2")

    def prepare(self, inputs: Inputs, generation: dict[str, Any] | None) -> Callable[[], Any]:
        if generation is None:
            raise ValueError("CTranslate2 has no classification head")
        texts = [[self.tokens[index] for index in row] for row in inputs["input_ids"]]
        # Its lengths count neither the start token nor the end token, and it writes no end token when it is cut off.
        length = generation["tokens_out"] - 2
        return lambda: self.translator.translate_batch(
            texts,
            target_prefix=[self.forced] * len(texts),
            beam_size=generation["beams"],
            min_decoding_length=length,
            max_decoding_length=length,
            no_repeat_ngram_size=generation["no_repeat_ngram"],
            length_penalty=generation["length_penalty"],
            max_batch_size=len(texts),
        )

    def rows(self, raw: Any) -> list[list[Any]]:
        return [[self.ids[token] for token in (self.start, *result.hypotheses[0], self.end)] for result in raw]


class _OnnxRuntime:
    """An exported graph of ours in ONNX Runtime, in this process."""

    packages: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    notes = ""

    def __init__(self, job: dict[str, Any]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job["threads"]
        options.log_severity_level = 3
        if job.get("operators"):
            options.register_custom_ops_library(job["operators"])
            self.notes = "native operators"
        # Threads spin while a request runs, as other engines' do, and stop with it.
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if job["threads"] > 1 else "0")
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self.session = onnxruntime.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])

    @classmethod
    def load_packages(cls, job: dict[str, Any]) -> None:  # noqa: ARG003 - it has one class for all
        import_module("onnxruntime")

    def prepare(self, inputs: Inputs, generation: dict[str, Any] | None) -> Callable[[], Any]:  # noqa: ARG002
        taken = {one.name for one in self.session.get_inputs()}  # older graphs take fewer
        mine = {name: array for name, array in inputs.items() if name in taken}
        return lambda: self.session.run(None, mine)[0]

    def rows(self, raw: Any) -> list[list[Any]]:
        return _rows(raw)


class _Triton:
    """A model of a running Triton, over gRPC: ``model`` of the job is ``HOST:PORT/NAME``."""

    packages: ClassVar[tuple[str, ...]] = ("tritonclient",)
    notes = ""

    def __init__(self, job: dict[str, Any]) -> None:
        from tritonclient.grpc import InferenceServerClient

        url, _, self.name = job["model"].partition("/")
        self.client = InferenceServerClient(url)
        self.taken = {one.name for one in self.client.get_model_metadata(self.name).inputs}

    @classmethod
    def load_packages(cls, job: dict[str, Any]) -> None:  # noqa: ARG003 - it has one class for all
        import_module("tritonclient.grpc")

    def prepare(self, inputs: Inputs, generation: dict[str, Any] | None) -> Callable[[], Any]:  # noqa: ARG002
        from tritonclient.grpc import InferInput
        from tritonclient.utils import np_to_triton_dtype

        def ask() -> Any:
            tensors = []
            for name, array in ((one, inputs[one]) for one in inputs if one in self.taken):
                tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
                tensor.set_data_from_numpy(array)
                tensors.append(tensor)
            result = self.client.infer(self.name, tensors)
            return result.as_numpy(result.get_response().outputs[0].name)

        return ask

    def rows(self, raw: Any) -> list[list[Any]]:
        return _rows(raw)


def _rows(raw: Any) -> list[list[Any]]:
    found: list[list[Any]] = np.asarray(raw).tolist()
    return found


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    found: npt.NDArray[np.float32] = powers / powers.sum(-1, keepdims=True)
    return found


ENGINES: dict[str, type[Engine]] = {
    "transformers": _Transformers,
    "optimum": _Optimum,
    "ctranslate2": _CTranslate2,
    "openvino": _OpenVino,
    "infolens": _OnnxRuntime,
    "triton": _Triton,
}
