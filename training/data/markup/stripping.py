"""Take HTML out of a text: tags with their attributes, scripts and style sheets, comments, character references.

Only what HTML has is a tag; a ``<`` of prose stays, as in ``a < b``, ``<3`` and ``if a <b and c> d``.
"""

from __future__ import annotations

import re
from typing import Final

from .references import with_characters

_INLINE: Final = (
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|del|dfn|em|font|i|ins|kbd|label|mark|nobr|q|rp|rt|ruby|s|samp|small|span"
    "|strike|strong|sub|sup|time|tt|u|var|wbr"
)
"""Elements inside a line: nothing stands in their place."""
_BLOCK: Final = (
    "address|applet|area|article|aside|audio|base|blockquote|body|br|button|canvas|caption|center|col|colgroup|dd"
    "|details|dialog|dir|div|dl|dt|embed|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr"
    "|html|iframe|img|input|legend|li|link|main|map|menu|meta|nav|noscript|object|ol|optgroup|option|p|param|picture"
    "|pre|script|section|select|source|style|summary|svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|track|ul|video"
)
"""Elements with a place of their own: a blank stands for them."""
_FLAGS: Final = "allowfullscreen|async|checked|controls|defer|disabled|hidden|nowrap|noshade|readonly|required|selected"
_ATTRIBUTE: Final = r"[A-Za-z_:][\w:.-]{0,40}\s*="
_QUOTED: Final = r"""(?:[^<>"']|"[^"]{0,2000}"|'[^']{0,2000}')*+>"""
# The second form of the attributes is for quotes that do not fit together; the last one for a text that was cut off.
_REST: Final = (
    rf"(?:\s+(?:{_FLAGS})\b)*(?:\s*/?>|\s+{_ATTRIBUTE}(?:{_QUOTED}|[^<>]{{0,2000}}>)|\s+{_ATTRIBUTE}[^<>]{{0,2000}}\Z)"
)


def _tags(names: str) -> re.Pattern[str]:
    return re.compile(rf"<(?:/\s*(?:{names})\s*(?:>|\Z)|(?:{names}){_REST})", re.IGNORECASE)


_INLINE_TAG: Final = _tags(_INLINE)
# Word and Facebook write elements of their own: <o:p>, <fb:like href="...">.
_BLOCK_TAG: Final = _tags(rf"{_BLOCK}|[a-z][a-z0-9]{{0,9}}:[a-z][\w-]{{0,30}}")
_CODE: Final = re.compile(r"<(script|style)\b[^<>]*>(?:(?!</?\1\b).)*+</\1\s*>", re.IGNORECASE | re.DOTALL)
_COMMENT: Final = re.compile(
    r"<!--(?:(?!<!--|-->).)*+-->|<!DOCTYPE\b[^<>]*>|<\?xml\b[^<>]*>", re.IGNORECASE | re.DOTALL
)
_CDATA: Final = re.compile(r"<!\[CDATA\[((?:(?!<!\[CDATA\[|\]\]>).)*+)\]\]>", re.DOTALL)


def without_markup(text: str) -> str:
    """A text without HTML; one that has none comes back as it is.

    Elements inside a line leave nothing behind, others a blank. What stands in scripts, style sheets and comments goes.
    """
    text = with_characters(text)
    if "<" not in text:
        return text
    for pattern in (_CODE, _COMMENT, _BLOCK_TAG):
        text = pattern.sub(" ", text)
    return _INLINE_TAG.sub("", _CDATA.sub(r"\1", text))
