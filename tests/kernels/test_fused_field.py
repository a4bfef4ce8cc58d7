"""The fused field: equal to the network written out slowly, packed as `pack_movers` packs, refused where it refuses."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import math
import threading
import time

import numba
import numpy as np
import pytest

from gstalker.kernels.fused_field import FieldNetwork, FusedField, Movers
from gstalker.kernels.fused_field_loops import exp_scalar
from gstalker.kernels.fused_field_team import Team
from gstalker.kernels.quantise import QuantisationBox, pack_movers

BOX = QuantisationBox((-0.3, -0.3, -0.3), (0.3, 0.3, 0.3), -8.0, -2.0)
Values = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _network(rng, count: int, gates: int, widths: tuple[int, ...], output_scale: list[float]) -> FieldNetwork:
    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    layers = [
        (normal(a, b) / np.float32(math.sqrt(a)), normal(b) * np.float32(0.1)) for a, b in itertools.pairwise(widths)
    ]
    weight, bias = layers[-1]
    scale = np.array(output_scale, np.float32)
    layers[-1] = (weight * scale, bias * scale)
    return FieldNetwork(normal(count, widths[0]), rng.uniform(0, 1, (count, gates)).astype(np.float32), layers)


@dataclasses.dataclass(frozen=True)
class Made:
    movers: Movers
    head: FieldNetwork
    torso: FieldNetwork
    drives: dict[str, np.ndarray]

    def field(self, threads: int = 1) -> FusedField:
        return FusedField(self.movers, self.head, self.torso, BOX, threads=threads)


def made(head: int = 333, torso: int = 70, hidden: tuple[int, ...] = (64, 64), seed: int = 0) -> Made:
    rng = np.random.default_rng(seed)
    count = head + torso
    movers = Movers(
        means=rng.uniform(-0.2, 0.2, (count, 3)).astype(np.float32),
        quats_wxyz=rng.normal(size=(count, 4)).astype(np.float32),
        scales=np.exp(rng.uniform(-6, -4, (count, 3))).astype(np.float32),
        opacities=rng.uniform(0, 1, count).astype(np.float32),
        head_count=head,
    )
    return Made(
        movers=movers,
        head=_network(rng, head, 2, (*hidden, 11), [4e-3] * 3 + [0.05] * 4 + [0.1] * 3 + [0.5]),
        torso=_network(rng, torso, 1, (32, 32, 3), [2e-3] * 3),
        drives={
            "head_drive": rng.normal(size=(2, hidden[0])).astype(np.float32),
            "torso_drive": rng.normal(size=(1, 32)).astype(np.float32),
        },
    )


def evaluated(network: FieldNetwork, drive: np.ndarray) -> np.ndarray:
    """The network in float64, layer by layer."""
    x = np.maximum(network.first_layer.astype(np.float64) + network.gates.astype(np.float64) @ drive, 0)
    for i, (weight, bias) in enumerate(network.layers):
        x = (np.maximum(x, 0) if i else x) @ weight.astype(np.float64) + bias
    return x


def moved(m: Made, deltas: np.ndarray, torso_deltas: np.ndarray) -> Values:
    """The deltas applied in float64."""
    head, g = m.movers.head_count, m.movers
    means, scales, opacities = (a.astype(np.float64) for a in (g.means, g.scales, g.opacities))
    quats = g.quats_wxyz / np.linalg.norm(g.quats_wxyz.astype(np.float64), axis=1, keepdims=True)
    means[:head] += deltas[:, :3]
    means[head:] += torso_deltas
    quats[:head] += deltas[:, 3:7]
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    scales[:head] *= np.exp(deltas[:, 7:10])
    bounded = np.clip(opacities[:head], 1e-9, 1 - 1e-9)
    opacities[:head] = 1 / (1 + np.exp(-(np.log(bounded / (1 - bounded)) + deltas[:, 10])))
    return means, quats, scales, opacities


def empty(m: Made) -> Values:
    return tuple(
        np.full_like(a, np.nan) for a in (m.movers.means, m.movers.quats_wxyz, m.movers.scales, m.movers.opacities)
    )  # type: ignore[return-value]


def values_of(m: Made, given: dict[str, np.ndarray] | None = None, threads: int = 1) -> Values:
    out = empty(m)
    m.field(threads).values(*out, **(given or m.drives))
    return out


@pytest.mark.parametrize("hidden", [(64, 64), (64, 64, 64), (16,), (40, 23)])
def test_values_are_those_of_the_network_written_out(hidden: tuple[int, ...]):
    """Measured: 3e-7 at worst (AVX-512; float32 sums of 64 products of size 1); 2e-6 leaves room for other
    processors' order of products and is a fifth of what is asked."""
    m = made(hidden=hidden)
    want = moved(m, evaluated(m.head, m.drives["head_drive"]), evaluated(m.torso, m.drives["torso_drive"]))
    for name, got, expected in zip(("means", "quats", "scales", "opacities"), values_of(m), want, strict=True):
        worst = np.abs(got - expected).max()
        assert worst <= 2e-6, f"{name}: worst {worst:.1e}"
    canonical = m.movers.means
    assert np.abs(want[0] - canonical).max() > 1e-3, "nothing moved: the comparison shows nothing"


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("head", "torso"), [(0, 0), (1, 0), (0, 1), (31, 33), (32, 32), (700, 130)])
def test_records_are_what_pack_movers_makes_of_the_values(head: int, torso: int, threads: int):
    m = made(head, torso)
    values = values_of(m, threads=threads)
    packed = np.full((head + torso, 16), 0xEE, np.uint8)
    m.field(threads).pack(packed, **m.drives)
    np.testing.assert_array_equal(packed, pack_movers(*values, BOX))


def test_deltas_from_elsewhere_are_applied_alike():
    m = made()
    deltas = evaluated(m.head, m.drives["head_drive"]).astype(np.float32)
    torso_deltas = evaluated(m.torso, m.drives["torso_drive"]).astype(np.float32)
    given = {"head_deltas": deltas, "torso_deltas": torso_deltas}
    for got, want in zip(values_of(m, given), moved(m, deltas, torso_deltas), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)
    packed = np.zeros((403, 16), np.uint8)
    FusedField(m.movers, None, None, BOX, threads=2).pack(packed, **given)
    np.testing.assert_array_equal(packed, pack_movers(*values_of(m, given), BOX))


def test_records_may_be_written_anywhere_in_a_message():
    m = made()
    want = np.zeros((403, 16), np.uint8)
    m.field().pack(want, **m.drives)
    message = bytearray(7 + want.size + 5)
    m.field().pack(np.frombuffer(message, np.uint8, want.size, offset=7).reshape(-1, 16), **m.drives)
    assert message == bytes(7) + want.tobytes() + bytes(5)


@pytest.mark.parametrize(
    ("column", "value"),
    [(0, 0.7), (1, -0.7), (2, math.nan), (4, math.inf), (5, math.nan), (8, 9.0), (9, -9.0), (7, 200.0), (10, math.nan)],
)
def test_what_has_no_code_is_refused_in_the_words_of_pack_movers(column: int, value: float):
    m = made()
    deltas = np.zeros((333, 11), np.float32)
    deltas[[40, 332], column] = value
    given = {"head_deltas": deltas, "torso_deltas": np.zeros((70, 3), np.float32)}
    with pytest.raises(ValueError, match="2 of 403") as expected, np.errstate(over="ignore"):
        pack_movers(*values_of(m, given), BOX)
    with pytest.raises(ValueError, match="2 of 403") as got:
        m.field(2).pack(np.zeros((403, 16), np.uint8), **given)
    assert str(got.value) == str(expected.value)


def test_a_torso_out_of_the_box_is_refused_too():
    m = made()
    deltas = np.zeros((70, 3), np.float32)
    deltas[69, 1] = 0.9
    given = {"head_deltas": np.zeros((333, 11), np.float32), "torso_deltas": deltas}
    with pytest.raises(ValueError, match=r"means: 1 of 403 Gaussians are not in the box .* first is index 402"):
        m.field().pack(np.zeros((403, 16), np.uint8), **given)
    scales = m.movers.scales.copy()
    scales[400] = 5.0  # never moves, never fits
    big = dataclasses.replace(m, movers=dataclasses.replace(m.movers, scales=scales))
    with pytest.raises(ValueError, match=r"scales: 1 of 403 Gaussians are not in the box .* first is index 400"):
        big.field().pack(np.zeros((403, 16), np.uint8), **m.drives)


def test_a_refused_frame_leaves_the_next_one_untouched():
    m = made()
    field, packed, want = m.field(2), np.zeros((403, 16), np.uint8), np.zeros((403, 16), np.uint8)
    m.field().pack(want, **m.drives)
    with pytest.raises(ValueError, match="means"):
        field.pack(packed, head_deltas=np.full((333, 11), 9, np.float32), torso_drive=m.drives["torso_drive"])
    field.pack(packed, **m.drives)
    np.testing.assert_array_equal(packed, want)


def test_exp_is_exact_to_float32_over_its_whole_range():
    """Derived: the series errs by 6e-9, r by 1e-8 or so, and six roundings of 6e-8 follow; 3e-7 is what is said."""

    @numba.njit(error_model="numpy")
    def all_of(x, out):
        for i in range(len(x)):
            out[i] = exp_scalar(x[i])

    x = np.concatenate([np.linspace(-87, 88.72, 200_001), np.linspace(-1, 1, 10_001)]).astype(np.float32)
    got = np.empty_like(x)
    all_of(x, got)
    relative = np.abs(got / np.exp(x.astype(np.float64)) - 1)
    assert relative.max() <= 3e-7, f"worst {relative.max():.1e} at {x[relative.argmax()]}"
    special = np.array([0, 88.8, 1e30, np.inf, -200, -np.inf, np.nan], np.float32)
    got = np.empty_like(special)
    all_of(special, got)
    assert got[0] == 1
    assert (got[1:4] == np.inf).all()
    assert ((got[4:6] >= 0) & (got[4:6] < 2e-38)).all()
    assert np.isnan(got[6])


def test_callers_from_many_threads_get_their_own_frames():
    """One field and several, each with helpers, all at once: 120 frames, each checked whole."""
    m = made(700, 130)
    frames = [m.drives, *(made(700, 130, seed=s).drives for s in (1, 2, 3))]
    wanted = []
    for drives in frames:
        wanted.append(np.zeros((830, 16), np.uint8))
        m.field().pack(wanted[-1], **drives)
    shared, wrong = m.field(3), []

    def call(k: int) -> None:
        own, out = m.field(2), np.zeros((830, 16), np.uint8)
        for turn in range(15):
            for field in (shared, own):
                at = (k + turn) % len(frames)
                field.pack(out, **frames[at])
                if not np.array_equal(out, wanted[at]):
                    wrong.append((k, turn))

    callers = [threading.Thread(target=call, args=(k,)) for k in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_helpers_share_the_work_and_sleep_in_between():
    """Every helper must come at some time. Two that spin would take 0.3 s of processor time or more while the caller
    sleeps for as long, unless the machine is so loaded that they get less than a third of a core together."""
    team, came = Team(3), set()
    for _ in range(200):
        team.run(lambda k: (came.add(k), time.sleep(0.001))[0])
        if came == {0, 1, 2}:
            break
    assert came == {0, 1, 2}
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.1


def test_nobody_is_inside_when_run_returns():
    team, inside = Team(4), []
    for _ in range(50):

        def work(k: int) -> None:
            inside.append(k)
            time.sleep(0.0005 * k)
            inside.remove(k)

        team.run(work)
        assert not inside


def test_a_failure_in_a_helper_reaches_the_caller_and_the_team_goes_on():
    team = Team(2)

    def fails(k: int) -> None:
        if k:
            raise RuntimeError("helper fell over")
        time.sleep(0.2)

    with pytest.raises(RuntimeError, match="helper fell over"):
        team.run(fails)
    seen = []
    team.run(seen.append)
    assert 0 in seen


def test_a_team_that_is_let_go_ends_its_threads():
    def helpers() -> int:
        return sum(t.name.startswith("field helper") for t in threading.enumerate())

    gc.collect()
    before = helpers()
    team = Team(4)
    assert helpers() == before + 3
    del team
    gc.collect()
    until = time.monotonic() + 10
    while helpers() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert helpers() == before


def test_what_does_not_fit_is_refused():
    m = made()
    field, out = m.field(), np.zeros((403, 16), np.uint8)
    with pytest.raises(ValueError, match="expected threads >= 1, got 0"):
        m.field(0)
    with pytest.raises(ValueError, match=r"out: expected contiguous writable uint8 of shape \(403, 16\), got uint8 of"):
        field.pack(out[:-1], **m.drives)
    with pytest.raises(ValueError, match=r"head_drive: expected contiguous float32 of shape \(2, 64\), got float64"):
        field.pack(out, head_drive=np.zeros((2, 64)), torso_drive=m.drives["torso_drive"])
    with pytest.raises(ValueError, match=r"torso_deltas: expected contiguous float32 of shape \(70, 3\)"):
        field.pack(out, head_drive=m.drives["head_drive"], torso_deltas=np.zeros((69, 3), np.float32))
    with pytest.raises(ValueError, match="torso: expected torso_deltas, or torso_drive where the network was given"):
        field.pack(out, head_drive=m.drives["head_drive"])
    with pytest.raises(ValueError, match="head: expected head_deltas, or head_drive where the network was given"):
        FusedField(m.movers, None, m.torso, BOX).pack(out, **m.drives)
    with pytest.raises(ValueError, match=r"values: expected contiguous float32 of shape \(403, 3\), got float64"):
        field.values(np.zeros((403, 3)), *empty(m)[1:], **m.drives)
    with pytest.raises(ValueError, match="head: expected a network of 11 outputs, got 3 from 2 layers"):
        FusedField(m.movers, made(333, torso=333).torso, None, BOX)
    short = dataclasses.replace(m.head, gates=m.head.gates[1:])
    with pytest.raises(ValueError, match="head: expected first_layer and gates of 333 rows, got 333 and 332"):
        FusedField(m.movers, short, None, BOX)
    broken = dataclasses.replace(m.head, layers=[(np.zeros((63, 11), np.float32), np.zeros(11, np.float32))])
    with pytest.raises(ValueError, match=r"head: expected a layer of 64 inputs and 11 outputs, got \(63, 11\)"):
        FusedField(m.movers, broken, None, BOX)
