"""What becomes of every setting of a generation configuration: it is served, a request says it, or it is refused.

Nothing is passed over: a setting that is in no row of `SETTINGS` is refused by its name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final

from .errors import Unfit, first_line
from .hub import require_reached
from .vocabulary import require_known_id


class Effect(Enum):
    """What a setting does."""

    SERVED = auto()
    """The search has it, as `Search` says."""
    REQUESTED = auto()
    """Every request says it, or has the server's default; the checkpoint's own default is not taken over."""
    NONE = auto()
    """It changes no token of a search without sampling: caches, sampling, what else `generate` returns, drafts."""
    REFUSED = auto()
    """It would change tokens, and the search has it not."""


def _all(effect: Effect, names: str) -> dict[str, Effect]:
    return dict.fromkeys(names.split(), effect)


SETTINGS: Final[Mapping[str, Effect]] = {
    **_all(
        Effect.SERVED,
        "decoder_start_token_id bos_token_id eos_token_id pad_token_id forced_bos_token_id forced_eos_token_id "
        "no_repeat_ngram_size repetition_penalty suppress_tokens begin_suppress_tokens bad_words_ids",
    ),
    **_all(
        Effect.REQUESTED,
        "max_length max_new_tokens min_length min_new_tokens num_beams length_penalty early_stopping",
    ),
    **_all(
        Effect.NONE,
        "temperature top_k top_p min_p top_h typical_p epsilon_cutoff eta_cutoff "
        "use_cache cache_implementation cache_config max_cache_len low_memory prefill_chunk_size "
        "compile_config disable_compile continuous_batching_config "
        "num_return_sequences output_attentions output_hidden_states output_scores output_logits "
        "return_dict_in_generate "
        "use_mtp is_assistant num_assistant_tokens num_assistant_tokens_schedule assistant_confidence_threshold "
        "prompt_lookup_num_tokens max_matching_ngram_size assistant_early_exit assistant_lookbehind "
        "target_lookbehind assistant_ensemble_weight speculation_type transformers_version",
    ),
    **_all(
        Effect.REFUSED,
        "do_sample max_time stop_strings num_beam_groups diversity_penalty penalty_alpha dola_layers "
        "encoder_repetition_penalty encoder_no_repeat_ngram_size exponential_decay_length_penalty sequence_bias "
        "guidance_scale watermarking_config token_healing renormalize_logits remove_invalid_values constraints "
        "force_words_ids",
    ),
}
"""Every setting of ``transformers.GenerationConfig``."""
_IDLE: Final[Mapping[str, object]] = {
    "do_sample": False,
    "num_beam_groups": 1,
    "diversity_penalty": 0.0,
    "penalty_alpha": 0.0,
    "encoder_repetition_penalty": 1.0,
    "encoder_no_repeat_ngram_size": 0,
    "guidance_scale": 1.0,
    "token_healing": False,
    "renormalize_logits": False,
    "remove_invalid_values": False,
}
"""The values, beside None, with which a refused setting does nothing."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """The settings of a checkpoint's generation configuration that its search has."""

    start_token: int
    end_tokens: tuple[int, ...]
    """A summary ends at the first of any of these."""
    pad_token: int
    first_token: int | None
    """The token that every summary has after ``start_token``; None for any."""
    last_token: int
    """One of ``end_tokens``: what a summary of the greatest length ends with."""
    no_repeat_ngram_size: int
    """No sequence of so many tokens occurs twice; 0 allows all."""
    repetition_penalty: float
    """The score of a token that is there already is divided by it, or multiplied where it is below 0."""
    never: tuple[int, ...]
    """Tokens that no summary has."""
    never_first: tuple[int, ...]
    """Tokens that no summary begins with, after ``start_token`` and ``first_token``."""

    @classmethod
    def of(cls, generation: Any, vocabulary: int) -> Search:
        """Read a generation configuration.

        Args:
            generation: A ``transformers.GenerationConfig``.
            vocabulary: How many tokens the model embeds.

        Raises:
            Unfit: It has a setting that is not served, or a value out of its range.
        """
        _refuse(vars(generation))

        def token(name: str) -> int | None:
            found = getattr(generation, name, None)
            return None if found is None else require_known_id(_named(name), found, vocabulary)

        def tokens(name: str) -> tuple[int, ...]:
            found = getattr(generation, name, None)
            listed = found if isinstance(found, Sequence) else () if found is None else (found,)
            return tuple(dict.fromkeys(require_known_id(_named(name), each, vocabulary) for each in listed))

        start = token("decoder_start_token_id")
        start = token("bos_token_id") if start is None else start
        ends, pad, first = tokens("eos_token_id"), token("pad_token_id"), token("forced_bos_token_id")
        if start is None or pad is None or not ends:
            unset = "decoder_start_token_id" if start is None else "pad_token_id" if pad is None else "eos_token_id"
            raise Unfit(f"{_named(unset)} must be set, and it is not; set it and save the model again")
        lasts = tokens("forced_eos_token_id")
        if len(lasts) > 1 or not set(lasts) <= set(ends):
            raise Unfit(
                f"{_named('forced_eos_token_id')} must be one token of eos_token_id ({_shown(ends)}), not "
                f"{generation.forced_eos_token_id}; set it to {ends[0]}"
            )
        search = cls(
            start_token=start,
            end_tokens=ends,
            pad_token=pad,
            first_token=first,
            last_token=(lasts or ends)[0],
            no_repeat_ngram_size=_whole("no_repeat_ngram_size", generation.no_repeat_ngram_size),
            repetition_penalty=_positive("repetition_penalty", generation.repetition_penalty),
            never=tuple(dict.fromkeys((*tokens("suppress_tokens"), *_single_words(generation, ends, vocabulary)))),
            never_first=tokens("begin_suppress_tokens"),
        )
        barred = {*tokens("suppress_tokens")} & {*ends, *([] if first is None else [first])}
        if barred:
            raise Unfit(
                f"{_named('suppress_tokens')} bars {_shown(sorted(barred))}, which every summary needs: it is an end "
                "token or forced_bos_token_id; take it out"
            )
        return search


def searched(generation: Any) -> Any:
    """A copy of a generation configuration with nothing but what is served."""
    kept = {name: getattr(generation, name, None) for name, effect in SETTINGS.items() if effect is Effect.SERVED}
    return type(generation)(**{name: value for name, value in kept.items() if value is not None})


def left_to_requests(generation: Any) -> list[str]:
    """The settings of a generation configuration that each request says anew, as ``name=value``."""
    values = {name: getattr(generation, name, None) for name, effect in SETTINGS.items() if effect is Effect.REQUESTED}
    return [f"{name}={value!r}" for name, value in values.items() if value is not None]


def require_served_settings(source: str) -> None:
    """Check a checkpoint's ``generation_config.json``, where it has one, before its weights are loaded.

    `transformers` drops what it does not know from some of these files; here it is refused as well.

    Raises:
        Unfit: The file is broken, a value is not of its setting's type, or a setting is not served.
    """
    from transformers import GenerationConfig
    from transformers.utils import cached_file

    try:
        file = cached_file(source, "generation_config.json", _raise_exceptions_for_missing_entries=False)
        if file is None:  # the settings are those of config.json
            return
        document = json.loads(Path(file).read_text(encoding="utf-8"))
        _refuse(document)
        GenerationConfig.from_pretrained(source)
    except Unfit:
        raise
    except Exception as error:  # it is JSON of any shape, which the library's checks were not made for
        require_reached(error)
        raise Unfit(
            f"its generation_config.json cannot be used ({first_line(error)}); mend the file, or save the model again"
        ) from error


def _refuse(values: Mapping[str, Any]) -> None:
    refused = []
    for name, value in values.items():
        effect = Effect.NONE if name.startswith("_") else SETTINGS.get(name, Effect.REFUSED)
        if effect is Effect.REFUSED and value is not None and value != _IDLE.get(name):
            refused.append(f"{name}={value!r}")
    if refused:
        known = ", ".join(name for name, effect in SETTINGS.items() if effect is Effect.SERVED)
        raise Unfit(
            f"its generation_config.json sets {', '.join(refused)}, which the search of the server has not; take it "
            f"out of the file if summaries may do without. Served are {known}; lengths and beams are said by each "
            "request"
        )


def _single_words(generation: Any, ends: Sequence[int], vocabulary: int) -> list[int]:
    words = generation.bad_words_ids or []
    if not isinstance(words, list):
        raise Unfit(f"{_named('bad_words_ids')} must be a list of lists of token ids, not {words!r}")
    longer = [word for word in words if not isinstance(word, list) or len(word) != 1]
    if longer:
        raise Unfit(
            f"{_named('bad_words_ids')} bars {longer[0]!r}, and only single tokens can be barred; leave out words of "
            "several tokens"
        )
    # As in transformers, the end of a summary is no bad word.
    found = [require_known_id(_named("bad_words_ids"), word[0], vocabulary) for word in words]
    return [token for token in found if token not in ends]


def _named(name: str) -> str:
    return f"{name} of its generation_config.json"


def _shown(tokens: Sequence[int]) -> str:
    return " or ".join(map(str, tokens))


def _whole(name: str, value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Unfit(f"{_named(name)} must be a whole number from 0, not {value!r}")
    return value


def _positive(name: str, value: Any) -> float:
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise Unfit(f"{_named(name)} must be a number above 0, not {value!r}")
    return float(value)
