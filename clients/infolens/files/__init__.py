r"""What files hold: the title on top of a text, and what a file is that is no plain text.

>>> parse_article("Late goal decides the cup\n\nThe home side won the final.").title
'Late goal decides the cup'
>>> kind_of_words("<!DOCTYPE html><html></html>").name
'html'
"""

from __future__ import annotations

from infolens._commands.articles import parse_article, split_title
from infolens._commands.kinds import MAX_TITLE_CHARS, Kind, kind_of_bytes, kind_of_words

__all__ = ["MAX_TITLE_CHARS", "Kind", "kind_of_bytes", "kind_of_words", "parse_article", "split_title"]
