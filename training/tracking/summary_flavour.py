"""An MLflow flavour for models that write texts: model and tokenizer as they were saved, and a function that asks them.

`transformers` has no pipeline that summarizes any more, and MLflow's own flavour for it works with pipelines alone. The
folder is laid out like that flavour's, so that whoever fetches a checkpoint finds it at the same place. MLflow loads
this file by itself, from a copy beside the model: it imports nothing of ours.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

FLAVOUR: Final = "infolens_summary"
REQUIREMENTS: Final = ("transformers", "torch", "pandas")
_CODE: Final = "code"
_MODEL: Final = "model"
_TOKENIZER: Final = "components/tokenizer"


def write_checkpoint(folder: Path, model: Any, tokenizer: Any) -> None:
    """Write a model and its tokenizer of `transformers` to the places that MLflow's own flavour gives them."""
    model.save_pretrained(folder / _MODEL)
    tokenizer.save_pretrained(folder / _TOKENIZER)


def save_model(path: str | Path, mlflow_model: Any, checkpoint: Path, signature: Any) -> None:
    """Write a model as `mlflow.models.Model.log` asks for it; `write_checkpoint` writes what it takes.

    Args:
        path: Folder to make.
        mlflow_model: The ``mlflow.models.Model`` that tells of it; gets the flavours and is written too.
        checkpoint: Folder of ``model/`` and ``components/tokenizer/``.
        signature: An ``mlflow.models.ModelSignature``.
    """
    from mlflow import pyfunc
    from mlflow.models.model import MLMODEL_FILE_NAME

    folder = Path(path)
    shutil.copytree(checkpoint, folder)
    (folder / _CODE).mkdir()
    shutil.copy(__file__, folder / _CODE)
    (folder / "requirements.txt").write_text("\n".join(REQUIREMENTS) + "\n", encoding="utf-8")
    mlflow_model.signature = signature
    mlflow_model.add_flavor(FLAVOUR, model=_MODEL, tokenizer=_TOKENIZER, code=_CODE)
    pyfunc.add_to_model(mlflow_model, loader_module=Path(__file__).stem, code=_CODE)
    mlflow_model.save(str(folder / MLMODEL_FILE_NAME))


class Summarizer:
    """Summarizes articles as the checkpoint's generation config says."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder / _TOKENIZER)
        self.model: Any = AutoModelForSeq2SeqLM.from_pretrained(folder / _MODEL, dtype="float32").eval()

    def predict(self, articles: Any, params: Any = None) -> list[str]:
        """Summaries of articles: a list of texts, or a table of one column."""
        texts: Sequence[str] = articles.iloc[:, 0].tolist() if hasattr(articles, "iloc") else list(articles)
        inputs = self.tokenizer(texts, truncation=True, padding=True, split_special_tokens=True, return_tensors="pt")
        sequences = self.model.generate(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        return [text.strip() for text in self.tokenizer.batch_decode(sequences, skip_special_tokens=True)]


def _load_pyfunc(path: str) -> Summarizer:
    """What MLflow calls to load the model from its folder."""
    return Summarizer(Path(path))
