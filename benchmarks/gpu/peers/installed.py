"""Engines beside PyTorch that may be on a machine or not: CTranslate2 for summaries, ONNX Runtime for classifiers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks.common.shapes import shape_of
from benchmarks.gpu.context import Context
from benchmarks.gpu.models import random_ids
from benchmarks.gpu.timing import synchronize
from benchmarks.gpu.trial import Trial

from .generating import Search, WrongLengthError

PROVIDERS: Final = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
_ELEMENTS: Final = {torch.float16: np.float16, torch.float32: np.float32}
_MAXIMUM_BATCH: Final = 64


class MissingError(Exception):
    """The machine has not what an engine needs; the message says what."""


def ctranslate2_for(context: Context) -> Any:
    """The module.

    Raises:
        MissingError: It is not installed, or built without the device.
    """
    try:
        module = import_module("ctranslate2")
    except ImportError as error:
        raise MissingError(f"CTranslate2 cannot be imported: {error}") from error
    if context.cuda and module.get_cuda_device_count() < 1:
        raise MissingError(
            f"CTranslate2 {module.__version__} finds no GPU: it needs a build for CUDA and its libraries"
        )
    return module


@dataclass(frozen=True, kw_only=True)
class _Words:
    """What a converter asks of a tokenizer, for a vocabulary whose words are numbered."""

    count: int
    bos: int
    eos: int

    def get_vocab(self) -> Mapping[str, int]:
        return {_word(index): index for index in range(self.count)}

    def convert_ids_to_tokens(self, index: int) -> str:
        return _word(index)

    bos_token = property(lambda self: _word(self.bos))
    eos_token = property(lambda self: _word(self.eos))
    unk_token = property(lambda self: _word(self.count - 1))


def _word(index: int) -> str:
    return f"w{index}"


class CTranslate2:
    """A model of CTranslate2, converted from one of ``transformers``."""

    def __init__(self, context: Context, model: Any, precision: str, folder: Path) -> None:
        """Convert and load it.

        Args:
            context: Says the device.
            model: BART.
            precision: ``fp16`` or ``fp32``.
            folder: An empty one, for what is converted.
        """
        module = ctranslate2_for(context)
        compute_type = {"fp16": "float16", "fp32": "float32"}[precision]
        config = model.config
        words = _Words(count=config.vocab_size, bos=config.bos_token_id, eos=config.eos_token_id)

        class Converter(module.converters.TransformersConverter):  # type: ignore[misc, name-defined]
            def load_model(self, *_: Any, **__: Any) -> Any:
                return model

            def load_tokenizer(self, *_: Any, **__: Any) -> Any:
                return words

        config.save_pretrained(folder / "config")
        converted = str(folder / "converted")
        Converter(str(folder / "config")).convert(converted, quantization=compute_type)
        self.context = context
        self.translator = module.Translator(converted, device=context.device, compute_type=compute_type)

    def call(self, search: Search, batch: int) -> Callable[[], None]:
        """A call that writes the summaries of a batch."""
        shape = shape_of("bart")
        ids = random_ids(self.context, "bart", batch, search.tokens_in).tolist()
        texts = [[_word(index) for index in row] for row in ids]
        forced = [_word(index) for index in shape.decoder_first[1:]]
        length = search.tokens_out - 2  # It counts neither the start token nor the end token.

        def call() -> None:
            found = self.translator.translate_batch(
                texts,
                target_prefix=[forced] * batch,
                beam_size=search.beams,
                min_decoding_length=length,
                max_decoding_length=length,
                no_repeat_ngram_size=search.no_repeat_ngram,
                length_penalty=search.length_penalty,
                max_batch_size=batch,
            )
            lengths = {len(result.hypotheses[0]) for result in found}
            if len(found) != batch or lengths != {length}:
                raise WrongLengthError(f"summaries of {length} tokens were asked for, and {sorted(lengths)} came")

        return call


class OnnxRuntime:
    """A classifier in ONNX Runtime, as PyTorch exports it; inputs and outputs stay on the device."""

    def __init__(self, context: Context, model: Any, model_type: str, tokens: int, folder: Path) -> None:
        """Export and load it.

        Args:
            context: Says the device.
            model: DistilBERT or another classifier without token types.
            model_type: Its entry of `benchmarks.common.shapes.SHAPES`.
            tokens: Of an article; the batch is free.
            folder: For the file.

        Raises:
            MissingError: ONNX Runtime cannot be imported, or is built without the device.
        """
        try:
            module = import_module("onnxruntime")
        except ImportError as error:
            raise MissingError(f"ONNX Runtime cannot be imported: {error}") from error
        provider, offered = PROVIDERS[context.device], module.get_available_providers()
        if provider not in offered:
            raise MissingError(f"ONNX Runtime {module.__version__} has no {provider}, only {', '.join(offered)}")
        ids = random_ids(context, model_type, 2, tokens)
        free = {0: torch.export.Dim("batch", min=1, max=_MAXIMUM_BATCH)}
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        path = str(folder / "model.onnx")
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # The exporter warns of its own old calls.
            torch.onnx.export(
                model,
                (),
                path,
                kwargs=inputs,
                dynamo=True,
                verbose=False,
                input_names=list(inputs),
                output_names=["logits"],
                dynamic_shapes=dict.fromkeys(inputs, free),
            )
        self.context, self.dtype, self.labels = context, model.dtype, model.config.num_labels
        self.session = module.InferenceSession(path, providers=[provider])
        if provider not in self.session.get_providers():
            raise MissingError(
                f"ONNX Runtime {module.__version__} could not start its {provider}: a library is missing"
            )

    def call(self, trial: Trial, batch: int) -> Callable[[], None]:
        """A call that answers a trial."""
        device = self.context.device
        logits = torch.empty((batch, self.labels), dtype=self.dtype, device=device)
        binding = self.session.io_binding()
        for name in ("input_ids", "attention_mask"):
            tensor = trial.inputs[name]
            binding.bind_input(name, device, 0, np.int64, tuple(tensor.shape), tensor.data_ptr())
        binding.bind_output("logits", device, 0, _ELEMENTS[self.dtype], tuple(logits.shape), logits.data_ptr())

        def call() -> None:
            synchronize(device)  # It runs on a stream of its own, which does not wait for PyTorch's.
            self.session.run_with_iobinding(binding)
            trial.probabilities.copy_(logits.float().softmax(-1))

        return call
