"""The minimum time of the work, against sums made by hand."""

import pytest

from benchmarks.common.shapes import shape_of
from benchmarks.peers.roofline import Rates, layer_operations, measure_machine_rates, minimum_time_s
from benchmarks.peers.workload import Generation, Workload, workload_of
from infolens.contract import Task

SLOW_MEMORY = Rates(bandwidth_bytes_per_s=1.0, int8_operations_per_s=1e12, fp32_operations_per_s=1e12)
SLOW_CORES = Rates(bandwidth_bytes_per_s=1e12, int8_operations_per_s=1.0, fp32_operations_per_s=1e12)
TINY = {
    "bart": {
        "vocab_size": 10, "d_model": 2, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 3,
        "decoder_ffn_dim": 3,
    },
    "distilbert": {"dim": 2, "n_layers": 2, "hidden_dim": 3},
    "xlnet": {"d_model": 2, "n_layer": 2, "d_inner": 3},
}  # fmt: skip
GENERATION = Generation(tokens_out=4, beams=2, no_repeat_ngram=3)


def minimum_s(task: Task, batch: int, rates: Rates) -> float:
    architecture = workload_of(task).architecture
    generation = GENERATION if workload_of(task).generation else None
    work = Workload(task=task, architecture=architecture, tokens_in=5, batches=(1,), generation=generation)
    return minimum_time_s(work, TINY[architecture], batch, rates)


def test_a_layer_counts_its_dense_products_and_its_attention():
    found = layer_operations(3, 5, 2, 7)
    dense, product = 2 * 3 * 5 * (4 * 2 * 2 + 2 * 2 * 7), 2 * 3 * 5 * 5 * 2
    assert found.int8 == dense + 2 * product
    assert layer_operations(3, 5, 2, 7, products=3).int8 == dense + 3 * product


def test_the_last_layer_of_a_classifier_needs_one_token_only():
    first = 2 * 5 * (4 * 4 + 2 * 6) + 4 * 25 * 2
    last = 2 * (2 * 5 * 4) + 2 * (2 * 4 + 2 * 6) + 4 * 5 * 2
    assert minimum_s(Task.CATEGORY, 1, SLOW_CORES) == pytest.approx(first + last)
    assert minimum_s(Task.CATEGORY, 3, SLOW_CORES) == pytest.approx(3 * (first + last))


def test_xlnet_has_the_scores_of_the_positions_too():
    found = minimum_s(Task.VERACITY, 1, SLOW_CORES) - minimum_s(Task.CATEGORY, 1, SLOW_CORES)
    assert found == pytest.approx(2 * 25 * 2 + 2 * 5 * 2)


def test_each_step_reads_the_weights_the_article_and_the_beams():
    # Four tokens: the first is given and the last is forced, so two steps choose one.
    weights = 6 * 4 + 2 * 6 + 10 * 2
    article = 2 * 5 * 2
    beams = 2 * 2 * 2 * 4  # keys and values of two beams, two wide, four bytes each
    expected = (weights + article + beams) + (weights + article + 2 * beams)
    assert minimum_s(Task.SUMMARY, 1, SLOW_MEMORY) == pytest.approx(expected)


def test_a_step_takes_the_greater_of_reading_and_computing_and_not_both():
    weights = 6 * 4 + 2 * 6 + 10 * 2
    encoder = 2 * 5 * (4 * 4 + 2 * 6) + 4 * 25 * 2 + 4 * 5 * 4
    steps = 2 * (2 * 2 * weights + 4 * 2 * 5 * 2)
    assert minimum_s(Task.SUMMARY, 1, SLOW_CORES) == pytest.approx(encoder + steps)
    both = Rates(bandwidth_bytes_per_s=1.0, int8_operations_per_s=1.0, fp32_operations_per_s=1e12)
    assert minimum_s(Task.SUMMARY, 1, both) == pytest.approx(encoder + steps)


def test_the_full_size_reads_its_weights_once_a_step():
    # bart-large's decoder has 253 M weights, of which 25 M make the keys and values of the cross attention; in int8
    # what is read of the article is 13 MB, and the beams' own keys and values come to 12 MB at the middle step.
    read = minimum_time_s(workload_of(Task.SUMMARY), shape_of("bart").sizes["full"], 1, SLOW_MEMORY) / 58
    assert read == pytest.approx((253 - 25 + 13 + 12) * 1e6, rel=0.01)


def test_the_rates_are_measured():
    rates = measure_machine_rates(1, buffer_bytes=2**20, rows=8, width=64)
    assert min(rates.bandwidth_bytes_per_s, rates.int8_operations_per_s, rates.fp32_operations_per_s) > 0
