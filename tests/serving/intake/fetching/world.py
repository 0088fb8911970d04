"""Two sites and the names that lead to them and elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from serving.intake.fetching.fetcher import Fetched, fetch
from serving.intake.fetching.options import FetchOptions
from tests.serving.intake.fetching.site import Names, Site


@dataclass(kw_only=True)
class World:
    """Two sites on loopback: one that is allowed, and one at whose port a link may knock, but not on loopback."""

    site: Site
    secret: Site
    names: Names

    @property
    def options(self) -> FetchOptions:
        return FetchOptions(allow=(f"127.0.0.1:{self.site.port}", f"news.example:{self.secret.port}"))

    def url(self, text: str) -> str:
        """A link with the ports filled in."""
        return text.replace("SITE", str(self.site.port)).replace("SECRET", str(self.secret.port))

    async def fetch(self, text: str, **more: float) -> Fetched:
        options = FetchOptions(allow=self.options.allow, **more)  # type: ignore[arg-type]
        return await fetch(self.url(text), options, lookup=self.names)


NAMES = {
    "site.example": [["127.0.0.1"]],
    "loopback.example": [["127.0.0.1"]],
    "other.example": [["127.0.0.2"]],
    "mixed.example": [["127.0.0.1", "127.0.0.2"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "six.example": [["::1"]],
    "metadata.example": [["169.254.169.254"]],
    "translated.example": [["64:ff9b::7f00:1"]],
    "news.example": [["169.254.169.254"]],
    "turning.example": [["127.0.0.1"], ["127.0.0.2"]],
    "empty.example": [[]],
    "crowd.example": [["127.0.0.1"] + [f"127.0.1.{number}" for number in range(100)]],
}
