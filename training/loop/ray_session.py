"""Ray for a run: started inside this process (``ray.init()``), or joined (``--ray-address``, ``RAY_ADDRESS``).

Starting it takes seconds of waiting for Ray's processes, so that a run begins with it while it prepares its data.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, Final

from training import quiet
from training.errors import SettingError
from training.progress import forwarding
from training.recipes.recipe import Recipe
from training.stopping import apart

logger = logging.getLogger(__name__)

VARIABLE: Final = "RAY_ADDRESS"
"""Ray's own variable, which counts where no option names a cluster."""
LOCAL: Final = "local"
"""As an address: Ray on this machine, whatever the variable says."""
_SETTINGS: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # a worker waits for it at every checkpoint
}
"""Ray's own variables, wherever it runs; what is set already stays."""
_SETTINGS_HERE: Final = {
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # nobody takes this machine away from us
    "RAY_prestart_worker_first_driver": "0",  # a process for each core that none of our actors fits into
    "RAY_enable_metrics_collection": "0",  # for a dashboard, which is not there
}
"""The same for a Ray that is started on this machine."""
ROOMS: Final = ("training", "inspection", "reading", "clients/infolens")
"""What the workers of a cluster are sent, from the project's folder: this room and all that it imports."""


def check_address(recipe: Recipe, address: str) -> None:
    """Check that a recipe trains on the cluster that an option names.

    A run in this process takes nothing of a cluster; that of the variable `VARIABLE` is named in the log.

    Raises:
        SettingError: An address is given, and the recipe has no workers that could be there.
    """
    if recipe.workers:
        return
    if address not in ("", LOCAL):
        raise SettingError(
            f"--ray-address {address}: with workers=0 this process trains, without Ray. Say --set workers=1 (or more, "
            "with strategy=ddp or fsdp) to train on the cluster, or leave the address out"
        )
    if not address and (named := os.environ.get(VARIABLE, "")):
        logger.warning("workers=0: this process trains, not the cluster of %s=%s; workers=1 would", VARIABLE, named)


class _Start:
    """Ray's start on this machine, in a thread that stays: Linux ends Ray's processes with the thread they are of."""

    def __init__(self, cpus: int, *, trains: bool) -> None:
        self.folder: Path | None = None
        self._cpus, self._trains = cpus, trains
        self._error: BaseException | None = None
        self._done, self._idle, self._over = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold, name="ray", daemon=True)
        self._thread.start()

    def _hold(self) -> None:
        try:
            self.folder = start_ray(LOCAL, cpus=self._cpus)
        except BaseException as error:  # raised where it is waited for
            self._error = error
        self._done.set()
        if self._trains and self._error is None:
            _make_ready()
        self._idle.set()
        self._over.wait()

    def wait(self) -> Path | None:
        """The folder of its logs, when Ray has started; raises what kept it from starting."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self.folder

    def end(self) -> None:
        """Stop Ray, when it has started."""
        import ray

        self._idle.wait()
        ray.shutdown()
        self._over.set()
        self._thread.join()


_AHEAD: Final[list[_Start]] = []
"""The start that is under way in this process, if one is."""


@contextmanager
def ray_ahead(address: str = "", *, cpus: int, trains: bool = False) -> Iterator[None]:
    """Begin to start Ray on this machine, and do not wait for it: a `ray_for` in the block does.

    Nothing is begun where Ray is to be joined (see `start_ray`), or was started already. What the block has not stopped
    is stopped after it.

    Args:
        address: Of a cluster, as `start_ray` takes it.
        cpus: Cores that the work takes.
        trains: It is Ray Train's, which needs more than Ray.
    """
    import ray

    if ray.is_initialized() or _AHEAD or (address or os.environ.get(VARIABLE, "") or LOCAL) != LOCAL:
        yield
        return
    start = _Start(cpus, trains=trains)
    _AHEAD.append(start)
    try:
        yield
    finally:
        if start in _AHEAD:  # the block broke off before it came to Ray
            _AHEAD.remove(start)
            start.end()
            _delete_logs(start.folder)


@contextmanager
def ray_for(address: str = "", *, cpus: int = 0) -> Iterator[bool]:
    """Have Ray in the block, as `start_ray` makes it; gives whether it was started for the block, on this machine.

    A Ray that the block began with is stopped after it, and the logs of one that was started here deleted, unless the
    block raises. One that `ray_ahead` has begun to start is waited for.
    """
    import ray

    start = _AHEAD.pop() if _AHEAD else None
    kept = start is None and ray.is_initialized()
    folder = None
    try:
        folder = start.wait() if start else start_ray(address, cpus=cpus)
        yield folder is not None
    except BaseException:
        folder = None
        raise
    finally:
        if start:
            start.end()
        elif not kept:
            ray.shutdown()
        _delete_logs(folder)


def _delete_logs(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _make_ready() -> None:
    """Do now what Ray Train would wait for later: its imports, and an actor that it makes once in a cluster."""
    try:
        import ray.train.torch  # noqa: F401
        from ray.data._internal.cluster_autoscaler import default_autoscaling_coordinator

        default_autoscaling_coordinator.get_or_create_autoscaling_coordinator()
    except Exception as error:  # these are Ray's own affairs: it does later what is not done by now
        logger.debug("Ray Train will take longer to start: %r", error)


def start_ray(address: str = "", *, cpus: int = 0) -> Path | None:
    """Join a Ray cluster, or start Ray on this machine with room for ``cpus`` cores' worth of work.

    A Ray that this process has started or joined already is kept.

    Args:
        address: Of the cluster; empty for that of the variable RAY_ADDRESS, if it is set. ``local`` starts Ray here.
        cpus: Cores that the work takes.

    Returns:
        The folder of logs of a Ray that was started here; None for one that was joined, or kept.

    Raises:
        SettingError: No cluster answers at the address.
    """
    _set(_SETTINGS)
    import ray

    if ray.is_initialized():
        return None
    began = time.monotonic()
    named_by = "--ray-address"
    if not address and (address := os.environ.get(VARIABLE, "")):
        named_by = VARIABLE
    if address in ("", LOCAL):
        _set(_SETTINGS_HERE)
        logger.info("starting Ray")
        with apart():  # a signal for this command is no signal for Ray
            started = ray.init(
                address=LOCAL,
                num_cpus=max(cpus, os.cpu_count() or 1),
                include_dashboard=False,
                configure_logging=False,
                runtime_env={"worker_process_setup_hook": quiet.hook()},
            )
        forwarding.install()
        logger.info("started Ray in %.1f s", time.monotonic() - began)
        return Path(started.address_info["session_dir"])
    logger.info("joining the Ray cluster %s", address)
    root = Path(__file__).parents[2]
    modules = [str(root / room) for room in ROOMS]
    try:
        with apart():
            ray.init(
                address=address,
                runtime_env={"py_modules": modules, "worker_process_setup_hook": quiet.hook()},
                configure_logging=False,
            )
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SettingError(
            f"{named_by} {address}: no Ray cluster answers there ({reason}). Start one with 'ray start --head', or say "
            f"--ray-address {LOCAL} to train on this machine"
        ) from error
    forwarding.install()
    return None


def _set(variables: dict[str, str]) -> None:
    for name, value in variables.items():
        os.environ.setdefault(name, value)


_NEEDLESS: Final = ("DatasetsCallback",)
"""Ray Train's callbacks, by their class, that start a process each for what we have not: data sets of Ray's, ..."""
_NEEDLESS_HERE: Final = (*_NEEDLESS, "PlacementGroupCleanerCallback")
"""...and in a Ray that ends with this process: tidying up after it."""


def interruptible(*arguments: Any, ours: bool, **settings: Any) -> Any:
    """A `TorchTrainer` that ends when this process is interrupted, and takes its workers with it.

    Ray's own handler of SIGINT would replace this process's, and would leave without a word.

    Args:
        *arguments: Of the trainer.
        ours: Ray was started by this process, and ends with it.
        **settings: Of the trainer.
    """
    import ray
    from ray.train.torch import TorchTrainer

    class Interruptible(TorchTrainer):
        def _register_sigint_handler(self, controller: Any) -> None:
            self.controller = controller

        def _create_default_callbacks(self) -> list[Any]:  # with a Ray that has no such method, all are there
            left_out = _NEEDLESS_HERE if ours else _NEEDLESS
            return [each for each in super()._create_default_callbacks() if type(each).__name__ not in left_out]

        def fit(self) -> Any:
            try:
                with redirect_stdout(_Rays()):
                    return super().fit()
            except KeyboardInterrupt:
                if controller := getattr(self, "controller", None):
                    ray.kill(controller)  # its workers are its children, and end with it
                raise

    return Interruptible(*arguments, **settings)


class _Rays(io.TextIOBase):
    """What Ray itself prints goes to standard error, as this process's output is for what a command answers.

    It says of each worker that dies that it does, at some length; so do we, in a line.
    """

    def __init__(self) -> None:
        self.left_out = False

    def write(self, text: str) -> int:
        self.left_out = "A worker died or was killed while executing a task" in text or (self.left_out and text == "\n")
        return len(text) if self.left_out else sys.stderr.write(text)
