"""Kernels beside the plain functions, on a CPU: run as a program, in an environment that has Triton."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it

from tests.engine.pytorch.kernels import interpreted  # isort: skip - before the kernels, which see how they are run

from engine.pytorch.kernels.attention import cross_attention, tree_attention
from engine.pytorch.kernels.merging import Merging
from engine.pytorch.kernels.norms import add_norm
from engine.pytorch.kernels.products import product
from engine.pytorch.kernels.step import StepKernels
from engine.pytorch.model.decoder import nodes_of, seen_of
from engine.pytorch.model.layers import attention, bias_of
from engine.pytorch.model.weights import Dense, Norm
from engine.pytorch.search.slots import make_slots
from engine.settings import Bucket, Rules, Settings
from tests.engine.pytorch.small_bart import LENGTHS, RULES, Small, small_bart

ALONE: dict[str, Any] = {"OVERLAP": False}
SLOTS, BEAMS, HEADS, SIZE, TOKENS = 3, 4, 2, 16, 20


def near(found: torch.Tensor, wanted: torch.Tensor, dtype: torch.dtype) -> None:
    bound = {torch.float32: 1e-5, torch.float16: 2e-2}[dtype]
    torch.testing.assert_close(found.double(), wanted.double(), atol=bound, rtol=bound)


def the_tree_is_attended_to_and_written(dtype: torch.dtype, splits: int) -> None:
    torch.manual_seed(0)
    bucket = Bucket(slots=SLOTS, beams=BEAMS, source_length=8, target_length=TOKENS)
    slots = make_slots(bucket, RULES, "cpu")
    slots.length.copy_(torch.tensor([1, 7, TOKENS - 1]))
    slots.done.copy_(torch.tensor([False, True, False]))
    past = torch.arange(bucket.nodes) < (slots.length[:, None, None] - 1) * BEAMS
    slots.visible.copy_((torch.rand(slots.visible.shape) < 0.3) & past)
    parts = torch.randn(SLOTS, BEAMS, 3, HEADS, SIZE, dtype=dtype)
    # What nothing has been written to yet may be no number.
    keys, values = (torch.full((SLOTS, HEADS, bucket.nodes, SIZE), torch.nan, dtype=dtype) for _ in "kv")
    written = past.any(1)[:, None, :, None].expand_as(keys)
    keys[written], values[written] = (torch.randn(int(written.sum()), dtype=dtype) for _ in "kv")
    wanted_keys, wanted_values = keys.clone(), values.clone()
    places = torch.arange(SLOTS)[:, None], nodes_of(slots)
    wanted_keys[places[0], :, places[1]], wanted_values[places[0], :, places[1]] = parts[:, :, 1], parts[:, :, 2]
    wanted_keys[1], wanted_values[1] = keys[1], values[1]
    bias = bias_of(seen_of(slots)[:, None], dtype)
    filled = (wanted_keys.nan_to_num(), wanted_values.nan_to_num())
    wanted = attention(parts[:, :, 0].transpose(1, 2), *filled, bias, "efficient").transpose(1, 2)
    merging = Merging(SLOTS, HEADS, BEAMS, SIZE, "cpu")
    qkv = parts.reshape(SLOTS * BEAMS, -1)
    state = slots.visible, slots.length, slots.done, merging
    for _ in range(2):  # A second time, as the first one may have left something behind.
        found = tree_attention(qkv, keys, values, *state, block=16, splits=splits, **ALONE)
        live = found.view(SLOTS, BEAMS, HEADS, SIZE)
        near(live[[0, 2]], wanted[[0, 2]], dtype)
        assert not live[1].any(), "the slot that is done has an answer"
        for cache, expected in ((keys, wanted_keys), (values, wanted_values)):
            assert torch.equal(cache.nan_to_num(99.0), expected.nan_to_num(99.0))


def the_article_is_attended_to(dtype: torch.dtype, splits: int) -> None:
    torch.manual_seed(0)
    source = 70
    query = torch.randn(SLOTS, BEAMS, HEADS, SIZE, dtype=dtype)
    keys, values = (torch.randn(SLOTS, HEADS, source, SIZE, dtype=dtype) for _ in "kv")
    extents = torch.tensor([source, 5, 33], dtype=torch.int32)
    hidden = torch.arange(source) >= extents[:, None]
    hidden[0, 3:40] = True  # An article may have holes.
    bias = bias_of(~hidden[:, None, None], dtype).expand(-1, -1, BEAMS, -1).contiguous()
    wanted = attention(query.transpose(1, 2), keys, values, bias, "efficient").transpose(1, 2)
    keys[2, :, 33:] = values[1, :, 5:] = torch.nan
    merging, done = Merging(SLOTS, HEADS, BEAMS, SIZE, "cpu"), torch.zeros(SLOTS, dtype=torch.bool)
    for _ in range(2):
        found = cross_attention(
            query.reshape(SLOTS * BEAMS, -1), keys, values, bias, extents, done, merging, block=16, splits=splits,
            **ALONE,
        )  # fmt: skip
        near(found.view_as(wanted), wanted, dtype)


def products_and_norms() -> None:
    torch.manual_seed(0)
    rows, inputs, outputs = 5, 1024, 32
    x = torch.randn(rows, inputs).half()
    layer = Dense(torch.randn(outputs, inputs).half() * 0.05, torch.randn(outputs).half())
    wanted = F.linear(x.float(), layer.weight.float(), layer.bias.float())
    near(product(x, layer, block=16, **ALONE), wanted, torch.float16)
    near(product(x, layer, block=8, activation="gelu", **ALONE), F.gelu(wanted), torch.float16)
    near(product(x, layer, block=8, activation="relu", warps=8, **ALONE), F.relu(wanted), torch.float16)
    near(product(x, layer, block=16, activation="gelu", chunk=64, **ALONE), F.gelu(wanted), torch.float16)
    near(product(x, layer, block=32, parts=2, chunk=128, **ALONE).sum(0) + layer.bias, wanted, torch.float16)
    parts = product(x, layer, block=16, parts=4, **ALONE)
    assert parts.shape == (4, rows, outputs)
    skip, norm = torch.randn(rows, outputs).half(), Norm(torch.randn(outputs).half(), torch.randn(outputs).half())
    normed = F.layer_norm(wanted + skip, (outputs,), norm.weight.float(), norm.bias.float(), 1e-5)
    near(add_norm(parts, skip, norm, layer.bias, **ALONE), normed, torch.float16)
    near(add_norm(wanted.half(), skip, norm, **ALONE), normed, torch.float16)


def a_step_is_that_of_pytorch(small: Small, rules: Rules, beams: int, ages: tuple[int, ...]) -> None:
    penalties, stops = (1.0, 2.0, 0.0, -1.0, 0.5), (True, False, "never", True, False)
    wishes = [
        Settings(
            num_beams=min(beams, 1 + 3 * row % 4),
            min_length=3 * row,
            max_length=22 - 2 * row,
            no_repeat_ngram_size=row % 4,
            length_penalty=penalties[row],
            early_stopping=stops[row],
        )
        for row in range(len(LENGTHS))
    ]
    executor = small.executor(rules, beams=beams, step="torch")
    executor.begin(small.ids, small.mask, wishes)
    kernels = StepKernels(small.architecture, rules, executor.slots, "cpu")
    ended = 0
    for age in range(1, max(ages) + 1):
        before = [tensor.clone() for tensor in executor.slots]
        caches = executor.caches._replace(past=executor.caches.past.clone())
        executor.step()
        if age not in ages:
            continue
        place = f"after {age} steps"
        slots = type(executor.slots)(*before)
        with torch.no_grad():
            x = kernels.hidden(slots, caches.layers, caches.cross_bias, executor.weights)
            kernels.search(x, slots, executor.weights)
        live = torch.arange(beams) < slots.num_beams[:, None]
        for name, found, wanted in zip(slots._fields, slots, executor.slots, strict=True):
            # What beams hold that nobody asked for is not used.
            used = live if found.dim() > 1 and found.shape[1] == beams and name != "spans" else slice(None)
            torch.testing.assert_close(found[used], wanted[used], msg=partial("{}, {}: {}".format, place, name))
        ended += int(slots.done.sum())
    assert ended, "no search ends"


def main() -> None:
    interpreted.install()
    torch.set_num_threads(1)
    small = small_bart()
    many = replace(RULES, first_token=None, end_tokens=(2, 50), never=(7, 9), never_first=(11, 12, 13))
    checks: dict[str, Callable[[], None]] = {}
    for dtype in (torch.float32, torch.float16):
        for splits in (1, 4):
            for check in (the_tree_is_attended_to_and_written, the_article_is_attended_to):
                checks[f"{check.__name__} {dtype} {splits}"] = lambda c=check, d=dtype, s=splits: c(d, s)
    checks["products_and_norms"] = products_and_norms
    for name, rules, beams, ages in (
        ("first and last token", RULES, 4, (1, 9, 17)),
        ("several ends", many, 4, (1, 7, 14)),
        ("three beams", RULES, 3, (3, 15)),
        ("one beam", RULES, 1, (2, 15)),
    ):
        checks[f"a step, {name}"] = lambda r=rules, b=beams, a=ages: a_step_is_that_of_pytorch(small, r, b, a)
    for name, run in checks.items():
        begin = time.monotonic()
        run()
        print(f"{name}: right, {time.monotonic() - begin:.1f} s", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
