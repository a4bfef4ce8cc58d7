"""The deployed field of an avatar in one pass: network, canonical Gaussians moved, records of the wire.

What a general runtime does layer by layer over all Gaussians, each layer's output going out to memory and back, is
done here a block of Gaussians at a time, with all that lies between in the first cache. Only Gaussians that can move
are computed, and of the torso, whose Gaussians only shift, all but the positions is packed once and for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gstalker.kernels.fused_field_loops import run_blocks, work_floats
from gstalker.kernels.fused_field_team import Team
from gstalker.kernels.fused_field_tile import OUTPUTS
from gstalker.kernels.quantise import BYTES_PER_MOVER, QuantisationBox, pack_movers
from gstalker.kernels.quantise_box import coefficients
from gstalker.kernels.quantise_numba import BLOCK

HEAD_OUTPUTS, TORSO_OUTPUTS = 11, 3
SMALLEST_OPACITY = 1e-9
"""Opacities are moved as logits; 0 and 1, which have none, count as this far inside."""


@dataclass(frozen=True)
class FieldNetwork:
    """A small network that runs once a Gaussian.

    out = dense layers with ReLU between of relu(first_layer + gates @ drive), drive changing from frame to frame.

    Attributes:
        first_layer: (M, H) float32, what a Gaussian's place contributes.
        gates: (M, G) float32.
        layers: (weight (I, O), bias (O,)) float32 each, the first of I = H, the last without activation.
    """

    first_layer: np.ndarray
    gates: np.ndarray
    layers: Sequence[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Movers:
    """The canonical Gaussians that can move, head before torso, in part space, float32.

    Attributes:
        means: (M, 3) metres. quats_wxyz: (M, 4) of any length but zero. scales: (M, 3). opacities: (M,) in 0..1.
        head_count: how many are the head's, which the head's network moves in all of these; of the torso's only the
            means move.
    """

    means: np.ndarray
    quats_wxyz: np.ndarray
    scales: np.ndarray
    opacities: np.ndarray
    head_count: int


class FusedField:
    """An avatar's field, ready to run.

    Threads: `pack` and `values` may be called from any thread; callers take turns, and the interpreter's lock is
    free while they compute. Between calls no thread is awake. The arrays given at construction are copied.
    """

    def __init__(
        self,
        movers: Movers,
        head: FieldNetwork | None,
        torso: FieldNetwork | None,
        box: QuantisationBox,
        *,
        threads: int = 1,
    ) -> None:
        """Lay out weights and Gaussians for the kernel.

        Args:
            movers: what moves.
            head: network of eleven outputs: mean 3, quaternion 4, log-scale 3, opacity logit. None where `pack` and
                `values` are given the head's deltas, which something else computed.
            torso: network of three outputs, likewise.
            box: what the codes divide.
            threads: that share the work, the caller's included.

        Raises:
            ValueError: threads < 1, or shapes that do not fit each other.
        """
        if threads < 1:
            raise ValueError(f"FusedField: expected threads >= 1, got {threads}.")
        count, head_count = len(movers.means), movers.head_count
        torso_count = count - head_count
        self._count, self._head_count, self._torso_count, self._box = count, head_count, torso_count, box
        self._coefficients = coefficients(box)
        lengths = np.linalg.norm(movers.quats_wxyz.astype(np.float64), axis=1, keepdims=True)
        self._quats = (movers.quats_wxyz / lengths).astype(np.float32)
        self._scales = np.array(movers.scales, np.float32)
        self._opacities = np.array(movers.opacities, np.float32)
        bounded = np.clip(self._opacities.astype(np.float64), SMALLEST_OPACITY, 1 - SMALLEST_OPACITY)
        logits = np.log(bounded / (1 - bounded)).astype(np.float32)
        state = np.column_stack([movers.means, self._quats, self._scales, logits]).astype(np.float32)
        self._head_canonical = blocks_of(state[:head_count])
        self._torso_canonical = blocks_of(state[head_count:, :3])
        self._still, self._torso_fits = self._packed_still(state[head_count:])
        self._head = _laid_out(head, head_count, HEAD_OUTPUTS, "head")
        self._torso = _laid_out(torso, torso_count, TORSO_OUTPUTS, "torso")
        room = max(self._head.room, self._torso.room)
        self._scratch = [
            (np.zeros(work_floats(room), np.float32), room, np.zeros(4 * BLOCK, np.uint32)) for _ in range(threads)
        ]
        self._team = Team(threads)
        self._no_values = tuple(np.zeros(shape, np.float32) for shape in ((0, 3), (0, 4), (0, 3), 0))
        self._no_records = np.zeros(0, np.uint8)
        self._no_deltas = np.zeros((0, HEAD_OUTPUTS), np.float32), np.zeros((0, TORSO_OUTPUTS), np.float32)

    def pack(
        self,
        out: np.ndarray,
        *,
        head_drive: np.ndarray | None = None,
        torso_drive: np.ndarray | None = None,
        head_deltas: np.ndarray | None = None,
        torso_deltas: np.ndarray | None = None,
    ) -> None:
        """The records of one frame: what `pack_movers` makes of `values`, bit for bit.

        Args:
            out: (M, 16) uint8, contiguous, anywhere in memory. Its content is undefined after an error.
            head_drive: (G, H) float32 for the head's network; or else
            head_deltas: (Mh, 11) float32 contiguous, computed elsewhere.
            torso_drive, torso_deltas: likewise for the torso, (G, H) or (Mt, 3).

        Raises:
            ValueError: shapes that do not fit; a value with no code, as `pack_movers` refuses it.
        """
        shape = (self._count, BYTES_PER_MOVER)
        if out.shape != shape or out.dtype != np.uint8 or not (out.flags.c_contiguous and out.flags.writeable):
            raise ValueError(
                f"out: expected contiguous writable uint8 of shape {shape}, got {out.dtype} of shape {out.shape}."
            )
        drives = self._checked(head_drive, torso_drive, head_deltas, torso_deltas)
        if self._run(drives, out.reshape(-1), self._no_values) or not self._torso_fits:
            means, quats, scales, opacities = self._empty_values()
            self._run(drives, self._no_records, (means, quats, scales, opacities))
            pack_movers(means, quats, scales, opacities, self._box, out)  # raises, saying what is wrong

    def values(
        self,
        means: np.ndarray,
        quats_wxyz: np.ndarray,
        scales: np.ndarray,
        opacities: np.ndarray,
        *,
        head_drive: np.ndarray | None = None,
        torso_drive: np.ndarray | None = None,
        head_deltas: np.ndarray | None = None,
        torso_deltas: np.ndarray | None = None,
    ) -> None:
        """The same frame before quantisation, into arrays of the caller.

        Args:
            means, quats_wxyz, scales, opacities: (M, 3), (M, 4), (M, 3), (M,) float32 contiguous, written in full.
                Quaternions are of unit length.
            head_drive, torso_drive, head_deltas, torso_deltas: see `pack`.

        Raises:
            ValueError: shapes that do not fit.
        """
        given = (means, quats_wxyz, scales, opacities)
        for array, like in zip(given, ((3,), (4,), (3,), ()), strict=True):
            _check_array("values", array, (self._count, *like))
        drives = self._checked(head_drive, torso_drive, head_deltas, torso_deltas)
        self._run(drives, self._no_records, given)

    def _empty_values(self) -> tuple[np.ndarray, ...]:
        return tuple(np.empty((self._count, *like), np.float32) for like in ((3,), (4,), (3,), ()))

    def _run(self, drives: tuple[np.ndarray, ...], packed: np.ndarray, values: tuple[np.ndarray, ...]) -> bool:
        """Whether any value has no code."""
        head_drive, torso_drive, head_deltas, torso_deltas = drives
        head, torso = self._head, self._torso
        counter = np.zeros(1, np.int64)
        bad = np.zeros(len(self._scratch), np.int64)
        arguments = (
            (head.base, head.gates, head_drive, head.table, head.weights, head_deltas),
            (torso.base, torso.gates, torso_drive, torso.table, torso.weights, torso_deltas),
            self._head_canonical,
            self._torso_canonical,
            self._still,
            (self._head_count, self._torso_count),
            self._coefficients,
            counter,
        )

        def share(k: int) -> None:
            bad[k] = run_blocks(*arguments, self._scratch[k], packed, values)

        self._team.run(share)
        if len(values[0]):
            _, quats, scales, opacities = values
            quats[self._head_count :] = self._quats[self._head_count :]
            scales[self._head_count :] = self._scales[self._head_count :]
            opacities[self._head_count :] = self._opacities[self._head_count :]
        return bool(bad.any())

    def _checked(self, head_drive, torso_drive, head_deltas, torso_deltas) -> tuple[np.ndarray, ...]:
        head_drive, head_deltas = self._one_of("head", self._head, head_drive, head_deltas, HEAD_OUTPUTS)
        torso_drive, torso_deltas = self._one_of("torso", self._torso, torso_drive, torso_deltas, TORSO_OUTPUTS)
        return head_drive, torso_drive, head_deltas, torso_deltas

    def _one_of(
        self, name: str, side: _Layout, drive: np.ndarray | None, deltas: np.ndarray | None, outputs: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Drive and deltas of a side, one of them as given, the other empty."""
        nothing = self._no_deltas[0 if name == "head" else 1]
        if not side.count:
            return side.no_drive, nothing
        if deltas is not None:
            _check_array(f"{name}_deltas", deltas, (side.count, outputs))
            return side.no_drive, deltas
        if drive is None or not side.known:
            raise ValueError(f"{name}: expected {name}_deltas, or {name}_drive where the network was given.")
        _check_array(f"{name}_drive", drive, side.no_drive.shape)
        return drive, nothing

    def _packed_still(self, torso_state: np.ndarray) -> tuple[np.ndarray, bool]:
        """`still` of `pack_means_block`, and whether all it is made of has codes."""
        count = len(torso_state)
        middle = (np.array(self._box.position_min_m) + self._box.position_max_m) / 2
        try:
            packed = pack_movers(
                np.tile(middle.astype(np.float32), (count, 1)),
                np.ascontiguousarray(torso_state[:, 3:7]),
                np.ascontiguousarray(torso_state[:, 7:10]),
                self._opacities[self._head_count :],
                self._box,
            )
        except ValueError:  # every frame will be refused, and will say this
            return np.zeros((len(self._torso_canonical), 3, BLOCK), np.uint32), False
        words = packed.view("<u4").astype(np.uint32)
        return blocks_of(words[:, 1:] & np.array([0xFFFF0000, 0xFFFFFFFF, 0xFFFFFFFF], np.uint32)), True


@dataclass(frozen=True)
class _Layout:
    """A network as the kernel reads it; `known` False where there is none."""

    count: int
    known: bool
    base: np.ndarray
    gates: np.ndarray
    table: np.ndarray
    weights: np.ndarray
    room: int
    no_drive: np.ndarray


def _laid_out(network: FieldNetwork | None, count: int, outputs: int, name: str) -> _Layout:
    if network is None:
        nothing = np.zeros(0, np.float32)
        table, weights = np.zeros((0, 3), np.int64), np.zeros(0, np.float32)
        return _Layout(count, False, nothing, nothing, table, weights, 0, np.zeros((1, 1), np.float32))
    hidden, gate_count = np.shape(network.first_layer)[1], np.shape(network.gates)[1]
    if len(network.first_layer) != count or len(network.gates) != count:
        raise ValueError(
            f"{name}: expected first_layer and gates of {count} rows, got {len(network.first_layer)} and "
            f"{len(network.gates)}."
        )
    table, weights, at, width, room = [], [], 0, hidden, hidden
    for weight, bias in network.layers:
        if weight.shape != (width, len(bias)):
            raise ValueError(f"{name}: expected a layer of {width} inputs and {len(bias)} outputs, got {weight.shape}.")
        tiles = tiles_of(weight, bias)
        table.append((width, len(tiles), at))
        weights.append(tiles.reshape(-1))
        at, width = at + tiles.size, len(bias)
        room = max(room, len(tiles) * OUTPUTS)
    if width != outputs or not table:
        raise ValueError(f"{name}: expected a network of {outputs} outputs, got {width} from {len(table)} layers.")
    return _Layout(
        count=count,
        known=True,
        base=blocks_of(np.asarray(network.first_layer, np.float32)).reshape(-1),
        gates=blocks_of(np.asarray(network.gates, np.float32)).reshape(-1),
        table=np.array(table, np.int64),
        weights=np.concatenate(weights),
        room=room * BLOCK,
        no_drive=np.zeros((gate_count, hidden), np.float32),
    )


def blocks_of(rows: np.ndarray) -> np.ndarray:
    """(M, C) as (blocks, C, BLOCK), the last row again where the last block is not full."""
    count = len(rows)
    blocks = -(-count // BLOCK)
    filled = rows[np.minimum(np.arange(blocks * BLOCK), max(count - 1, 0))] if count else rows
    return np.ascontiguousarray(filled.reshape(blocks, BLOCK, rows.shape[1]).transpose(0, 2, 1))


def tiles_of(weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(tiles, 1 + I, OUTPUTS) float32: `dense_tile`'s biases and weights, zeros beyond the last output."""
    inputs, outputs = weight.shape
    tiles = -(-outputs // OUTPUTS)
    padded = np.zeros((1 + inputs, tiles * OUTPUTS), np.float32)
    padded[0, :outputs], padded[1:, :outputs] = bias, weight
    return np.ascontiguousarray(padded.reshape(1 + inputs, tiles, OUTPUTS).transpose(1, 0, 2))


def _check_array(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape or array.dtype != np.float32 or not array.flags.c_contiguous:
        raise ValueError(
            f"{name}: expected contiguous float32 of shape {shape}, got {array.dtype} of shape {array.shape}."
        )
