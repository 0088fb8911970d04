"""A door that wants keys, and who asks it with them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
from sqlalchemy import URL

from serving.keys.records import Role
from serving.keys.store import KeyStore
from tests.serving.gateway.http.running import infer_body
from tests.serving.gateway.scripted import SERVICE, Door, infer_request

Code = grpc.StatusCode
INFER = "/v2/models/classify/infer"
STRANGE = "il_" + "x" * 43
"""A key of the right form that nobody has."""


@dataclass(kw_only=True)
class Keyed:
    """A door that wants keys."""

    door: Door
    store: KeyStore
    keys: dict[str, str] = field(default_factory=dict)

    async def make(self, name: str, role: Role = Role.READ, **limits: Any) -> str:
        self.keys[name], _ = await asyncio.to_thread(self.store.create, name, role, **limits)
        return self.keys[name]

    async def http(
        self, path: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, document and headers of an answer; an inference where a path asks for one."""
        url = f"http://127.0.0.1:{self.door.ports['http_port']}{path}"
        posts = path.endswith(("/infer", "/generate"))
        body = more.pop("data", infer_body() if posts else None)
        async with (
            aiohttp.ClientSession() as session,
            session.request("POST" if posts else "GET", url, data=body, headers=headers, **more) as answer,
        ):
            content = await answer.read()
            return answer.status, json.loads(content) if content else None, answer.headers

    async def grpc(self, method: str, key: str | None = None, service: str = SERVICE, **more: Any) -> Code:
        """The code of a call."""
        metadata = (*more.pop("metadata", ()), *bearer(key))
        message = infer_request() if method == "ModelInfer" else b"\x0a\x08classify" if "Model" in method else b""
        code: Code = await self.door.call(method, message, service, metadata=metadata, **more).code()
        return code


def bearer(key: str | None) -> tuple[tuple[str, str], ...]:
    return () if key is None else (("authorization", f"Bearer {key}"),)


def has(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def made(folder: Path) -> tuple[KeyStore, str]:
    file = folder / "keys.sqlite3"
    return KeyStore(URL.create("sqlite", database=str(file))), f"sqlite:///{file}"
