"""A door as the supervisor sees one: it reads its configuration, says where it listens, and ends in order on SIGTERM.

``GET /slow`` is answered once a file named ``answer`` lies beside the configuration; a file ``doomed`` ends the door.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

FOLDER = Path(sys.argv[1]).parent


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/slow":
            (FOLDER / "asked").touch()
            while not (FOLDER / "answer").exists():
                time.sleep(0.02)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"answered")

    def log_message(self, *words: object) -> None:
        pass


class Service(service_pb2_grpc.GRPCInferenceServiceServicer):
    def ServerLive(self, request, context):  # noqa: N802
        return service_pb2.ServerLiveResponse(live=True)


def main() -> None:
    configuration = json.loads(Path(sys.argv[1]).read_text())
    if configuration["config_name"] == "refused":
        sys.exit("error: it cannot be configured so")
    server = ThreadingHTTPServer((configuration["host"], configuration["http_port"]), Handler)
    server.daemon_threads = False
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    live = grpc.server(futures.ThreadPoolExecutor(2))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Service(), live)
    assert live.add_insecure_port(f"{configuration['host']}:{configuration['grpc_port']}")
    live.start()
    ports = {name: configuration[name] for name in ("grpc_port", "metrics_port")}
    partial = FOLDER / "door.json.partial"
    partial.write_text(json.dumps({"http_port": server.server_port, **ports, "pid": os.getpid()}))
    partial.rename(FOLDER / "door.json")

    def doom() -> None:
        while not (FOLDER / "doomed").exists():
            time.sleep(0.02)
        sys.stdout.write("doomed\n")
        sys.stdout.flush()
        os._exit(4)

    threading.Thread(target=doom, daemon=True).start()
    server.serve_forever(poll_interval=0.02)
    server.server_close()
    live.stop(None)


if __name__ == "__main__":
    main()
