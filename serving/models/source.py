"""Where models are fetched from: a folder, ``s3://bucket/prefix``, or any URL that fsspec knows.

Each is a way to open a file by its name; what is there beside is never asked.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit, urlunsplit

from serving.errors import ModelsError

Opener = Callable[[str], AbstractContextManager[BinaryIO]]
"""Opens a file by its name; raises ``FileNotFoundError`` where there is none, and ``OSError`` for all else."""
EXTRA: Final = ".venv/bin/python -m pip install -e '.[models]'"
_TIMEOUT_S: Final = 30
_NOT_FOUND: Final = 404
_LATER: Final = frozenset({408, 429})
_ABSENT: Final = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})


def open_source(place: str) -> Opener:
    """How the files of a source are opened.

    Args:
        place: A folder or a URL.

    Raises:
        ModelsError: There is no such folder, nobody knows this kind of URL, or its library is not installed.
    """
    if "://" not in place:
        return _folder(Path(place))
    try:
        parts = urlsplit(place)
    except ValueError as error:
        raise ModelsError(f"the source is no URL: {error}") from None
    if parts.query or parts.fragment:
        raise ModelsError(
            f"{shown(place)} comes with a ? or # after it, and file names follow a source: give the folder alone, and "
            "what opens it by the environment"
        )
    return _bucket(place, parts.netloc, parts.path.strip("/")) if parts.scheme == "s3" else _anything(place)


def shown(place: str) -> str:
    """A source for messages and logs, without a password that its URL may have."""
    if "://" not in place:
        return place
    parts = urlsplit(place)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def _folder(folder: Path) -> Opener:
    if not folder.is_dir():
        raise ModelsError(f"the source is a folder or a URL such as s3://bucket/prefix, and {folder} is no folder here")

    @contextmanager
    def opened(name: str) -> Iterator[BinaryIO]:
        path = folder
        for part in name.split("/"):
            path /= part
            if path.is_symlink():
                raise ModelsError(f"a folder of models has files alone, and {path} is a link: put the file there")
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe would be waited for
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ModelsError(f"a folder of models has files alone, and {path} is none")
            yield file

    return opened


def _bucket(place: str, bucket: str, prefix: str) -> Opener:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise ModelsError(f"models of an object store need its client, which is not installed: {EXTRA}") from None
    if not bucket:
        raise ModelsError(f"a bucket is named as s3://bucket/prefix, not '{place}'")
    try:
        # `fetch` tries again by itself, and says so. A session of its own: the default one is shared by the process.
        settings = Config(connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S, retries={"total_max_attempts": 1})
        client: Any = boto3.session.Session().client("s3", config=settings)
    except (BotoCoreError, ValueError) as error:
        raise ModelsError(f"{place} cannot be asked for: {error}; {_ways_in()}") from None

    @contextmanager
    def opened(name: str) -> Iterator[BinaryIO]:
        try:
            body = client.get_object(Bucket=bucket, Key=f"{prefix}/{name}" if prefix else name)["Body"]
            with body:
                yield body
        except ClientError as error:
            kind = str(error.response.get("Error", {}).get("Code", ""))
            if kind in _ABSENT:
                raise FileNotFoundError(str(error)) from None
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
            if status < 500 and status not in _LATER:  # it would say so again
                raise ModelsError(f"{place} refuses to give {name}: {error}; {_ways_in()}") from None
            raise OSError(str(error)) from None
        except BotoCoreError as error:
            raise OSError(f"{error}; {_ways_in()}") from None

    return opened


def _ways_in() -> str:
    return (
        "the store is told by AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION and, unless it is Amazon's, "
        "AWS_ENDPOINT_URL"
    )


def _anything(place: str) -> Opener:
    try:
        import fsspec
    except ImportError:
        raise ModelsError(f"models of a URL need fsspec, which is not installed: {EXTRA}") from None
    try:
        filesystem, path = fsspec.core.url_to_fs(place)
    except Exception as error:  # each of its file systems has its own
        raise ModelsError(
            f"{shown(place)} is no folder, no s3://bucket/prefix, and no URL that fsspec opens here: {error}"
        ) from None
    base = str(path).rstrip("/")

    @contextmanager
    def opened(name: str) -> Iterator[BinaryIO]:
        try:
            with filesystem.open(f"{base}/{name}", "rb") as file:
                yield file
        except FileNotFoundError as error:
            # HTTP's says so of every failure.
            if error.__cause__ is None or getattr(error.__cause__, "status", 0) == _NOT_FOUND:
                raise
            raise OSError(f"{type(error.__cause__).__name__}: {error.__cause__}") from None
        except (OSError, ModelsError):
            raise
        except Exception as error:  # each of its file systems has its own
            raise OSError(f"{type(error).__name__}: {error}") from None

    return opened
