"""Which models serve the tasks: what the ensembles say, of a model repository or of a server.

A task takes models of any architecture, and several may lie side by side; the ensemble that clients ask names the
three models that an article passes through now. Nothing else says which one serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import grpc
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb
from tritonclient.grpc import service_pb2, service_pb2_grpc

from infolens import Client
from infolens.contract import CONTRACTS, ServedModel, Task

from .server import BenchmarkError
from .wire import NO_PROXY, grpc_address, reason_of

Served = Mapping[Task, ServedModel]
"""The models of each task, in the order of the contract."""

_TIMEOUT_S: Final = 30.0


def served_models(repository: Path, config_name: str | None = None) -> dict[Task, ServedModel]:
    """The models of each task that a model repository answers, as it lies on the disk.

    Args:
        repository: Holds an ensemble for each task; a task without one is left out.
        config_name: Read ``<ensemble>/configs/<config_name>.pbtxt`` where there is one, as a server does that is
            started with ``--config-name``.

    Raises:
        BenchmarkError: There is no ensemble of any task, or one cannot be read or is not of three models.
    """
    found = {
        task: served_model(task, read_config(repository, contract.ensemble, config_name))
        for task, contract in CONTRACTS.items()
        if (repository / contract.ensemble).is_dir()
    }
    if not found:
        raise BenchmarkError(
            f"a model repository has the ensemble of a task ({_ensembles()}), but {repository} has none; export a "
            "model into it with `python -m export`, and write its configurations anew with `make configs`"
        )
    return found


def read_config(repository: Path, model: str, config_name: str | None = None) -> pb.ModelConfig:
    """The configuration of a model of a repository; arguments as of `served_models`.

    Raises:
        BenchmarkError: It cannot be read.
    """
    path = repository / model / "config.pbtxt"
    if config_name is not None and (own := repository / model / "configs" / f"{config_name}.pbtxt").is_file():
        path = own
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), pb.ModelConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise BenchmarkError(
            f"cannot read how {repository} is run: {error}; write its configurations anew with `make configs`"
        ) from error


def serving_now(grpc_url: str) -> dict[Task, ServedModel]:
    """The models of each task that a running server answers.

    Args:
        grpc_url: Such as ``grpc://127.0.0.1:8001``.

    Raises:
        BenchmarkError: The server answers no task, does not tell its configuration, or an ensemble is not of three
            models.
        ServerError: It cannot be reached.
    """
    with Client(grpc_url) as client:
        ready = client.status(timeout_s=_TIMEOUT_S).models
    found = {}
    with grpc.insecure_channel(grpc_address(grpc_url), options=NO_PROXY) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for task, contract in CONTRACTS.items():
            if not ready.get(contract.ensemble):
                continue
            request = service_pb2.ModelConfigRequest(name=contract.ensemble)
            try:
                answer = stub.ModelConfig(request, timeout=_TIMEOUT_S)
            except grpc.RpcError as error:
                raise BenchmarkError(
                    f"the server at {grpc_url} does not tell how {contract.ensemble} is run ({reason_of(error)}); look "
                    "at its log"
                ) from error
            found[task] = served_model(task, answer.config)
    if not found:
        raise BenchmarkError(f"the server at {grpc_url} answers no task: it has none of {_ensembles()}")
    return found


def served_model(task: Task, ensemble: pb.ModelConfig) -> ServedModel:
    """The models that the ensemble of a task names.

    Raises:
        BenchmarkError: They are not the tokenizer, the model and what follows it, in this order.
    """
    names = tuple(step.model_name for step in ensemble.ensemble_scheduling.step)
    model = CONTRACTS[task].served(names[1]) if len(names) > 1 else CONTRACTS[task].served()
    if names != model.chain:
        wanted = ", ".join(model.chain)
        raise BenchmarkError(
            f"the steps of the ensemble {CONTRACTS[task].ensemble} are a tokenizer, a model and what follows it, such "
            f"as {wanted}, not {', '.join(names) or 'none'}; write the configurations anew with `make configs`"
        )
    return model


def asked_together(served: Served) -> dict[Task, ServedModel]:
    """Those of ``served`` that a request to ``info_lens`` passes through."""
    return {task: model for task, model in served.items() if CONTRACTS[task].by_default}


def _ensembles() -> str:
    return ", ".join(contract.ensemble for contract in CONTRACTS.values())
