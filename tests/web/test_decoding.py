"""The page's decoder against the golden files, and the steps between a frame and the splats against Python's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.as_sent import served, welcome_of
from helpers.browser import Browser, BrowserError, Page
from made_bundle import made_bundle

from gstalker.bridge import schema
from gstalker.bridge.codec import decode, encode
from gstalker.bridge.web.server import WebServer
from gstalker.kernels.interpolate import interpolate_frames
from gstalker.kernels.quantise import box_for, unpack_movers

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CURRENT = sorted(GOLDEN.glob(f"*_v{schema.WIRE_VERSION}.bin"))
BAD = sorted(GOLDEN.glob("bad_*.bin"))


@pytest.fixture(scope="module")
def page(browser: Browser, files_only: WebServer) -> Iterator[Page]:
    page = browser.page(files_only.url + "licences.html")
    page.evaluate("import('/wire/codec.js').then((codec) => { window.codec = codec; })")
    yield page
    page.close()


def flat(value: object) -> object:
    """Arrays as flat lists: JavaScript's have no shape."""
    if isinstance(value, list) and value and isinstance(value[0], list):
        return [number for row in value for number in flat(row)]  # type: ignore[union-attr]  # rows of one kind
    return value


def test_every_golden_message_reads_as_written(page: Page):
    assert len(CURRENT) == len(schema.MESSAGES)
    for path in CURRENT:
        page.give("bytes", path.read_bytes())
        text = page.evaluate(
            """JSON.stringify(codec.decode(bytes),
               (_, value) => ArrayBuffer.isView(value) ? Array.from(value) : value)"""
        )
        read, written = json.loads(text), json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert read.pop("topic") == written["topic"], path.name
        assert read == {name: flat(value) for name, value in written["fields"].items()}, path.name


def test_every_bad_golden_message_is_refused(page: Page):
    assert len(BAD) >= 8
    for path in BAD:
        page.give("bytes", path.read_bytes())
        with pytest.raises(BrowserError, match=r"WireError|WireVersionError|wire version"):
            page.evaluate("codec.decode(bytes)")


def test_every_request_of_the_page_is_one_that_python_reads(page: Page):
    for path in CURRENT:
        message = decode(path.read_bytes())
        if message.CHANNEL != "request":
            continue
        page.give("bytes", path.read_bytes())
        again = decode(page.take("(() => { const m = codec.decode(bytes); return codec.encode(m.topic, m); })()"))
        assert bytes(encode(again)) == bytes(encode(message)), path.name


def test_a_value_beyond_its_range_is_not_sent(page: Page):
    with pytest.raises(BrowserError, match=r"hello\.client_name: expected at most 64 characters"):
        page.evaluate(
            "codec.encode('hello', {request_id: 1, client_name: 'x'.repeat(65), avatar_name: '', session_id: 0,"
            " private: false})"
        )


def test_movers_decode_to_the_very_bits_of_python(page: Page):
    rng = np.random.default_rng(3)
    packed = rng.integers(0, 256, (2000, 16), dtype=np.uint8)
    packed[:4] = [[0] * 16, [255] * 16, [0, 0] * 8, [255, 0] * 8]
    box = box_for(np.array([-0.31, -0.2, -0.07]), np.array([0.29, 0.17, 0.14]), -9.2, -2.8)
    page.give("packed", packed.tobytes())
    given = [box.position_min_m, box.position_max_m, box.log_scale_min, box.log_scale_max]
    page.evaluate(f"window.ranges = {json.dumps(given)}")
    read = page.take(
        """(async ([positionMinM, positionMaxM, logScaleMin, logScaleMax]) => {
          const { decodingOf, unpackMovers } = await import('/avatar/quantise.js');
          const { emptyCloud } = await import('/avatar/assemble.js');
          const cloud = emptyCloud(2000);
          unpackMovers(packed, decodingOf({ positionMinM, positionMaxM, logScaleMin, logScaleMax }), cloud);
          return new Blob([cloud.means, cloud.quatsWxyz, cloud.scales, cloud.opacities]).arrayBuffer();
        })(ranges)"""
    )
    expected = b"".join(a.tobytes() for a in unpack_movers(packed, box))
    assert read == expected


def test_a_frame_is_put_together_as_python_does_it(page: Page):
    """Both work in double precision and round once: one float32 step of the largest values, 2^-24 m and 2^-24."""
    bundle = made_bundle()
    avatar = served(bundle)
    rng = np.random.default_rng(0)
    movers = rng.integers(0, 256, (bundle.manifest.counts.movers, 16), dtype=np.uint8)
    golden = json.loads((GOLDEN / f"frame_q16_v{schema.WIRE_VERSION}.json").read_text())["fields"]
    frame = schema.FrameQ16(
        *(1, 0, 0, 0.0, 0.0), tuple(golden["avatar_from_head"]), tuple(golden["avatar_from_torso"]), len(movers), movers
    )
    page.give("welcomeBytes", bytes(encode(welcome_of(bundle))))
    page.give("frameBytes", bytes(encode(frame)))
    count = len(bundle.canonical)
    read = np.frombuffer(
        page.take(
            """(async () => {
              const { ServedAvatar } = await import('/avatar/served_avatar.js');
              const cloud = new ServedAvatar(codec.decode(welcomeBytes)).cloudOf(codec.decode(frameBytes));
              return new Blob([cloud.means, cloud.quatsWxyz, cloud.scales, cloud.opacities]).arrayBuffer();
            })()"""
        ),
        np.float32,
    )
    expected = avatar.assemble(avatar.frame(frame))
    means, quats, scales, opacities = np.split(read, np.cumsum([3 * count, 4 * count, 3 * count]))
    assert np.abs(means.reshape(-1, 3) - expected.means).max() <= 2**-24
    turned = quats.reshape(-1, 4)
    sign = np.sign((turned * expected.quats_wxyz).sum(axis=1, keepdims=True))  # q and -q are one rotation
    assert np.abs(turned * sign - expected.quats_wxyz).max() <= 2**-23
    assert np.array_equal(scales.reshape(-1, 3), expected.scales)
    assert np.array_equal(opacities, expected.opacities)


def test_half_floats_round_as_numpy_does(page: Page):
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**32, 20_000, dtype=np.uint32)
    edges = np.array([0, 1, 0x33000000, 0x33000001, 0x387FFFFF, 0x38800000, 0x477FEFFF, 0x477FF000, 0x7F800000])
    floats = np.concatenate([bits, edges.astype(np.uint32)]).view(np.float32)
    floats = floats[~np.isnan(floats)]
    page.give("floatBytes", floats.tobytes())
    read = page.take(
        """import('/avatar/half_float.js').then(({ halfBits }) =>
          Uint16Array.from(new Float32Array(floatBytes.buffer), halfBits).buffer)"""
    )
    with np.errstate(over="ignore"):
        expected = floats.astype(np.float16)
    assert np.array_equal(np.frombuffer(read, np.uint16), expected.view(np.uint16))


def test_depths_sort_exactly_and_ties_by_index(page: Page):
    rng = np.random.default_rng(2)
    z = rng.normal(size=5000).astype(np.float32)
    z[1000:2000] = z[:1000]
    z[:3] = [0.0, 1e-30, -1e-30]
    means = np.zeros((5000, 3), np.float32)
    means[:, 2] = z
    page.give("meanBytes", means.tobytes())
    read = page.take(
        """import('/avatar/depth_order.js').then(({ DepthOrder }) => new DepthOrder(5000).sort(
          new Float32Array(meanBytes.buffer), 5000, [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]).order.slice().buffer)"""
    )
    assert np.array_equal(np.frombuffer(read, np.uint32), np.argsort(z, kind="stable"))


def test_a_picture_between_two_frames_is_the_one_of_python(page: Page):
    """The same steps in double precision there and in float32 here: some of its steps, 2^-20 of the largest."""
    bundle = made_bundle()
    avatar = served(bundle)
    rng = np.random.default_rng(4)
    movers = rng.integers(0, 256, (2, bundle.manifest.counts.movers, 16), dtype=np.uint8)
    movers[1, :, 8:12] = movers[0, :, 8:12]  # turns that are far apart have no shorter way round that is sure
    movers[1, ::2, 8] ^= 12
    golden = json.loads((GOLDEN / f"frame_q16_v{schema.WIRE_VERSION}.json").read_text())["fields"]
    still = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    frames = [
        schema.FrameQ16(1, i, i, i / 25, 0.0, head, torso, len(movers[i]), movers[i])
        for i, head, torso in (
            (0, tuple(golden["avatar_from_head"]), still),
            (1, still, tuple(golden["avatar_from_torso"])),
        )
    ]
    page.give("welcomeBytes", bytes(encode(welcome_of(bundle))))
    page.give("earlierBytes", bytes(encode(frames[0])))
    page.give("laterBytes", bytes(encode(frames[1])))
    read = page.take(
        """(async () => {
          const { ServedAvatar } = await import('/avatar/served_avatar.js');
          const avatar = new ServedAvatar(codec.decode(welcomeBytes));
          const cloud = avatar.cloudBetween(codec.decode(earlierBytes), codec.decode(laterBytes), 0.3);
          return new Blob([cloud.means, cloud.quatsWxyz, cloud.scales, cloud.opacities]).arrayBuffer();
        })()"""
    )
    expected = avatar.assemble(interpolate_frames(avatar.frame(frames[0]), avatar.frame(frames[1]), 0.3 / 25))
    count = len(bundle.canonical)
    ends = np.cumsum([3 * count, 4 * count, 3 * count])
    means, quats, scales, opacities = np.split(np.frombuffer(read, np.float32), ends)
    turned = quats.reshape(-1, 4)
    sign = np.sign((turned * expected.quats_wxyz).sum(axis=1, keepdims=True))
    assert np.abs(means.reshape(-1, 3) - expected.means).max() <= 2**-20
    assert np.abs(turned * sign - expected.quats_wxyz).max() <= 2**-20
    assert np.abs(scales.reshape(-1, 3) / expected.scales - 1).max() <= 2**-20
    assert np.abs(opacities - expected.opacities).max() <= 2**-20
