"""What takes seconds to make, and is made at most once a run: Ray, an S3-compatible server, an empty MLflow store."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.tracking.client import Tracking, open_client


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> None:
    """Take the imported libraries out of garbage collection.

    `accelerate` collects at the end of every training, and would look through hundreds of thousands of their objects.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """A real S3-compatible server on a free port, which this process's environment names; gives the URL of a folder."""
    server_module = pytest.importorskip("moto.server")
    import boto3

    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    settings = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="runs")
        yield "s3://runs/folder"
    server.stop()


@pytest.fixture(scope="session")
def ray_session(s3: str) -> Iterator[None]:  # Ray's processes have the environment that it was started with
    """A Ray that the tests of a run share: starting one takes seconds."""
    ray = pytest.importorskip("ray")
    from training.loop.ray_session import start_ray

    start_ray(cpus=4)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of an MLflow store with nothing in it, to be copied: MLflow takes seconds to make one."""
    folder = tmp_path_factory.mktemp("empty-store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        open_client(Tracking())  # the default store makes its own folder
    return folder / "mlruns" / "mlflow.db"


@pytest.fixture
def tracking(empty_store: Path, tmp_path: Path) -> Tracking:
    """An MLflow store of a test's own, in its folder."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return Tracking(uri=f"sqlite:///{tmp_path}/mlflow.db", experiment="test")
