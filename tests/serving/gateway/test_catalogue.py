"""The closed list of models: what it knows of each, and when it asks Triton anew."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from serving.gateway.catalogue import Catalogue
from serving.gateway.kserve.labels import read_labels
from serving.gateway.refusals import Refusal, RefusedError
from tests.serving.gateway.http.running import PUBLIC, REPOSITORY, FakeTriton


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Counting(FakeTriton):
    """Counts how often it is asked for a configuration."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def call(self, method: str, request: bytes, timeout_s: float | None = None, metadata: Any = ()) -> bytes:
        self.asked += method == "ModelConfig"
        return await super().call(method, request, timeout_s, metadata)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def triton() -> Counting:
    return Counting()


@pytest.fixture
def catalogue(triton: Counting, clock: Clock) -> Catalogue:
    return Catalogue(triton, repository=REPOSITORY, now=clock)


async def refusal(catalogue: Catalogue, name: str, version: str = "") -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        await catalogue.find(name, version)
    return caught.value


async def test_public_models_are_those_that_answer_people(catalogue: Catalogue) -> None:
    model = await catalogue.find("classify", "1")
    assert tuple(sorted(catalogue.models)) == PUBLIC
    assert (model.max_batch_size, model.versions) == (4, ("1",))
    assert {name: one.optional for name, one in model.inputs.items()} == {"title": True, "text": False}
    assert model.outputs["category_probabilities"].dims == (10,)
    assert model.outputs["category"].datatype == "BYTES"
    assert "distilbert" in model.passes_through
    assert (await catalogue.find("info_lens")).passes_through == {"classify", "evidence", "summarize", "verify"}


async def test_a_step_and_a_name_that_is_nobodys_are_told_alike(catalogue: Catalogue) -> None:
    for name in ("bart", "nothing"):
        refused = await refusal(catalogue, name)
        assert (refused.kind, refused.words) == (
            Refusal.NOT_FOUND,
            f"Request for unknown model: '{name}' is not found: there are {', '.join(PUBLIC)}",
        )


async def test_steps_are_found_where_they_are_exposed(triton: Counting) -> None:
    catalogue = Catalogue(triton, repository=REPOSITORY, expose_internal=True)
    assert not (await catalogue.find("bart")).public
    assert len(catalogue.models) == 14


async def test_labels_are_the_same_through_every_model(catalogue: Catalogue) -> None:
    lines = tuple((REPOSITORY / "distilbert_labels" / "labels.txt").read_text().splitlines())
    for name in ("classify", "info_lens"):
        outputs = (await catalogue.find(name)).outputs
        assert outputs["category_probabilities"].labels == lines
        assert outputs["category_tokens"].labels == ()


async def test_triton_is_asked_once_and_then_in_the_background(
    catalogue: Catalogue, triton: Counting, clock: Clock
) -> None:
    await asyncio.gather(*(catalogue.find("classify") for _ in range(5)))
    assert triton.asked == 14
    clock.now_s += 60
    await catalogue.find("classify")
    await catalogue.refresh()  # joins the one that runs
    assert triton.asked == 28


async def test_a_version_that_nobody_knows_is_asked_for_once_a_second(
    catalogue: Catalogue, triton: Counting, clock: Clock
) -> None:
    await catalogue.find("classify")
    for _ in range(3):
        refused = await refusal(catalogue, "classify", "7")
    assert (triton.asked, refused.kind) == (14, Refusal.NOT_FOUND)
    clock.now_s += 2
    await refusal(catalogue, "classify", "7")
    assert triton.asked == 28
    clock.now_s += 2
    await refusal(catalogue, "nothing")
    assert triton.asked == 28


async def test_a_triton_that_was_restarted_is_asked_anew(catalogue: Catalogue, triton: Counting) -> None:
    await catalogue.find("classify")
    triton.configs["classify"].max_batch_size = 2
    catalogue.forget()
    assert (await catalogue.find("classify")).max_batch_size == 2


async def test_a_restart_that_fails_at_first_is_not_forgotten(triton: Counting) -> None:
    restarts = [0]
    catalogue = Catalogue(triton, repository=REPOSITORY, restarts=lambda: restarts[0])
    await catalogue.find("classify")
    restarts[0] = 1
    triton.failure = RefusedError(Refusal.AWAY, "it is being started again")
    assert (await refusal(catalogue, "classify")).kind is Refusal.AWAY
    triton.failure = None
    asked = triton.asked
    for _ in range(2):
        await catalogue.find("classify")
    assert triton.asked == asked + 14


async def test_what_a_request_passes_through(catalogue: Catalogue) -> None:
    await catalogue.find("classify")
    tokens = {"distilbert_tokenizer", "distilbert", "distilbert_labels"}
    assert catalogue.reached_from(["classify"]) == {"classify"} | tokens
    assert len(catalogue.reached_from(["info_lens"])) == 14
    assert catalogue.reached_from(["nobody"]) == {"nobody"}


async def test_a_model_that_is_not_loaded_is_away_and_not_unknown(catalogue: Catalogue, triton: Counting) -> None:
    del triton.configs["classify"], triton.configs["bart"]
    refused = await refusal(catalogue, "classify")
    assert (refused.kind, refused.words) == (Refusal.AWAY, "model 'classify' is not ready: it is not loaded")
    assert (await refusal(catalogue, "bart")).kind is Refusal.NOT_FOUND
    assert await catalogue.find("verify")


async def test_a_triton_that_cannot_be_asked_is_no_end(catalogue: Catalogue, triton: Counting, clock: Clock) -> None:
    triton.failure = RefusedError(Refusal.AWAY, "it is being started again")
    assert (await refusal(catalogue, "classify")).words == "it is being started again"
    triton.failure = None
    assert await catalogue.find("classify")
    triton.failure = RefusedError(Refusal.AWAY, "it is being started again")
    clock.now_s += 60
    assert await catalogue.find("classify")  # what was known is good enough
    await asyncio.sleep(0)


def test_the_labels_of_a_version_come_before_the_models(tmp_path: Path) -> None:
    config = text_format.Parse(
        'name: "a" output { name: "p" label_filename: "labels.txt" }', model_config_pb2.ModelConfig()
    )
    (tmp_path / "a" / "2").mkdir(parents=True)
    assert read_labels(tmp_path, {"a": config}, {"a": ("2",)})("a", "p") == ()
    (tmp_path / "a" / "labels.txt").write_text("old\nolder\n")
    assert read_labels(tmp_path, {"a": config}, {"a": ("2",)})("a", "p") == ("old", "older")
    (tmp_path / "a" / "2" / "labels.txt").write_text("new\nnewer\n")
    assert read_labels(tmp_path, {"a": config}, {"a": ("1", "2")})("a", "p") == ("new", "newer")


def test_models_that_stand_in_a_circle_have_no_labels(tmp_path: Path) -> None:
    text = 'output { name: "p" } ensemble_scheduling { step { model_name: "a" output_map { key: "p" value: "p" } } }'
    config = text_format.Parse(f'name: "a" {text}', model_config_pb2.ModelConfig())
    assert read_labels(tmp_path, {"a": config}, {"a": ("1",)})("a", "p") == ()
