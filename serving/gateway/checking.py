"""Whether a request for a model may go on to Triton: the rules that both doors share.

Each door makes an `InferRequestView` of what it was sent, without copying a tensor, and has it checked here before
anything is allocated or sent on. Triton 2.51 must never see what is refused here: it answers some of it with a death.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from .catalogue import CatalogueModel, CatalogueTensor
from .configuration import GatewayLimits
from .kserve.classification import CLASSIFICATION
from .kserve.datatypes import BYTES, DATATYPES, count_strings
from .refusals import invalid

Parameter = bool | int | float | str

MAX_NAME_CHARACTERS: Final = 256
MAX_ID_CHARACTERS: Final = 256
MAX_PARAMETER_CHARACTERS: Final = 4096
TIMEOUT: Final = "timeout"
"""The parameter of a request that says its time in microseconds; 0 is no limit."""
_LONGEST_S: Final = 365 * 86_400.0
"""The gRPC library takes times that reach beyond its calendar for times that are over."""
SEQUENCE: Final = ("sequence_id", "sequence_start", "sequence_end")
_DEFAULTS: Final = GatewayLimits()
_SHARED_MEMORY: Final = ("shared_memory_region", "shared_memory_offset", "shared_memory_byte_size")


@dataclass(frozen=True, kw_only=True, slots=True)
class InputView:
    """One input of a request, its data untouched."""

    name: str
    datatype: str
    """As KServe spells it: ``BYTES``, ``FP32``, ``INT32``..."""
    shape: tuple[int, ...]
    data: bytes | memoryview | None = None
    """Its data as Triton lays it out (``raw_input_contents``); None where it came typed (gRPC's ``contents``)."""
    elements: int | None = None
    """How many typed elements came; None where ``data`` is given."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputView:
    """One output that a request asks for."""

    name: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class InferRequestView:
    """A request for an inference, as both doors see it."""

    id: str = ""
    inputs: Sequence[InputView] = ()
    outputs: Sequence[OutputView] = ()
    """Empty: the model gives all."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


def check_request(model: CatalogueModel, request: InferRequestView, limits: GatewayLimits = _DEFAULTS) -> None:
    """Refuse a request that breaks a rule; returns when it may go on.

    Args:
        model: The model that is asked.
        request: What it is asked.
        limits: How many parts a request may have.

    Raises:
        RefusedError: It breaks one; the words say which, and what was given.
    """
    _check_id(request.id)
    _check_names([one.name for one in request.inputs], "inputs", limits.max_inputs)
    _check_names([one.name for one in request.outputs], "outputs", limits.max_outputs)
    count = len(request.parameters)
    count += sum(len(one.parameters) for one in request.inputs) + sum(len(one.parameters) for one in request.outputs)
    if count > limits.max_parameters:
        raise invalid(f"a request has at most {limits.max_parameters} parameters, not {count}")
    _check_parameters(request.parameters, "the request")
    batch = 0
    for given in request.inputs:
        tensor = model.inputs.get(given.name)
        if tensor is None:
            raise invalid(
                f"unexpected inference input '{_short(given.name)}' for model '{model.name}': it takes "
                f"{', '.join(model.inputs)}"
            )
        _check_parameters(given.parameters, f"input '{given.name}'")
        batch = _check_tensor(model, tensor, given, batch)
    sent = {given.name for given in request.inputs}
    if missing := [name for name, tensor in model.inputs.items() if not tensor.optional and name not in sent]:
        raise invalid(
            f"model '{model.name}' needs the input '{missing[0]}', which the request lacks "
            f"(it has {', '.join(sorted(sent)) or 'none'}): send it"
        )
    for wanted in request.outputs:
        output = model.outputs.get(wanted.name)
        if output is None:
            # The SDK tells by the first words that a server is older or has fewer tasks than it.
            raise invalid(
                f"unexpected inference output '{_short(wanted.name)}' for model '{model.name}': it gives "
                f"{', '.join(model.outputs)}"
            )
        _check_parameters(wanted.parameters, f"output '{wanted.name}'")
        _check_classification(output, wanted.parameters)


def timeout_s(parameters: Mapping[str, Parameter]) -> float | None:
    """The time that a checked request allows, in seconds, a year at most; None without a limit."""
    value = parameters.get(TIMEOUT, 0)
    return min(float(value) / 1e6, _LONGEST_S) if value else None


def check_parameter(name: str, value: object, where: str) -> None:
    """Refuse a parameter that no door passes on."""
    if name in _SHARED_MEMORY:
        raise invalid(f"{where} names shared memory ({name}), which this server never reads: send the data itself")
    if name in SEQUENCE and value not in (0, "", "0", False):
        raise invalid(f"{where} has {name}, but no model here keeps a sequence: leave it out")
    if name.startswith("triton_"):
        raise invalid(f"{where} has the parameter '{_short(name)}': names that begin with triton_ are the server's own")
    if not isinstance(value, Parameter) or (isinstance(value, float) and not -1e308 < value < 1e308):
        raise invalid(f"the parameter '{_short(name)}' of {where} is true, false, a number or a string")
    if isinstance(value, str) and len(value) > MAX_PARAMETER_CHARACTERS:
        raise invalid(f"a parameter has at most {MAX_PARAMETER_CHARACTERS} characters, '{_short(name)}' {len(value)}")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise invalid(f"a parameter is an integer of 64 bits, which {value:.3e} is not ('{_short(name)}' of {where})")
    if name in (TIMEOUT, "priority") and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        unit = "microseconds" if name == TIMEOUT else "a whole number"
        raise invalid(f"the parameter {name} is {unit} from 0, not {value!r:.40}")
    if name in ("partial", "evidence") and not isinstance(value, bool):
        raise invalid(f"the request parameter {name} is true or false, not {value!r:.40}")


def _check_id(text: str) -> None:
    if len(text) > MAX_ID_CHARACTERS:
        raise invalid(f"the id of a request has at most {MAX_ID_CHARACTERS} characters, not {len(text)}")
    if not text.isprintable():  # Triton writes it into its log
        raise invalid("the id of a request has characters that can be printed: leave line ends and the like out")


def _check_parameters(parameters: Mapping[str, Parameter], where: str) -> None:
    for name, value in parameters.items():
        if not name or len(name) > MAX_NAME_CHARACTERS:
            raise invalid(f"a name of a parameter has 1 to {MAX_NAME_CHARACTERS} characters, not {len(name)}")
        check_parameter(name, value, where)


def _check_names(names: Sequence[str], kind: str, limit: int) -> None:
    if len(names) > limit:
        raise invalid(f"a request has at most {limit} {kind}, not {len(names)}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise invalid(f"the {kind} of a request are different ones, but '{_short(twice)}' comes more than once")


def _check_tensor(model: CatalogueModel, tensor: CatalogueTensor, given: InputView, batch: int) -> int:
    """Check one input; ``batch`` is that of the inputs before it, or 0. Returns its own."""
    if given.datatype != tensor.datatype:
        raise invalid(
            f"input '{given.name}' of model '{model.name}' is {tensor.datatype}, not '{_short(given.datatype)}'"
        )
    shape, batched = given.shape, model.max_batch_size > 0
    dims = shape[1:] if batched else shape
    size = 1
    for length in shape:
        size *= length if 0 < length < 2**31 else 0
    if not size or (batched and not shape) or not _fits(dims, tensor.dims):
        raise invalid(
            f"input '{given.name}' of model '{model.name}' has the shape "
            f"{_words(tensor.dims, model.max_batch_size)}, not {_short(str(list(shape)))}"
        )
    if batched and shape[0] > model.max_batch_size:
        raise invalid(f"model '{model.name}' takes at most {model.max_batch_size} rows in a request, not {shape[0]}")
    if batched and batch not in (0, shape[0]):
        raise invalid(f"all inputs of a request have the same number of rows, but '{given.name}' {shape[0]} of {batch}")
    _check_size(given, size)
    return shape[0] if batched else 0


def _check_size(given: InputView, size: int) -> None:
    if given.data is None:
        if given.elements != size:
            raise _miscounted(given, size, given.elements or 0)
        return
    if given.datatype == BYTES:
        try:
            found = count_strings(given.data, at_most=size)
        except ValueError as error:
            raise invalid(f"the data of input '{given.name}' is cut short or not strings: {error}") from None
        if found != size:
            raise _miscounted(given, size, found)
        return
    width = DATATYPES[given.datatype].size_bytes
    if len(given.data) != size * width:
        raise invalid(
            f"input '{given.name}' of shape {list(given.shape)} and type {given.datatype} has {size * width} bytes of "
            f"data, not {len(given.data)}"
        )


def _miscounted(given: InputView, size: int, found: int) -> Exception:
    more = " or more" if given.datatype == BYTES and found > size else ""
    return invalid(
        f"input '{given.name}' of shape {list(given.shape)} has {size} element{'s' * (size > 1)}, "
        f"but its data has {found}{more}"
    )


def _check_classification(output: CatalogueTensor, parameters: Mapping[str, Parameter]) -> None:
    if CLASSIFICATION not in parameters:
        return
    count = parameters[CLASSIFICATION]
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count < 2**31:
        raise invalid(f"classification is how many classes are wanted, from 1, not {count!r:.40} ('{output.name}')")
    if output.datatype == BYTES or not DATATYPES[output.datatype].code:
        raise invalid(
            f"classification ranks numbers, but the output '{output.name}' is {output.datatype}: "
            "leave classification out, or ask it of an output of numbers"
        )


def _fits(shape: Sequence[int], dims: Sequence[int]) -> bool:
    return len(shape) == len(dims) and all(dim in (-1, length) for length, dim in zip(shape, dims, strict=True))


def _words(dims: Iterable[int], max_batch_size: int) -> str:
    rows = ["n"] if max_batch_size else []
    lengths = ["any" if dim == -1 else str(dim) for dim in dims]
    return f"[{', '.join(rows + lengths)}]" + (f" (n is 1 to {max_batch_size})" if rows else "")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
