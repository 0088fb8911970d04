"""The head's init container copies a folder of an object store to where the jobs read it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.k8s.training.manifests import cluster_of, the


@pytest.fixture
def store() -> Iterator[dict[str, str]]:
    """A real S3-compatible server; gives what names it in the environment."""
    server_module = pytest.importorskip("moto.server")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    server.stop()


def test_it_brings_every_table(store: dict[str, str], tmp_path: Path) -> None:
    boto3 = pytest.importorskip("boto3")
    settings = the(".", "ConfigMap")["data"]
    bucket, _, prefix = settings["INFOLENS_DATA_URL"].removeprefix("s3://").partition("/")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (store | {"AWS_DEFAULT_REGION": settings["AWS_DEFAULT_REGION"]}).items():
            patch.setenv(name, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket=bucket)
        for name in ("category.parquet", "more/pairs.parquet"):
            client.put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=name.encode())
    (data,) = cluster_of("fit")["headGroupSpec"]["template"]["spec"]["initContainers"]
    program, *words = data["command"]
    assert program == "python"
    assert data["args"] == ["$(INFOLENS_DATA_URL)", "/data"]
    environment = dict(os.environ) | store | {"AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, *words, settings["INFOLENS_DATA_URL"], str(tmp_path)]
    subprocess.run(command, env=environment, check=True, timeout=300)
    assert {str(one.relative_to(tmp_path)): one.read_text() for one in tmp_path.rglob("*") if one.is_file()} == {
        "category.parquet": "category.parquet",
        "more/pairs.parquet": "more/pairs.parquet",
    }
