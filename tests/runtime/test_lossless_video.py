"""Pictures that a dataset keeps come back byte for byte, whatever their width and however FFmpeg lays them out."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from gstalker.runtime.dataset import read_lossless_video, write_lossless_video


@pytest.mark.parametrize("width", [16, 37, 64])
@pytest.mark.parametrize(("pixel_format", "channels"), [("rgb24", (3,)), ("gray", ())])
def test_what_is_written_is_read(tmp_path: Path, width: int, pixel_format: str, channels: tuple[int, ...]):
    """FFmpeg's rows are padded where the width is no multiple of its vectors'."""
    pictures = np.random.default_rng(width).integers(0, 256, (3, 21, width, *channels), np.uint8)
    write_lossless_video(tmp_path / "v.mkv", pictures, pixel_format)
    read = read_lossless_video(tmp_path / "v.mkv", pixel_format, 3)
    assert read.flags.c_contiguous
    np.testing.assert_array_equal(read, pictures)


def test_a_file_in_another_lossless_layout_is_read_as_well(tmp_path: Path):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3), np.uint8)
    with av.open(str(tmp_path / "v.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 16, 24, "bgra"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgra")))
        container.mux(stream.encode(None))
    np.testing.assert_array_equal(read_lossless_video(tmp_path / "v.mkv", "rgb24", 2), pictures)
