"""What the export writes, the backend reads; what it cannot be is refused with the rule and the way out."""

from __future__ import annotations

from typing import Any

import pytest

from export.repository import deployment, limits
from export.repository.deployment import Deployment, ModelDeployment
from infolens.contract import SUMMARY_SETTINGS, Task
from serving.backends.summarizer.configuration import DEVICES, INPUTS, read_options
from tests.serving.backends.summarizer.standing import config


def test_the_generated_configuration_is_read() -> None:
    options = read_options(config())
    assert (options.device, options.workers, options.slots, options.joins_per_step) == ("auto", 2, 4, 1)
    assert options.beams == (1, 2, 4, 8)
    assert (options.source_length, options.target_length) == (300, 256)
    assert options.lengths == (64, 128, 192, 256, 300)
    for setting in SUMMARY_SETTINGS:
        if setting.by_length:
            read = options.settings[setting.name]
            for value in (setting.minimum, setting.default, setting.maximum):
                assert read.decode(setting.encode(value)) == pytest.approx(value)


def test_a_deployment_says_where_and_how_many() -> None:
    usual = deployment.MODELS[next(iter(deployment.MODELS))]
    changed = ModelDeployment(**{**vars(usual), "device": "cuda", "workers": 1, "slots": 32, "max_waiting": 1000})
    options = read_options(config(Deployment(models={Task.SUMMARY: changed})))
    assert (options.device, options.workers, options.slots, options.max_waiting) == ("cuda", 1, 32, 1000)


def test_both_sides_know_the_same_devices() -> None:
    assert DEVICES == limits.DEVICES


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"device": "gpu"}, "device is one of auto, cpu, cuda, tensorrt, torch, not 'gpu'"),
        ({"workers": "0"}, "workers is a whole number from 1, not '0'"),
        ({"slots": "many"}, "slots is a whole number from 1, not 'many'"),
        ({"slots": None}, "needs the parameter slots: write the configurations anew"),
        ({"slot": "4"}, "knows no parameter slot; there are beams, device"),
        ({"beams": "4,2"}, "beams is numbers that rise, with commas between them, not '4,2'"),
        ({"beams": "1,2"}, "beams goes up to the greatest num_beams, 8, not 2"),
        ({"target_length": "128"}, "target_length goes up to the greatest max_length, 256, not 128"),
        ({"lengths": "64,512"}, r"lengths goes up to source_length \(300\) at most, not 512"),
        ({"setting__max_length": "12"}, "setting.max_length is a JSON object"),
        ({"setting__max_length": '{"least": 4}'}, "setting.max_length is a JSON object"),
    ],
)
def test_a_wrong_parameter_is_told(changes: dict[str, str | None], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_options(config(**changes))


def test_a_second_instance_is_refused() -> None:
    given = config()
    given["instance_group"] = [{"count": 2, "kind": "KIND_CPU"}]
    with pytest.raises(ValueError, match="one instance, whose threads share the weights, not 2: set count to 1"):
        read_options(given)


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_is_needed(name: str) -> None:
    given: dict[str, Any] = config()
    given["input"] = [tensor for tensor in given["input"] if tensor["name"] != name]
    with pytest.raises(ValueError, match="the summarizer's inputs are"):
        read_options(given)


def test_the_output_is_the_one_that_the_detokenizer_takes() -> None:
    given = config()
    given["output"][0]["data_type"] = "TYPE_INT64"
    with pytest.raises(ValueError, match="output is sequences TYPE_INT32"):
        read_options(given)
