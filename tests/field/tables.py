"""One small table and ways to write it."""

from __future__ import annotations

import json

import pandas as pd

ROWS = [
    {
        "title": f"Note {i}",
        "text": f"Number {i}: the “harbour” of town {i * 7} opens in the week {i * 3}.",
        "label": ("Travel", "Sports", "Wellness")[i % 3],
    }
    for i in range(60)
]
FRAME = pd.DataFrame(ROWS)
SPLIT = FRAME.assign(split=[("train", "train", "validation", "test")[i // 3 % 4] for i in range(60)])
CSV, LINES, ARRAY = FRAME.to_csv(index=False), FRAME.to_json(orient="records", lines=True), json.dumps(ROWS)
CP1252 = CSV.encode("cp1252")
BOM = "\ufeff"
