"""DeBERTa version 2 and 3 (He et al., 2021): relative positions in every attention.

Its graph for CPUs comes from optimum.
"""

from __future__ import annotations

from typing import Final

from infolens.contract import AnswerKind

from .deberta_v2_gpu import unsupported, write_gpu
from .record import Architecture, SpecialToken

ARCHITECTURE: Final = Architecture(
    model_type="deberta-v2",
    answers=AnswerKind.LABELS,
    model_class="DebertaV2ForSequenceClassification",
    example="microsoft/deberta-v3-base",
    write=None,
    write_gpu=write_gpu,
    before=(SpecialToken(roles=("cls_token",)),),
    after=(SpecialToken(roles=("sep_token",)),),
    positions=lambda config: int(config.max_position_embeddings),
    unsupported=unsupported,
)
