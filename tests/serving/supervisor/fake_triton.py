"""Something that speaks as much of Triton's gRPC as the supervisor asks, and that ends at once while a file says so.

It takes Triton's words: ``--grpc-port=PORT`` and ``--model-repository=DIR``; the file is ``DIR/doomed``.
"""

from __future__ import annotations

import sys
import time
from concurrent import futures
from pathlib import Path

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc


class Service(service_pb2_grpc.GRPCInferenceServiceServicer):
    def ServerLive(self, request, context):  # noqa: N802
        return service_pb2.ServerLiveResponse(live=True)

    def RepositoryIndex(self, request, context):  # noqa: N802
        answer = service_pb2.RepositoryIndexResponse()
        answer.models.add(name="summarize", version="1", state="READY")
        return answer

    def ModelConfig(self, request, context):  # noqa: N802
        answer = service_pb2.ModelConfigResponse()
        answer.config.name = request.name
        answer.config.ensemble_scheduling.step.add(model_name="summarize", model_version=-1)
        return answer

    def ModelStatistics(self, request, context):  # noqa: N802
        return service_pb2.ModelStatisticsResponse()


def main() -> None:
    options = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:] if "=" in word)
    doomed = Path(options["model-repository"]) / "doomed"
    server = grpc.server(futures.ThreadPoolExecutor(4))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Service(), server)
    assert server.add_insecure_port(f"127.0.0.1:{options['grpc-port']}")
    server.start()
    while not doomed.exists():
        time.sleep(0.02)
    sys.stdout.write("error: doomed\n")
    sys.stdout.flush()
    sys.exit(3)


if __name__ == "__main__":
    main()
