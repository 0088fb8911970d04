"""What the cells of a table say: as texts, as objections, and short enough for a message."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # the command line checks labels, and would wait for it
    import pandas as pd

_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlong = 40
_SHOWN_COLUMNS: Final = 20
_SHOWN_CHARACTERS: Final = 60


def shown_value(value: Any) -> str:
    """A cell as a message shows it; of a long one the two ends."""
    empty = value is None or (isinstance(value, float) and value != value)  # as pandas has it, nan
    return "an empty cell" if empty else _SHORT.repr(value)


def shortened(text: str) -> str:
    """A text that a user wrote, such as a label, as a message shows it: cut where it is long."""
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."


def shown_columns(names: Iterable[Any]) -> str:
    """The names of columns as a message shows them: cut where they are long, and of very many the first ones."""
    every = [shortened(str(name)) for name in names]
    more = len(every) - _SHOWN_COLUMNS
    return ", ".join(every[:_SHOWN_COLUMNS]) + (f" and {more} more" if more > 0 else "")


def label_text(value: Any) -> str:
    """A cell as a label: without blanks at its ends; empty where none is there, or something that is none."""
    import numpy as np

    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating):
        if not np.isfinite(value):
            return ""
        return str(int(value) if float(value).is_integer() else value)
    return str(value).strip() if isinstance(value, str | int | np.integer) else ""


def column_texts(column: pd.Series) -> list[str]:
    """The cells of a column as texts, whatever its type; empty where nothing is there."""
    return [
        "" if missing else value if isinstance(value, str) else label_text(value) or str(value)
        for value, missing in zip(column, column.isna(), strict=True)
    ]


def text_fault(value: Any) -> str:
    """What keeps a cell from being the text of an article or its answer; empty where nothing does."""
    if not (isinstance(value, str) and value.strip()):
        return f"must be text that is not blank, not {shown_value(value)}"
    return _encoding_fault(value)


def remark_fault(value: Any) -> str:
    """What keeps a cell from being a title or a source, which may be missing; empty where nothing does."""
    import numpy as np

    if isinstance(value, list | tuple | set | dict | bytes | np.ndarray):
        return f"must be text or nothing, not {shown_value(value)}"
    return _encoding_fault(value) if isinstance(value, str) else ""


def _encoding_fault(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return (
            f"must be text that UTF-8 can carry; {text[error.start]!r} is half of a pair and no character: "
            "write it whole, or leave it out"
        )
    return ""
