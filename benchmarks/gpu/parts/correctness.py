"""The step against ``transformers``, before anything is timed: the same tokens in fp32 without TF32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import torch

from benchmarks.gpu.context import Context
from benchmarks.gpu.models import make_model, random_ids
from benchmarks.gpu.summarizer import MODEL_TYPE, Size, Summarizer, exactly, louder, poison
from benchmarks.gpu.trial import inputs_of
from engine.pytorch.batch import BatchExecutor
from engine.pytorch.model.weights import load_weights
from engine.pytorch.options import Options
from engine.settings import Architecture, Bucket, Rules, Settings

_TABLE: Final = "check"
_LONGEST: Final = 20
_END_BIAS: Final = 10.0
"""What makes the end token the best word often enough for searches to end at different lengths."""
_SPREAD: Final = 0.35
"""Standard deviation of the small model's weights: with the usual one all words are nearly as good as each other."""
_MIXED: Final = (
    Settings(max_length=9, length_penalty=2.0),
    Settings(min_length=12, max_length=_LONGEST, no_repeat_ngram_size=3, early_stopping=False),
    Settings(max_length=_LONGEST, length_penalty=-1.0, early_stopping="never"),
    Settings(min_length=5, max_length=15, no_repeat_ngram_size=1, early_stopping="never"),
    Settings(min_length=6, max_length=_LONGEST, length_penalty=0.0, no_repeat_ngram_size=2, early_stopping=False),
    Settings(max_length=2),
)
"""Settings of articles that share a batch."""
_FORCED: Final = ((0, 2, 1.0), (None, None, 1.3), (0, None, 1.0))
"""First token, last token, and repetition penalty."""


class DifferentTokensError(Exception):
    """The engine does not write what ``transformers`` writes."""


class _Checks:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.failed: list[str] = []

    def row(self, check: str, precision: str, found: torch.Tensor, wanted: torch.Tensor, *, must: bool = True) -> None:
        """A row for tokens (summaries, length) that must be the same, or of which is said how many are."""
        same = (found == wanted).all(dim=1)
        counted = wanted != 1
        share = float(((found == wanted) & counted).sum() / counted.sum())
        passed = bool(same.all()) if must else None
        if passed is False:
            self.failed.append(check)
        self.context.row(
            _TABLE,
            check=check,
            precision=precision,
            summaries=len(same),
            equal=int(same.sum()),
            equal_tokens=round(share, 4),
            passed=passed,
        )

    def attempt(self, check: str, call: Callable[[], None], *, at_least_s: float = 0.0) -> None:
        """A check that could not be made counts as one that was not passed, unless there was no time for it."""

        def checked() -> bool:
            call()
            return True

        late = self.context.left_s < at_least_s
        if self.context.attempt(_TABLE, check, checked, at_least_s=at_least_s) is None and not late:
            self.failed.append(check)


def run(context: Context) -> None:
    """Compare tokens; raises `DifferentTokensError` at the end where those that must be equal are not."""
    torch.set_float32_matmul_precision("highest")
    checks = _Checks(context)
    checks.attempt("full size", lambda: _full(checks), at_least_s=0 if context.toy else 12)
    checks.attempt("all forms of search, a small model", lambda: _forms(checks))
    if not context.cuda:
        checks.attempt("a step on tensors without values", lambda: _rehearse(context))
    if checks.failed:
        raise DifferentTokensError(f"the engine does not write what transformers writes: {'; '.join(checks.failed)}")


# -- a small model, in all forms of the search ------------------------------------------------------------------


def _small(context: Context) -> Any:
    model = make_model(replace(context, toy=True), MODEL_TYPE, torch.float32)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                spread = _SPREAD if parameter.dim() > 1 else 0.1
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
                if isinstance(module, torch.nn.LayerNorm) and name == "weight":
                    parameter.add_(1)
        model.final_logits_bias[0, model.config.eos_token_id] = _END_BIAS
    model.tie_weights()
    return model


def _forms(checks: _Checks) -> None:
    context = checks.context
    model = _small(context)
    small = Summarizer(context, model, torch.float32)
    inputs = inputs_of(MODEL_TYPE, random_ids(replace(context, toy=True), MODEL_TYPE, len(_MIXED), 24), padded=True)
    for beams in (4, 1, 2, 3):
        found, wanted = [], []
        # One of them with fewer beams than its neighbours.
        mixed = [replace(settings, num_beams=beams) for settings in _MIXED]
        mixed[-2] = replace(mixed[-2], num_beams=(beams + 1) // 2)
        for first, last, repetition in _FORCED:
            rules = Rules(
                start_token=2, end_tokens=(2,), pad_token=1, first_token=first, last_token=last,
                repetition_penalty=repetition,
            )  # fmt: skip
            bucket = Bucket(slots=len(_MIXED) + 1, beams=beams, source_length=24, target_length=_LONGEST)
            executor = BatchExecutor(small.weights, small.architecture, rules, bucket)
            poison(executor)
            found.append(executor.summarize(inputs["input_ids"], inputs["attention_mask"], mixed))
            wanted += [
                _generate(model, {name: tensor[row : row + 1] for name, tensor in inputs.items()}, rules, settings)
                for row, settings in enumerate(mixed)
            ]
        checks.row(
            f"mixed settings in one batch, small model, beams {beams}", "fp32", torch.cat(found), torch.cat(wanted)
        )
    if not context.toy:
        # What is compiled for a GPU is not what is compiled for a processor.
        context.attempt(_TABLE, "compiled", lambda: _compiled(checks, small, inputs), at_least_s=20)


def _compiled(checks: _Checks, small: Summarizer, inputs: dict[str, torch.Tensor]) -> None:
    """The forms of the search in compiled code, against the same that are not compiled."""
    rules = Rules(start_token=2, end_tokens=(2,), pad_token=1, first_token=0, last_token=2)
    bucket = Bucket(slots=len(_MIXED), beams=4, source_length=24, target_length=_LONGEST)
    found, mixed = [], [replace(settings, num_beams=4) for settings in _MIXED]
    for options in (Options(compiler="inductor"), Options()):
        executor = BatchExecutor(small.weights, small.architecture, rules, bucket, options)
        found.append(executor.summarize(inputs["input_ids"], inputs["attention_mask"], mixed))
    checks.row("mixed settings in one batch, small model, beams 4, compiled", "fp32", found[0], found[1])


def _generate(model: Any, inputs: dict[str, torch.Tensor], rules: Rules, settings: Settings) -> torch.Tensor:
    """What ``transformers`` writes, padded: INT64 (articles, longest)."""
    searching = {"length_penalty": settings.length_penalty, "early_stopping": settings.early_stopping}
    with torch.no_grad():
        found = model.generate(
            **inputs,
            do_sample=False,
            num_beams=settings.num_beams,
            min_length=settings.min_length,
            max_length=settings.max_length,
            no_repeat_ngram_size=settings.no_repeat_ngram_size,
            forced_bos_token_id=rules.first_token,
            forced_eos_token_id=rules.last_token,
            repetition_penalty=rules.repetition_penalty,
            **(searching if settings.num_beams > 1 else dict.fromkeys(searching)),
        )
    return torch.nn.functional.pad(found, (0, _LONGEST - found.shape[1]), value=rules.pad_token)


# -- the full size ----------------------------------------------------------------------------------------------


def _full(checks: _Checks) -> None:
    context = checks.context
    size = Size(batch=2, tokens_in=24, tokens_out=_LONGEST) if context.toy else Size(batch=4)
    model = make_model(context, MODEL_TYPE, torch.float32)
    louder(model)
    inputs = inputs_of(MODEL_TYPE, random_ids(context, MODEL_TYPE, size.batch, size.tokens_in), padded=True)
    settings = exactly(size)
    with torch.no_grad():
        wanted = model.generate(
            **inputs, do_sample=False, num_beams=size.beams, min_length=size.tokens_out, max_length=size.tokens_out,
            length_penalty=settings.length_penalty, no_repeat_ngram_size=settings.no_repeat_ngram_size,
        )  # fmt: skip

    def summaries(summarizer: Summarizer, options: Options) -> torch.Tensor:
        executor = summarizer.executor(size, options)
        poison(executor)
        return executor.summarize(inputs["input_ids"], inputs["attention_mask"], [settings] * size.batch)

    words = f"{size.tokens_in} tokens in, {size.tokens_out} out, 4 beams, padded"
    exact = Summarizer(context, model, torch.float32)
    checks.row(words, "fp32", summaries(exact, Options()), wanted)
    ways = {
        "without a CUDA graph": Options(graphs=False),
        "attention as two products": Options(step="torch", attention="products"),
    }
    for way, options in ways.items():
        checks.row(f"{words}, {way}", "fp32", summaries(exact, options), wanted)
    for precision, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):

        def rounded(precision: str = precision, dtype: torch.dtype = dtype) -> None:
            found = summaries(Summarizer(context, model, dtype), Options())
            checks.row(f"{words}, against fp32", precision, found, wanted, must=False)

        context.attempt(_TABLE, f"{words}, {precision}", rounded, at_least_s=0 if context.toy else 5)


# -- without a GPU ----------------------------------------------------------------------------------------------


def _rehearse(context: Context) -> None:
    """Take a step on tensors that say they are on a GPU and have no values: what would wait for one, raises."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    model = make_model(context, MODEL_TYPE, torch.float32)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    # Only a build for CUDA has what such tensors need; on "meta" no device is mixed up, but values are missed too.
    device = "cuda" if torch.backends.cuda.is_built() else "meta"
    with FakeTensorMode():
        tensors = {name: torch.empty(shape, device=device) for name, shape in shapes.items()}
        architecture = Architecture.of(model.config.to_dict())
        weights = load_weights(tensors, architecture, torch.bfloat16, device)
        rules = Rules(start_token=2, end_tokens=(2,), pad_token=1, first_token=0, last_token=2, repetition_penalty=1.2)
        bucket = Bucket(slots=2, beams=4, source_length=24, target_length=_LONGEST)
        for attention in ("efficient", "products"):
            options = Options(graphs=False, step="torch", attention=attention)
            executor = BatchExecutor(weights, architecture, rules, bucket, options)
            executor.read_all()
            for plain in (True, False):
                executor.continue_searches(bucket.slots, plain=plain)
    context.row(
        _TABLE, check=f"a step on tensors without values ({device})", precision="bf16", summaries=0, equal=0,
        equal_tokens=None, passed=True,
    )  # fmt: skip
