"""Ray for the tests that need it, and the S3-compatible server that its processes know: started at most once a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


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
    from training.loop.cluster import start_ray

    start_ray(cpus=4)
    yield
    ray.shutdown()
