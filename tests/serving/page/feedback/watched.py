"""The way between the page and the door, watched: what was said, what of it the door took, and faults on the way."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.serving.gateway.http.running import ask
from tests.serving.page.things import TEXT, TITLE, paste

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Route


@dataclass(frozen=True, kw_only=True)
class Said:
    """A request that the page made."""

    token: str
    body: dict[str, Any]


@dataclass(kw_only=True)
class Watched:
    """Requests of the page, in their order, and what happens to them."""

    url: str
    key: str = ""
    """A key for looking at what the door keeps."""
    away: bool = False
    """Whether nothing reaches the door."""
    lose: int = 0
    """How many of the next answers to what is said are lost on their way back."""
    refuses: tuple[int, str] | None = None
    """The status and the words that meet what is said before it reaches the door."""
    holding: bool = False
    """Whether what is said is kept from going on, until `release`."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Questions to the models."""
    ratings: list[Said] = field(default_factory=list)
    audits: list[Said] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)

    _held: list[Route] = field(default_factory=list)

    @property
    def tokens(self) -> set[str]:
        """Of the ratings."""
        return {one.token for one in self.ratings}

    @property
    def counted(self) -> list[dict[str, Any]]:
        """What the door says that was said of all these answers."""
        ids = {one.body["prediction"]: None for one in self.ratings}
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        found = (ask(self.url, "GET", f"/v1/predictions/{one}", headers=headers).json for one in ids)
        return [said for one in found for said in one["feedback"]]

    def watch(self, context: BrowserContext) -> None:
        """See all that pages of a context ask."""

        def pass_on(route: Route) -> None:
            if self.away:
                route.abort()
                return
            path = route.request.url.removeprefix(self.url)
            if path == "/v1/analyze":
                self.asked.append(json.loads(route.request.post_data or "{}"))
            if path.startswith(("/v1/feedback", "/v1/predictions/")):
                self._said(route, path)
            else:
                route.continue_()

        for part in ("v1/**", "readyz"):
            context.route(f"{self.url}/{part}", pass_on)

    def _said(self, route: Route, path: str) -> None:
        request = route.request
        said = Said(token=request.headers.get("idempotency-key", ""), body=json.loads(request.post_data or "{}"))
        if request.method == "DELETE":
            self.erased.append(path.rpartition("/")[2])
        else:
            (self.audits if path.endswith("/audit") else self.ratings).append(said)
        if self.refuses is not None:
            status, words = self.refuses
            problem = {"type": "/v1/problems/refused", "title": "", "status": status, "detail": words}
            route.fulfill(status=status, body=json.dumps(problem) if status != 200 else words)
            return
        if self.holding:
            self._held.append(route)
        else:
            self._pass_on(route)

    def release(self) -> None:
        """Let go on what was held."""
        self.holding = False
        held, self._held = self._held, []
        for route in held:
            self._pass_on(route)

    def _pass_on(self, route: Route) -> None:
        answer = route.fetch()
        if self.lose:
            self.lose -= 1
            route.abort()
        else:
            route.fulfill(response=answer)


def use_key(page: Page, key: str) -> None:
    """Say the key that the door wants."""
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use this key").click()
    page.get_by_role("button", name="Forget the key").wait_for()


def analyzed(page: Page, *, rated: bool = True) -> None:
    """Ask about an article, and wait until all answers can be rated."""
    paste(page, TEXT, TITLE)
    for task in ("summary", "category", "veracity"):
        page.locator(f".card.{task} {'.rating' if rated else '.hint'}").first.wait_for()


def thanked(page: Page) -> None:
    """Wait until everything that was said has reached the door."""
    page.locator(".thanks").first.wait_for()
    page.get_by_text("Sending…").wait_for(state="detached")
    page.get_by_text("Kept in this browser, and").wait_for(state="detached")
