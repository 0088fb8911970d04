"""Which sentences of an article a classifier read, and at which positions of its input.

A classifier does not read all of a long article, and which part it reads is its tokenizer's business. So the tokens
that it was given are looked for among those of the whole article, whose places in the text are known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

if __package__:
    from reading.sentences import split
else:  # Triton imports its backend as the module "model", with its folder on the path
    from sentences import split  # type: ignore[import-not-found, no-redef]

Integers = npt.NDArray[np.integer[Any]]

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff]")
"""What the tokenizer takes for blanks."""
_NO_WAY = 255
"""The cost of what cannot be, and the most that is told apart."""


class Tokens:
    """The tokens of whole articles.

    Args:
        folder: Of the tokenizer's model in the repository; its newest version counts.

    Raises:
        ValueError: There is no ``tokenizer.json``.
    """

    def __init__(self, folder: Path) -> None:
        paths = {
            int(path.parent.name): path for path in folder.glob("*/tokenizer.json") if path.parent.name.isdecimal()
        }
        if not paths:
            raise ValueError(f"no tokenizer.json in {folder}: export the model again")
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(paths[max(paths)]))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True  # "</s>" within an article is text

    def sentences(self, title: str, text: str, read: Integers) -> dict[int, list[int]]:
        """The positions of each sentence among the tokens that a classifier read.

        Args:
            title: The title; empty where there is none.
            text: The text as it was sent.
            read: The token ids that were read, [L], special ones included and padding left out.

        Returns:
            By the number of the sentence, in order; sentences that were not read are left out.

        Raises:
            LookupError: They are not the article's.
        """
        title, cleaned = CONTROL.sub(" ", title).strip(), CONTROL.sub(" ", text)
        joined = f"{title}\n{cleaned.strip()}" if title else cleaned.strip()
        skipped = len(joined) - len(cleaned.strip()) - (len(cleaned) - len(cleaned.lstrip()))
        encoding = self._tokenizer.encode(joined)
        special = np.array(encoding.special_tokens_mask, bool)
        ids = np.array(encoding.ids)
        owners = _owners(split(cleaned), np.array(encoding.offsets).reshape(-1, 2)[~special] - skipped)
        positions = np.flatnonzero(~np.isin(read, ids[special]))
        found: dict[int, list[int]] = {}
        for position, owner in zip(positions, owners[align(read[positions], ids[~special], owners)], strict=True):
            if owner >= 0:
                found.setdefault(int(owner), []).append(int(position))
        return dict(sorted(found.items()))


def align(read: Integers, whole: Integers, owners: Integers) -> npt.NDArray[np.int64]:
    """Find what was read in the whole, with as few gaps as there can be.

    A tokenizer skips whole sentences, so a gap before the first token of one is preferred to any other: sentences often
    begin with the same words. By dynamic programming, in time and memory proportional to both lengths.

    Args:
        read: The token ids that were read, [n].
        whole: Those of the whole, [N], among which the others are, in their order.
        owners: The sentence of each token of the whole, [N]; -1 for none.

    Returns:
        The places of what was read in the whole, [n], which rise.

    Raises:
        LookupError: They are not among them.
    """
    if np.array_equal(read, whole[: len(read)]):
        return np.arange(len(read))
    if not len(whole):
        raise LookupError(f"none of {len(read)} tokens that were read is the article's")
    opens = np.concatenate(([True], owners[1:] != owners[:-1])) & (owners >= 0)
    gap = np.where(opens, 1, 2)
    gap[0] = 0
    costs = np.empty((len(read), len(whole)), np.uint8)
    reach: npt.NDArray[Any] = np.zeros(len(whole), np.int64)  # of the cheapest way to any earlier place
    near: npt.NDArray[Any] = np.full(len(whole), _NO_WAY)  # of that to the place just before
    for row, token in enumerate(read):
        cost = np.minimum(np.where(whole == token, np.minimum(reach + gap, near), _NO_WAY), _NO_WAY)
        costs[row] = cost
        near = np.concatenate(([_NO_WAY], cost[:-1]))
        reach = np.minimum.accumulate(near)
    places = np.empty(len(read), np.int64)
    places[-1] = costs[-1].argmin()
    if costs[-1, places[-1]] == _NO_WAY:
        raise LookupError(f"the {len(read)} tokens that were read are not the article's: they are another version's")
    for row in range(len(read) - 2, -1, -1):
        place, cost = places[row + 1], costs[row + 1, places[row + 1]]
        if place and costs[row, place - 1] == cost:
            places[row] = place - 1
        else:
            places[row] = np.flatnonzero(costs[row, :place] == cost - gap[place])[-1]
    return places


def without(mask: Integers, sentences: Mapping[int, Sequence[int]], first: int, stop: int) -> Integers:
    """The attention mask [L] in which some of the sentences that were read are not seen.

    Args:
        mask: That of the whole, [L].
        sentences: Positions of the sentences, as of `Tokens.sentences`, in the same count as ``mask``.
        first: The first of those that are not seen, counted among those that were read.
        stop: The one after the last of them.
    """
    changed = mask.copy()
    for positions in list(sentences.values())[first:stop]:
        changed[list(positions)] = 0
    return changed


def _owners(sentences: Sequence[tuple[int, int]], offsets: Integers) -> npt.NDArray[np.int64]:
    """The sentence of each token, by its last character in the text; -1 for those of none."""
    owners = np.full(len(offsets), -1, np.int64)
    if not sentences:
        return owners
    begins, ends = np.array(sentences).T
    lasts = offsets[:, 1] - 1
    number = np.searchsorted(begins, lasts, "right") - 1
    inside = (offsets[:, 1] > offsets[:, 0]) & (number >= 0) & (lasts < ends[number]) & (lasts >= 0)
    owners[inside] = number[inside]
    return owners
