"""Long articles in windows, for the comparison: how they are laid out, and what a classifier answers to them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from export.checkpoint.checkpoint import Checkpoint
from export.checkpoint.tokenization import Batch
from infolens.contract import ATTENTION_MASK, INPUT_IDS


def lay_out(batch: Batch, checkpoint: Checkpoint) -> Batch:
    """The rows of a batch in the windows of a checkpoint; as they are where it has none. See `in_windows`."""
    if not checkpoint.window:
        return batch
    architecture = checkpoint.architecture
    return in_windows(
        batch,
        checkpoint.window,
        frame=(len(architecture.before), len(architecture.after)),
        pad=checkpoint.tokenizer.pad_token_id,
        most=checkpoint.max_tokens // checkpoint.window,
    )


def in_windows(batch: Batch, window: int, *, frame: tuple[int, int], pad: int, most: int) -> Batch:
    """Cut rows that are longer than a window into windows, each with the special tokens around it.

    Args:
        batch: ``input_ids`` and ``attention_mask`` INT32 (rows, length), padded on the right.
        window: The size of a window.
        frame: How many special tokens a row begins and ends with.
        pad: The padding token.
        most: The most windows; what does not fit into them is lost.

    Returns:
        The same, INT32 (rows, n * window), or of at most ``window`` tokens where no row is longer.
    """
    before, after = frame
    room = window - before - after
    rows = [ids[mask != 0] for ids, mask in zip(batch[INPUT_IDS.name], batch[ATTENTION_MASK.name], strict=True)]
    if max(map(len, rows)) <= window:
        return {name: array[:, :window] for name, array in batch.items()}
    texts = [row[before : len(row) - after] for row in rows]
    count = min(max(-(-len(text) // room) for text in texts), most)
    ids = np.full((len(rows), count, window), pad, np.int32)
    mask = np.zeros_like(ids)
    for i, (row, text) in enumerate(zip(rows, texts, strict=True)):
        for k in range(min(count, -(-len(text) // room))):
            whole = np.concatenate([row[:before], text[k * room : (k + 1) * room], row[len(row) - after :]])
            ids[i, k, : len(whole)] = whole
            mask[i, k, : len(whole)] = 1
    return {INPUT_IDS.name: ids.reshape(len(rows), -1), ATTENTION_MASK.name: mask.reshape(len(rows), -1)}


def probabilities(checkpoint: Checkpoint, batch: Batch) -> npt.NDArray[np.float32]:
    """What a checkpoint answers to articles in windows: the geometric mean of its answers, weighted by their tokens.

    Returns:
        FLOAT (articles, classes).
    """
    found = []
    with torch.inference_mode():
        for ids, mask in zip(batch[INPUT_IDS.name], batch[ATTENTION_MASK.name], strict=True):
            size = min(len(ids), checkpoint.window)
            logs, tokens = [], []
            for row, kept in zip(ids.reshape(-1, size), mask.reshape(-1, size), strict=True):
                if kept.any():  # One by one, so that the reference needs no padding.
                    logits = checkpoint.model(input_ids=torch.from_numpy(row[kept != 0][None].astype(np.int64))).logits
                    logs.append(logits.log_softmax(-1)[0])
                    tokens.append(float(kept.sum()))
            weights = torch.tensor(tokens)[:, None]
            mean = (torch.stack(logs) * weights).sum(0) / weights.sum()
            found.append(mean.softmax(-1).numpy())
    return np.stack(found).astype(np.float32)
