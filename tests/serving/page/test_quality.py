"""The page of the quality in a real browser, before a door whose figures are made up: said, drawn, kept fresh."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.http.running import RunningDoor, fake_door
from tests.serving.page import measures
from tests.serving.page.conftest import PATIENCE_MS, WIDE
from tests.serving.page.test_everybody import NARROW, nothing_found
from tests.serving.page.things import TEXT, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.system
FIGURES = "**/v1/quality?*"
MINUTE_MS = 61_000
LINE_BY_DAY, LINE_BY_NIGHT = [31, 78, 121, 255], [143, 193, 238, 255]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    """A door alone, which keeps no ratings."""
    with fake_door(tmp_path_factory.mktemp("door"), make_fake()) as door:
        yield door


@pytest.fixture
def page(browser: Browser, door: RunningDoor) -> Iterator[Page]:
    """An empty page whose clock the tests move, before a door that says it keeps ratings; no script of it may fail."""
    context = browser.new_context(viewport=WIDE, locale="en-GB", timezone_id="Europe/London", base_url=door.url)
    context.set_default_timeout(PATIENCE_MS)
    context.route("**/v1/models", lambda route: route.fulfill(json=models(door, keeps=True)))
    failures: list[str] = []
    page = context.new_page()
    page.clock.install()
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda one: failures.append(one.text) if _is_fault(one.type, one.text) else None)
    yield page
    context.close()
    assert failures == []


def _is_fault(kind: str, text: str) -> bool:
    return kind in ("error", "warning") and "Failed to load resource" not in text


def show(page: Page, document: dict[str, Any], days: int | None = None) -> None:
    """Answer with a document from now on, and open the page."""
    page.unroute_all()
    page.route(FIGURES, lambda route: route.fulfill(json=document))
    page.goto("/quality" if days is None else f"/quality?days={days}")
    page.locator(".cards, .empty").first.wait_for()


@pytest.mark.parametrize("narrow", [False, True])
def test_axe_finds_nothing(page: Page, narrow: bool) -> None:
    if narrow:
        page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    for document in (measures.document(), measures.tiny(), measures.rich(trouble=True)):
        show(page, document)
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        nothing_found(page)


def test_each_task_has_one_number_with_its_range_in_words(page: Page) -> None:
    show(page, measures.rich())
    summary = page.locator(".measure.summary")
    assert "3.9 of 5 stars" in summary.inner_text().replace("\n", " ")
    assert "Between 3.7 and 4.0, from 212 ratings." in summary.inner_text()
    assert "87% of rated answers right" in page.locator(".measure.category").inner_text().replace("\n", " ")
    summary.get_by_label("Revision of the model for Summary").select_option(label="revision 09be7712, no longer served")
    summary.get_by_text("from 480 ratings").wait_for()
    page.locator("#details-summary").get_by_text("130 27%").wait_for()


def test_few_ratings_are_called_few(page: Page) -> None:
    show(page, measures.tiny())
    assert page.locator(".big").count() == 0
    page.locator(".measure.summary").get_by_text("7 ratings: too few to say").wait_for()
    page.locator(".measure.category").get_by_text("anything between 21% and 100% would fit").wait_for()
    page.locator(".measure.veracity").get_by_text("No ratings in this time").wait_for()


def test_of_a_new_revision_the_card_leads_to_the_one_before(page: Page) -> None:
    found = measures.rich()
    found["models"].insert(0, measures.model("summary", "5e110000"))
    show(page, found)
    summary = page.locator(".measure.summary")
    summary.get_by_text("No answers in this time").wait_for()
    summary.get_by_text("Revision 09be7712, which is not served now, has 480 ratings.").wait_for()
    nothing_found(page)
    summary.get_by_role("button", name="Show it").click()
    summary.get_by_text("from 480 ratings").wait_for()
    assert summary.get_by_role("button", name="Show it").count() == 0


def test_few_audits_and_answers_are_called_few_and_none_only_once(page: Page) -> None:
    few: dict[str, Any] = {
        "audit": measures.figure(0.8, 18, passed=2),
        "trusted_why": "in blind audits it is right 60% to 90%",
    }
    shown: dict[str, Any] = {"shown": {"accuracy": None, "coverage": {**measures.figure(1.0, 6), "answers": 6}}}
    before = measures.model("category", "0a", serving=False)
    show(page, measures.document([measures.model("category", "0b", predictions=6, **few, **shown), before]))
    details = page.locator("#details-category")
    assert details.get_by_text("18 audits: too few to say").count() == 2, "beside the bar, and among the revisions"
    details.get_by_text("6 answers: too few to say").wait_for()
    assert "80%" not in details.get_by_role("table").inner_text()
    page.get_by_label("Revision of the model for Category").select_option(label="revision 0a, no longer served")
    details.get_by_text("No blind audits in this time.").wait_for()
    assert details.get_by_text("bar for trust").count() == 0


def test_only_the_newest_batch_is_still_open(page: Page) -> None:
    found = measures.rich()
    found["models"][0]["batches"][0]["ratings"] = 91  # the others are older than what is looked at
    show(page, found)
    chart = page.locator(".measure.summary trend-chart [aria-label]").first.get_attribute("aria-label") or ""
    assert "91 ratings. Newest" in chart
    assert chart.endswith("41 ratings so far.")


def test_all_pages_stand_in_one_row_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 375, "height": 800})
    show(page, measures.rich())
    tops = page.locator("nav a").evaluate_all("all => all.map(one => Math.round(one.getBoundingClientRect().top))")
    assert len(tops) == 4
    assert len(set(tops)) == 1


def test_trouble_is_said_in_words(page: Page) -> None:
    show(page, measures.rich(trouble=True))
    page.locator(".measure.category").get_by_text("Articles moved").wait_for()
    page.locator(".measure.veracity").get_by_text("Not to be trusted").wait_for()
    details = page.locator("#details-category")
    row = details.get_by_role("row", name="World")
    assert row.inner_text().split() == ["World", "10%", "37%"]
    page.locator("#details-veracity").get_by_text("take the ratings with care").wait_for()


def test_a_chart_is_drawn_says_what_the_pointer_is_on_and_follows_the_colours(page: Page) -> None:
    show(page, measures.rich())
    chart = page.locator(".measure.category trend-chart")
    newest = chart.locator(".readout").inner_text()
    assert newest.endswith("41 ratings so far.")
    chart.scroll_into_view_if_needed()
    box = chart.locator(".u-over").bounding_box()
    assert box
    page.mouse.move(box["x"] + 5, box["y"] + 20)
    until(page, lambda: chart.locator(".readout").inner_text().endswith("100 ratings."))
    assert has(chart, LINE_BY_DAY)
    assert not has(chart, LINE_BY_NIGHT)
    page.emulate_media(color_scheme="dark")
    until(page, lambda: has(chart, LINE_BY_NIGHT) and not has(chart, LINE_BY_DAY))
    page.emulate_media(color_scheme="dark", media="print")  # paper is light, whatever the screen is
    until(page, lambda: has(chart, LINE_BY_DAY) and not has(chart, LINE_BY_NIGHT))


def has(chart: Any, colour: list[int]) -> bool:
    """Whether a chart has many pixels of a colour."""
    counts = """(canvas, colour) => {
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
      copy.drawImage(canvas, 0, 0);
      const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
      let found = 0;
      for (let at = 0; at < data.length; at += 4) found += colour.every((one, index) => data[at + index] === one);
      return found;
    }"""
    return int(chart.locator("canvas").evaluate(counts, colour)) > 50


def test_a_chart_has_its_figures_in_a_table(page: Page) -> None:
    show(page, measures.rich())
    card = page.locator(".measure.category")
    card.get_by_text("These figures as a table").click()
    rows = card.get_by_role("row").all_inner_texts()
    batches = [one for one in measures.rich()["models"][2]["batches"] if not one["audit"]]
    assert len(rows) == 1 + len(batches)
    assert rows[1].split("\t")[1:] == [f"{batches[-1]['value']:.0%}", "73% to 100%", "41"]


def test_the_days_are_in_the_address_and_a_late_answer_is_not_shown(page: Page) -> None:
    show(page, measures.rich())
    held: list[Route] = []
    page.route("**/v1/quality?days=365", lambda route: held.append(route))
    page.get_by_label("year").check(force=True)
    until(page, lambda: bool(held))
    page.route("**/v1/quality?days=7", lambda route: route.fulfill(json=measures.tiny()))
    page.get_by_label("7 days").check(force=True)
    page.get_by_text("7 ratings: too few to say").wait_for()
    assert page.url.endswith("/quality?days=7")
    with page.expect_response("**/v1/quality?days=365"):
        held[0].fulfill(json=measures.document())
    page.evaluate("new Promise(requestAnimationFrame)")
    assert page.locator(".cards").is_visible()
    page.go_back()
    page.go_back()
    page.locator(".said", has_text="from 212 ratings").wait_for()
    assert page.get_by_label("30 days").is_checked()


def test_figures_are_read_again_every_minute_and_kept_while_the_server_is_away(page: Page) -> None:
    show(page, measures.tiny())
    page.route(FIGURES, lambda route: route.fulfill(json=measures.rich()))
    page.clock.fast_forward(MINUTE_MS)
    page.locator(".said", has_text="from 212 ratings").wait_for()
    page.route(FIGURES, lambda route: route.abort())
    page.clock.fast_forward(MINUTE_MS)
    page.get_by_role("alert").get_by_text(re.compile("What you see is from 27 Nov 2026, 12:00, .+ ago")).wait_for()
    assert page.locator(".said", has_text="from 212 ratings").is_visible()
    nothing_found(page)
    page.unroute_all()
    page.route(FIGURES, lambda route: route.fulfill(json=measures.rich(trouble=True) | {"stale_s": 7300}))
    page.get_by_role("button", name="Try now").click()
    page.get_by_role("alert").get_by_text("2 hrs ago").wait_for()


def test_a_server_without_ratings_says_why(page: Page, door: RunningDoor) -> None:
    page.route("**/v1/models", lambda route: route.fulfill(json=models(door, keeps=False)))
    why = {"type": "/v1/problems/not_found", "detail": "this server keeps no feedback: it was told not to"}
    page.route(FIGURES, lambda route: route.fulfill(status=404, json=why))
    page.goto("/quality")
    page.get_by_text("This server keeps no ratings: told not to").wait_for()
    assert page.get_by_role("alert").count() == 0


def models(door: RunningDoor, *, keeps: bool) -> dict[str, Any]:
    """What the door says of its models, and of ratings."""
    feedback = {"keeps": keeps, "why_not": "" if keeps else "told not to", "texts": False, "days": 90, "audit_share": 0}
    return {**door.ask("GET", "/v1/models").json, "feedback": feedback}


def test_it_is_linked_where_ratings_are_kept_and_leaves_the_reader_his_article(page: Page, door: RunningDoor) -> None:
    keeps: list[bool] = [False]
    page.route("**/v1/models", lambda route: route.fulfill(json=models(door, keeps=keeps[0])))
    page.goto("/")
    page.get_by_text("Server ready").wait_for()
    assert page.get_by_role("link", name="Quality").count() == 0
    keeps[0] = True
    page.reload()
    page.get_by_label("Article text").fill(TEXT)
    page.route(FIGURES, lambda route: route.fulfill(json=measures.tiny()))
    page.get_by_role("link", name="Quality").click()
    page.locator(".cards").wait_for()
    page.get_by_role("link", name="One article").click()
    page.get_by_label("Article text").wait_for()
    until(page, lambda: page.get_by_label("Article text").input_value() == TEXT)


def test_a_key_is_asked_for_and_is_in_no_address(page: Page) -> None:
    asked: list[str] = []

    def figures(route: Route) -> None:
        asked.append(route.request.url)
        if route.request.headers.get("authorization") == "Bearer il_right":
            route.fulfill(json=measures.tiny())
        else:
            route.fulfill(status=401, json={"type": "/v1/problems/unauthenticated", "detail": "no key"})

    page.route(FIGURES, figures)
    page.goto("/quality")
    page.get_by_label("API key").fill("il_right")
    page.get_by_role("button", name="Use this key").click()
    page.locator(".cards").wait_for()
    with page.expect_download() as saved:  # a link has no key
        page.get_by_role("link", name="The same as JSON").click()
    assert json.loads(saved.value.path().read_text("utf-8")) == measures.tiny()
    assert "il_right" not in " ".join([*asked, page.url, page.content()])
