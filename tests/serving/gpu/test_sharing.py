"""Which servers have one process compute for all on a GPU, and where its socket lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from infolens.targets import Target
from serving.gpu.sharing import OFF, VARIABLE, HostPlace, shares_gpu

GPU = "instance_group [ { kind: KIND_GPU count: 1 } ]"
CPU = "instance_group [ { kind: KIND_CPU count: 1 } ]"
REHEARSAL = 'parameters { key: "rehearse_gpu" value { string_value: "1" } }'


def device(name: str) -> str:
    return f'{CPU} parameters {{ key: "device" value {{ string_value: "{name}" }} }}'


def write(folder: Path, **models: tuple[str, str]) -> list[Path]:
    paths = []
    for name, (backend, more) in models.items():
        paths.append(folder / f"{name}.pbtxt")
        paths[-1].write_text(f'name: "{name}" backend: "{backend}" {more}')
    return paths


def test_a_wrong_configuration_is_tritons_to_tell(tmp_path: Path) -> None:
    assert not shares_gpu(write(tmp_path, bart=("summarizer", "max_batch_size: eight")), Target.CUDA)


@pytest.mark.parametrize(
    ("summary", "category", "target", "shares"),
    [
        (("summarizer", device("torch")), ("onnxruntime", GPU), Target.CUDA, True),
        (("summarizer", device("tensorrt")), ("onnxruntime", GPU), Target.TENSORRT, False),
        (("summarizer", device("auto")), ("onnxruntime", GPU), Target.CUDA, True),
        (("summarizer", device("cpu")), ("onnxruntime", GPU), Target.CUDA, False),
        (("summarizer", device("torch")), ("onnxruntime", CPU), Target.CUDA, False),
        (("onnxruntime", CPU), ("onnxruntime", GPU), Target.CUDA, False),
        (("summarizer", device("cpu")), ("onnxruntime", CPU), Target.CPU, False),
        (("summarizer", device("cpu")), ("onnxruntime", f"{CPU} {REHEARSAL}"), Target.CPU, True),
        (("onnxruntime", CPU), ("onnxruntime", f"{CPU} {REHEARSAL}"), Target.CPU, False),
    ],
)
def test_a_summary_and_a_classifier_on_the_gpu_share_it(
    summary: tuple[str, str], category: tuple[str, str], target: Target, shares: bool, tmp_path: Path
) -> None:
    assert shares_gpu(write(tmp_path, bart=summary, distilbert=category), target) is shares


def test_the_socket_is_for_this_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    configs = write(tmp_path, bart=("summarizer", device("torch")), distilbert=("onnxruntime", GPU))
    for folder in (tmp_path / "run", None):
        place = HostPlace(folder)
        assert place.variables() == {}, "nobody has looked"
        place.look(configs, Target.CUDA)
        made = Path(place.variables()[VARIABLE])
        assert made.parent.stat().st_mode & 0o777 == 0o700
        assert place.variables() == {VARIABLE: str(made)}, "a server that is started again has the same"
        place.close()
        assert made.parent.is_dir() is (folder is not None)


def test_it_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, OFF)
    place = HostPlace(tmp_path)
    place.look(write(tmp_path, bart=("summarizer", device("torch")), distilbert=("onnxruntime", GPU)), Target.CUDA)
    assert place.variables() == {}
