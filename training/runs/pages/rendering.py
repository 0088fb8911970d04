"""Pages: one HTML file that needs nothing else, in the style of `style.css`, for light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def render(template: Path, **values: Any) -> str:
    """Fill a template of Jinja, which may include ``style.css``; values are escaped.

    Raises:
        jinja2.UndefinedError: The template asks for a value that is not given.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(**values)
