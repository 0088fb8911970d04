"""An architecture that the project does not have, as somebody would add it: ELECTRA (Clark et al., 2020).

In the project this would be ``export/architectures/electra.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import onnx
import pytest

from export.architectures import Architecture, SpecialToken, Trained, architectures
from export.architectures.bert import bert_like, unsupported
from export.architectures.encoder import Dense, write_encoder
from export.architectures.record import known_values
from export.graph.graph import MICROSOFT
from export.graph.initializers import Initializers
from export.graph.precision import Precision
from infolens.contract import AnswerKind
from tests import families


def _write(trained: Trained, precision: Precision, initializers: Initializers) -> onnx.ModelProto:
    head = (
        Dense(name="classifier.dense", activation="Gelu", domain=MICROSOFT),
        Dense(name="classifier.out_proj"),
    )
    return write_encoder(bert_like(trained, "electra", head), trained.weights, precision, initializers)


def _unsupported(config: Any) -> list[str]:
    """Embeddings narrower than the layers go through a product that this writer does not write."""
    return unsupported(config) + known_values(config, embedding_size=(config.hidden_size,))


ARCHITECTURE: Final = Architecture(
    model_type="electra",
    answers=AnswerKind.LABELS,
    model_class="ElectraForSequenceClassification",
    example="google/electra-base-discriminator",
    write=_write,
    before=(SpecialToken(roles=("cls_token",)),),
    after=(SpecialToken(roles=("sep_token",)),),
    positions=lambda config: int(config.max_position_embeddings),
    unsupported=_unsupported,
)


@contextmanager
def known() -> Iterator[None]:
    """ELECTRA is an architecture until the block ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(architectures(), ARCHITECTURE.model_type, ARCHITECTURE)
        yield


def checkpoint(folder: Path, labels: Sequence[str], texts: Sequence[str]) -> Path:
    """Write the checkpoint of a small ELECTRA with random weights."""
    from transformers import ElectraConfig, ElectraForSequenceClassification

    bert, tokenizer = families.bert(labels, texts)
    names: dict[str, Any] = {"id2label": bert.config.id2label, "label2id": bert.config.label2id}
    config = ElectraConfig(
        vocab_size=len(tokenizer),
        embedding_size=32,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
        **names,
    )
    ElectraForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
