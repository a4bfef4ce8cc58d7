"""Messages to bytes and back, strictly: what is not exactly a message of this wire version is refused.

One message is one buffer, sent as one ZeroMQ part, all numbers little-endian:

    offset  0  topic, 16 bytes ASCII padded with NUL; a publication's ends in "@" and its session, as in audio@3
    offset 16  magic "GSTK", uint16 wire version, uint16 zero, uint32 header length, uint32 payload length
    offset 32  header: a msgpack map of the message's fields
               zeros to a multiple of 16
               payload: the message's arrays, each from a multiple of 16, zeros between

The first 32 bytes are laid out the same in every wire version, so that a mismatch can always be named.
"""

from __future__ import annotations

import math
import struct
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, cast

import msgpack
import numpy as np

from gstalker.bridge import schema
from gstalker.bridge.errors import WireError, WireVersionError
from gstalker.bridge.schema import Array, Message, Value
from gstalker.bridge.untrusted_msgpack import UNREADABLE, read_flat_map

_PREFIX = struct.Struct("<16s4sHHII")
_HEADER_GUESS_BYTES = 1024  # msgpack would begin with 256 kB for every message, and grows where it must
_RIGID_TOLERANCE = 1e-3  # float32 poses are orthonormal to 1e-6; a wrong layout is off by 0.1 and more

AnyMessage = TypeVar("AnyMessage", bound=Message)


@lru_cache(maxsize=4096)
def topic_field(kind: type[Message], session_id: int = 0) -> bytes:
    """The 16 bytes that a message starts with; for a publication also the subscription to it, session and all."""
    topic = f"{kind.TOPIC}@{session_id}" if issubclass(kind, schema.Publication) else kind.TOPIC
    return topic.encode("ascii").ljust(schema.TOPIC_BYTES, b"\0")


@lru_cache(maxsize=64)
def _values(message: type[Message]) -> tuple[tuple[str, Value], ...]:
    return tuple((n, s) for n, s in schema.wire_specs(message).items() if isinstance(s, Value))


@lru_cache(maxsize=64)
def _arrays(message: type[Message]) -> tuple[tuple[str, Array], ...]:
    return tuple((n, s) for n, s in schema.wire_specs(message).items() if isinstance(s, Array))


def aligned(offset: int) -> int:
    """The next multiple of the payload alignment."""
    return -(-offset // schema.PAYLOAD_ALIGNMENT) * schema.PAYLOAD_ALIGNMENT


def encode(message: Message, wire_version: int = schema.WIRE_VERSION) -> bytearray:
    """One message as one buffer, freshly allocated: it may be handed to the transport without a copy.

    Raises:
        WireError: a value is not of its field's type, range or shape.
    """
    laid_out = _laid_out(message)
    buffer = bytearray(laid_out.total_bytes)
    _fill(buffer, message, laid_out, wire_version)
    return buffer


def encode_into(message: Message, buffer: bytearray | memoryview, wire_version: int = schema.WIRE_VERSION) -> int:
    """The bytes of `encode` at the beginning of a buffer that the caller keeps; nothing is allocated for the payload.

    Returns:
        How many bytes the message takes; those behind are left as they were.

    Raises:
        WireError: a value is not of its field's type, range or shape, or the buffer is too small. The buffer is
            untouched then.
    """
    laid_out = _laid_out(message)
    if len(buffer) < laid_out.total_bytes:
        raise WireError(
            f"{message.TOPIC}: expected a buffer of at least {laid_out.total_bytes} bytes, got {len(buffer)}."
        )
    _fill(buffer, message, laid_out, wire_version)
    return laid_out.total_bytes


class MessageBuffer:
    """Memory that one message after another is encoded into. It grows to the largest and stays so. Not thread-safe."""

    def __init__(self) -> None:
        self._memory = memoryview(bytearray(4096))

    def encode(self, message: Message) -> memoryview:
        """The bytes of `codec.encode`, valid until the next call: send them with a copy.

        Raises:
            WireError: a value is not of its field's type, range or shape.
        """
        laid_out = _laid_out(message)
        if len(self._memory) < laid_out.total_bytes:
            self._memory = memoryview(bytearray(laid_out.total_bytes))
        _fill(self._memory, message, laid_out, schema.WIRE_VERSION)
        return self._memory[: laid_out.total_bytes]


class _LaidOut(NamedTuple):
    """A message that was found sound: its header, and its arrays by their offset in the payload."""

    session_id: int
    header: bytes
    arrays: list[tuple[int, np.ndarray]]
    payload_start: int
    payload_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.payload_start + self.payload_bytes


def _laid_out(message: Message) -> _LaidOut:
    kind = type(message)
    header: dict[str, Any] = {}
    for name, spec in _values(kind):
        header[name] = _checked(f"{kind.TOPIC}.{name}", spec, getattr(message, name))
    packed = cast(bytes, msgpack.packb(header, buf_size=_HEADER_GUESS_BYTES))
    arrays, payload_bytes = [], 0
    for name, spec in _arrays(kind):
        array = np.ascontiguousarray(getattr(message, name))
        shape = _shape(spec, header)
        if array.dtype != np.dtype(spec.dtype) or array.shape != shape:
            raise WireError(
                f"{kind.TOPIC}.{name}: expected {spec.dtype} of shape {shape}, got {array.dtype} of {array.shape}."
            )
        _check_finite(f"{kind.TOPIC}.{name}", array)
        payload_bytes = aligned(payload_bytes)
        arrays.append((payload_bytes, array))
        payload_bytes += array.nbytes
    payload_start = aligned(schema.PREFIX_BYTES + len(packed))
    total = payload_start + payload_bytes
    if len(packed) > schema.MAX_HEADER_BYTES or total > schema.MAX_MESSAGE_BYTES:
        raise WireError(
            f"{kind.TOPIC}: expected at most {schema.MAX_HEADER_BYTES} bytes of header and "
            f"{schema.MAX_MESSAGE_BYTES} in all, got {len(packed)} and {total}. Use an avatar with fewer Gaussians."
        )
    return _LaidOut(header.get("session_id", 0), packed, arrays, payload_start, payload_bytes)


def _fill(buffer: bytearray | memoryview, message: Message, laid_out: _LaidOut, wire_version: int) -> None:
    """Write every byte of the message, the zeros between its pieces included: the buffer may hold an older one."""
    topic, header = topic_field(type(message), laid_out.session_id), laid_out.header
    _PREFIX.pack_into(buffer, 0, topic, schema.MAGIC, wire_version, 0, len(header), laid_out.payload_bytes)
    end = schema.PREFIX_BYTES + len(header)
    buffer[schema.PREFIX_BYTES : end] = header
    for offset, array in laid_out.arrays:
        start = laid_out.payload_start + offset
        buffer[end:start] = bytes(start - end)
        end = start + array.nbytes
        if array.nbytes:
            buffer[start:end] = array.reshape(-1).view(np.uint8).data
    buffer[end : laid_out.total_bytes] = bytes(laid_out.total_bytes - end)


def decode(buffer: bytes | bytearray | memoryview, max_bytes: int = schema.MAX_MESSAGE_BYTES) -> Message:
    """The message that these bytes are; its arrays are views of the buffer.

    Raises:
        WireVersionError: it is of another wire version.
        WireError: it is anything else than one whole, sound message.
    """
    size = len(buffer)
    if not schema.PREFIX_BYTES <= size <= max_bytes:
        raise WireError(f"message: expected {schema.PREFIX_BYTES} to {max_bytes} bytes, got {size}.")
    topic_bytes, magic, version, reserved, header_bytes, payload_bytes = _PREFIX.unpack_from(buffer)
    if magic != schema.MAGIC:
        raise WireError(f"message: expected the magic {schema.MAGIC!r} at byte 16, got {magic!r}.")
    if version != schema.WIRE_VERSION:
        raise WireVersionError(theirs=version, ours=schema.WIRE_VERSION)
    kind = _message_type(topic_bytes)
    if reserved != 0:
        raise WireError(f"{kind.TOPIC}: expected zero at byte 22, got {reserved}.")
    if header_bytes > schema.MAX_HEADER_BYTES:
        raise WireError(
            f"{kind.TOPIC}: expected a header of at most {schema.MAX_HEADER_BYTES} bytes, got {header_bytes}."
        )
    header_end = schema.PREFIX_BYTES + header_bytes
    payload_start = aligned(header_end)
    if payload_start + payload_bytes != size:
        raise WireError(
            f"{kind.TOPIC}: expected {payload_start + payload_bytes} bytes from a header of {header_bytes} and a "
            f"payload of {payload_bytes}, got {size}."
        )
    view = memoryview(buffer).cast("B")
    if any(view[header_end:payload_start]):
        raise WireError(f"{kind.TOPIC}: expected zeros between header and payload.")
    values = _decode_header(kind, view[schema.PREFIX_BYTES : header_end])
    if topic_field(kind, values.get("session_id", 0)) != topic_bytes:
        raise WireError(
            f"{kind.TOPIC}: expected the topic of session {values.get('session_id', 0)}, got {topic_bytes!r}."
        )
    arrays = _decode_payload(kind, values, view[payload_start:])
    return kind(**values, **arrays)


def decode_as(kind: type[AnyMessage], buffer: bytes | bytearray | memoryview) -> AnyMessage:
    """`decode` where only one type is welcome.

    Raises:
        WireError: not a sound message, or one of another type.
    """
    message = decode(buffer)
    if not isinstance(message, kind):
        raise WireError(f"message: expected {kind.TOPIC}, got {message.TOPIC}.")
    return message


def _message_type(topic_bytes: bytes) -> type[Message]:
    topic = topic_bytes.rstrip(b"\0").decode("ascii", errors="replace")
    kind = schema.MESSAGES.get(topic.partition("@")[0])
    if kind is None:
        raise WireError(f"message: expected a topic of {sorted(schema.MESSAGES)}, got {topic_bytes!r}.")
    return kind


def _decode_header(kind: type[Message], packed: memoryview) -> dict[str, Any]:
    try:
        pairs = read_flat_map(packed)
    except UNREADABLE as error:
        raise WireError(f"{kind.TOPIC}: expected a msgpack map as header, could not read it ({error}).") from error
    expected = {name for name, _ in _values(kind)}
    if pairs.keys() != expected:
        raise WireError(f"{kind.TOPIC}: expected the fields {sorted(expected)}, got {sorted(map(str, pairs))[:40]}.")
    return {name: _checked(f"{kind.TOPIC}.{name}", spec, pairs[name]) for name, spec in _values(kind)}


def _decode_payload(kind: type[Message], values: dict[str, Any], payload: memoryview) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    end = 0
    for name, spec in _arrays(kind):
        shape, dtype = _shape(spec, values), np.dtype(spec.dtype)
        start, nbytes = aligned(end), math.prod(shape) * dtype.itemsize
        if start + nbytes > len(payload):
            raise WireError(
                f"{kind.TOPIC}.{name}: expected {nbytes} bytes for {spec.dtype} of shape {shape} from byte {start} "
                f"of the payload, got a payload of {len(payload)}."
            )
        if any(payload[end:start]):
            raise WireError(f"{kind.TOPIC}.{name}: expected zeros before it in the payload.")
        end = start + nbytes
        arrays[name] = np.frombuffer(payload[start:end], dtype).reshape(shape)
        _check_finite(f"{kind.TOPIC}.{name}", arrays[name])
    if end != len(payload):
        raise WireError(f"{kind.TOPIC}: expected a payload of {end} bytes, got {len(payload)}.")
    return arrays


def _shape(spec: Array, values: dict[str, Any]) -> tuple[int, ...]:
    return tuple(values[axis] if isinstance(axis, str) else axis for axis in spec.shape)


def _check_finite(what: str, array: np.ndarray) -> None:
    if array.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.add.reduce(array.reshape(-1)))  # makes no array, and is finite only if all are
    if math.isfinite(total) or np.isfinite(array).all():  # finite values may add up to infinity
        return
    index = np.unravel_index(int(np.argmin(np.isfinite(array))), array.shape)
    raise WireError(f"{what}: expected finite values, got {array[index]} at {tuple(map(int, index))}.")


def _checked(what: str, spec: Value, value: Any) -> Any:
    """The value if it is one that its field may hold, numbers as Python's own."""
    if spec.kind == "uint":
        if not isinstance(value, int | np.integer) or isinstance(value, bool):
            raise WireError(f"{what}: expected a whole number, got {_shown(value)}.")
        return _in_range(what, spec, int(value))
    if spec.kind == "float":
        return _in_range(what, spec, _finite_float(what, value))
    if spec.kind == "bool":
        if not isinstance(value, bool):
            raise WireError(f"{what}: expected true or false, got {_shown(value)}.")
        return value
    if spec.kind == "text":
        return _checked_text(what, spec, value)
    if spec.kind == "texts":
        if not isinstance(value, list | tuple) or len(value) > spec.count:
            raise WireError(f"{what}: expected a list of at most {spec.count} texts, got {_shown(value)}.")
        return tuple(_checked_text(what, spec, v) for v in value)
    if not isinstance(value, list | tuple) or len(value) != spec.count:
        raise WireError(f"{what}: expected a list of {spec.count} numbers, got {_shown(value)}.")
    numbers = tuple(_in_range(what, spec, _finite_float(what, v)) for v in value)
    if spec.rigid:
        _check_rigid(what, numbers)
    return numbers


def _checked_text(what: str, spec: Value, value: Any) -> str:
    if not isinstance(value, str) or len(value) > spec.max_chars:
        raise WireError(f"{what}: expected a text of at most {spec.max_chars} characters, got {_shown(value)}.")
    # A terminal obeys control characters, and msgpack cannot carry half a surrogate pair.
    if not all(c.isprintable() or c == "\n" for c in value):
        raise WireError(f"{what}: expected printable characters and line ends, got {_shown(value)}.")
    return value


def _finite_float(what: str, value: Any) -> float:
    # A whole number is welcome: JavaScript's msgpack writes 1.0 as an integer.
    if not isinstance(value, int | float | np.floating | np.integer) or isinstance(value, bool):
        raise WireError(f"{what}: expected a number, got {_shown(value)}.")
    number = float(value)
    if not math.isfinite(number):
        raise WireError(f"{what}: expected a finite number, got {number}.")
    return number


def _in_range(what: str, spec: Value, number: Any) -> Any:
    if (spec.low is not None and number < spec.low) or (spec.high is not None and number > spec.high):
        raise WireError(f"{what}: expected {spec.low} to {spec.high} {spec.unit}".rstrip() + f", got {number}.")
    return number


def _check_rigid(what: str, rows: tuple[float, ...]) -> None:
    r = np.array(rows).reshape(3, 4)[:, :3]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        error = np.abs(r @ r.T - np.eye(3)).max()
        determinant = float(np.linalg.det(r))
    if not (error <= _RIGID_TOLERANCE and determinant > 0):
        raise WireError(f"{what}: expected the rows of a rigid transform, got a turn that is off by {error:.3g}.")


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
