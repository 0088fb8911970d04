"""A parser that knows what was meant: of a mistyped option or command it names the nearest, under the right usage."""

from __future__ import annotations

import argparse
import difflib
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from infolens._values.predictions import is_prediction

OK, SOME_FAILED, USAGE, NO_SERVER = 0, 1, 2, 3
"""The exit codes."""
DEFAULT_WAIT_S: Final = 30.0
"""How long a server that went away is waited for."""
_LIKENESS: Final = 0.6
"""How alike a word and the name that may be meant must be: `difflib` counts from 0 to 1."""


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name that is most like a word, whatever its hyphens and case; None where none is."""
    plain = {name.replace("-", "").replace("_", "").lower(): name for name in names}
    found = difflib.get_close_matches(word.replace("-", "").replace("_", "").lower(), plain, n=1, cutoff=_LIKENESS)
    return plain[found[0]] if found else None


class CommandParser(argparse.ArgumentParser):
    """The parser of one command: what it does not know is refused here, under this command's usage.

    No option may be shortened: ``--api-key KEY`` would be taken for ``--api-key-file``, and the key told in an error.

    Args:
        takes_ids: Whether its words may be ids of predictions, which may begin with a hyphen.
    """

    def __init__(self, *args: Any, takes_ids: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})
        self._takes_ids = takes_ids

    @property
    def flags(self) -> list[str]:
        """Its options, as they are written on a command line."""
        return [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does; files may stand before, between and after options."""
        if self._takes_ids and args is not None:
            # Behind a double hyphen nothing is taken for an option.
            ids = [word for word in args if word.startswith("-") and is_prediction(word) and word not in self.flags]
            args = [*(word for word in args if word not in ids), *(["--", *ids] if ids else [])]
        found, unknown = super().parse_known_args(args, namespace)
        flags = [word for word in unknown if word.startswith("-") and word != "-"]
        if flags:
            self.refuse(flags)
        if unknown and hasattr(found, "files"):
            found.files = [*found.files, *unknown]
            unknown = []
        return found, unknown

    def refuse(self, flags: Sequence[str]) -> NoReturn:
        """Say that there are no such options, and which may be meant."""
        words = []
        for flag in flags:
            near = nearest(flag.partition("=")[0], self.flags)
            words.append(f"there is no option {flag.partition('=')[0]}{f'; did you mean {near}?' if near else ''}")
        self.error("; ".join(words))


class MainParser(argparse.ArgumentParser):
    """The parser of the words before those of a command.

    Its first subparsers are its commands, and each a `CommandParser`.
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, but for a first word that is no command and no option of this parser."""
        args = sys.argv[1:] if args is None else args
        words = list(args)
        actions = [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
        commands: dict[str, CommandParser] = dict(actions[0].choices)
        if words and words[0] not in commands:
            self._check_first(words[0], words, commands)
        return super().parse_known_args(args, namespace)

    def _check_first(self, first: str, words: Sequence[str], commands: dict[str, CommandParser]) -> None:
        if first.startswith("-"):
            flag = first.partition("=")[0]
            own = [name for action in self._actions for name in action.option_strings]
            owner = next((name for name, command in commands.items() if flag in command.flags), None)
            named = next((word for word in words if word in commands), owner)
            if flag not in own and owner is not None:
                self.error(f"{flag} comes after the command: {self.prog} {named} {flag} ...")
            if flag not in own and (near := nearest(flag, own)) is not None:
                self.error(f"there is no option {flag}; did you mean {near}?")
            return
        near = nearest(first, commands)
        if near is not None:
            commands[near].error(f"there is no command {first!r}; did you mean {self.prog} {near}?")
        if Path(first).exists():
            self.error(f"a command comes first; to analyze a file: {self.prog} analyze {first}")


def clean(text: str) -> str:
    """The text on one line without control characters: what an article says must not steer the terminal."""
    return " ".join("".join(" " if unicodedata.category(char) in ("Cc", "Cf") else char for char in text).split())


def complain(message: str, code: int, *, notes_of: BaseException | None = None) -> int:
    """Say a message and an error's notes on stderr, a line each; returns ``code``, for the exit."""
    for words in (message, *getattr(notes_of, "__notes__", ())):
        sys.stderr.write(f"infolens: {clean(words)}\n")
    return code
