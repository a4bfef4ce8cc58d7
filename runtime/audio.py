"""Speech in, log-mel features out: the front end that training, bundles and serving share. Needs no torch.

A mel frame depends on its own 400 samples alone and is computed by element-wise steps and one FFT a row, so a
program that computes the frames one at a time gets the same bits as one that computes them all at once.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from gstalker.runtime.errors import InputError

SAMPLE_RATE_HZ = 16_000
SAMPLES_PER_VIDEO_FRAME = 640  # 25 frames a second
MEL_FRAMES_PER_VIDEO_FRAME = 4
SHORTEST_AUDIO_SAMPLES = SAMPLES_PER_VIDEO_FRAME  # 40 ms, one frame of video
LONGEST_AUDIO_S = 4 * 3600  # keeps a wrong file from filling the memory


@dataclass(frozen=True)
class LogMelConfig:
    """Everything needed to compute the features again in another language.

    Frame m is the spectrum of samples hop*m - window/2 up to hop*m + window/2 - 1, zeros outside the
    recording, times a periodic Hann window, zero padded to n_fft. Its power |X|^2 is summed
    through triangles of height 1 whose corners are evenly spaced on the mel scale; then
    (ln(max(power, power_floor)) - log_mean) / log_std.

    log_mean and log_std make the features of speech about zero mean and unit variance. Mean and deviation of
    the logarithm were measured as -5.7 and 4.2 on 47 clips of a studio corpus, -7.5 and 3.3 on a quiet
    audiobook, -4.6 and 5.3 on loud synthetic speech; the values stand between them and stay fixed.

    The mel scale is Slaney's (linear to 1 kHz, logarithmic above), not HTK's: with bins of 31 Hz, HTK's
    lowest bands would be narrower than a bin and stay empty.

    Source: Slaney 1998, Auditory Toolbox, Interval Research report 1998-010, for the scale.
    """

    sample_rate_hz: int = SAMPLE_RATE_HZ
    window_samples: int = 400  # 25 ms
    hop_samples: int = 160  # 10 ms
    n_fft: int = 512
    mel_bands: int = 80
    low_hz: float = 0.0
    high_hz: float = 8000.0
    mel_scale: str = "slaney"
    power_floor: float = 1e-6
    log_mean: float = -6.0
    log_std: float = 4.0

    @property
    def silence(self) -> float:
        """The feature value of digital silence, which also stands outside the recording."""
        return float(np.float32((np.log(self.power_floor) - self.log_mean) / self.log_std))


DEFAULT_LOG_MEL = LogMelConfig()


def load_wav(path: Path | str) -> np.ndarray:
    """Read the sound of a WAV or of any other file that ffmpeg knows.

    Any sampling rate and number of channels: channels are averaged and the rate is converted to 16 kHz.

    Returns:
        (S,) float32, 16 kHz mono, -1..1.

    Raises:
        InputError: the file is missing, holds no readable sound, is shorter than 40 ms or longer than
            4 hours, or holds values that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected a sound file, found none. Check the path.")
    blocks: list[np.ndarray] = []
    count = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise InputError(f"{path}: expected sound, got a file without a sound track. Give a WAV of speech.")
            resampler: av.AudioResampler | None = None
            for frame in container.decode(audio=0):
                if resampler is None:  # channels stay apart: how ffmpeg mixes them depends on the sample format
                    resampler = av.AudioResampler(format="fltp", layout=frame.layout, rate=SAMPLE_RATE_HZ)
                for converted in resampler.resample(frame):
                    blocks.append(converted.to_ndarray().mean(axis=0, dtype=np.float32))
                    count += len(blocks[-1])
                if count > LONGEST_AUDIO_S * SAMPLE_RATE_HZ:
                    raise InputError(f"{path}: expected at most {LONGEST_AUDIO_S // 3600} hours of sound, got more.")
            if resampler is not None:
                blocks += [b.to_ndarray().mean(axis=0, dtype=np.float32) for b in resampler.resample(None)]
    except (OSError, FFmpegError) as error:
        raise InputError(f"{path}: expected a sound file, could not read it ({error}). Give a WAV.") from error
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if len(samples) < SHORTEST_AUDIO_SAMPLES:
        raise InputError(
            f"{path}: expected at least 40 ms of sound, got {1000 * len(samples) / SAMPLE_RATE_HZ:.1f} ms. "
            "Give a longer recording."
        )
    if not np.isfinite(samples).all():
        raise InputError(f"{path}: expected finite sample values, got NaN or infinity. Write the file again.")
    return np.ascontiguousarray(samples, np.float32)


def video_frame_count(sample_count: int) -> int:
    """Frames of 25 fps video that cover a recording: the last one may be covered in part."""
    return -(-sample_count // SAMPLES_PER_VIDEO_FRAME)


def mel_frame_count(sample_count: int, config: LogMelConfig = DEFAULT_LOG_MEL) -> int:
    """Mel frames whose centre lies inside a recording."""
    return -(-sample_count // config.hop_samples)


def log_mel(samples: np.ndarray, config: LogMelConfig = DEFAULT_LOG_MEL) -> np.ndarray:
    """Normalised log-mel features of a whole recording.

    Args:
        samples: (S,) 16 kHz mono, -1..1.

    Returns:
        (ceil(S / 160), 80) float32; row m is centred on sample 160 m.

    Raises:
        ValueError: samples is not one-dimensional.
    """
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1:
        raise ValueError(f"log_mel: expected samples of shape (S,), got {samples.shape}.")
    frames = mel_frame_count(len(samples), config)
    half = config.window_samples // 2
    last_end = (frames - 1) * config.hop_samples + config.window_samples if frames else 0
    padded = np.zeros(max(last_end, half + len(samples)), np.float32)
    padded[half : half + len(samples)] = samples
    result = np.empty((frames, config.mel_bands), np.float32)
    block = 4096  # bounds the memory of a long recording
    for first in range(0, frames, block):
        last = min(first + block, frames)
        starts = np.arange(first, last)[:, None] * config.hop_samples
        result[first:last] = log_mel_of_windows(padded[starts + np.arange(config.window_samples)], config)
    return result


def log_mel_of_windows(windows: np.ndarray, config: LogMelConfig = DEFAULT_LOG_MEL) -> np.ndarray:
    """Features (M, mel_bands) float32 of M windows (M, window_samples); rows do not see each other."""
    hann, bins, weights = _tables(config)
    spectrum = np.fft.rfft(windows.astype(np.float64) * hann, n=config.n_fft, axis=-1)
    power = spectrum.real**2 + spectrum.imag**2
    # Not a matrix product: BLAS orders its sums by the number of rows, and the last bits would follow.
    mel = np.zeros((len(windows), config.mel_bands))
    for tap in range(bins.shape[1]):
        mel += power[:, bins[:, tap]] * weights[:, tap]
    logs = np.log(np.maximum(mel, config.power_floor))
    return ((logs - config.log_mean) / config.log_std).astype(np.float32)


def mel_windows(
    mel: np.ndarray,
    frame_count: int,
    left: int,
    right: int,
    *,
    first_frame: int = 0,
    config: LogMelConfig = DEFAULT_LOG_MEL,
) -> np.ndarray:
    """The stretch of features around each video frame.

    Args:
        mel: (frames, bands) float32 of `log_mel`.
        frame_count: T, how many video frames.
        left, right: mel frames before and from the video frame's own, 4 t.
        first_frame: the first video frame wanted, for work in pieces.

    Returns:
        (T, left + right, bands) float32: row i holds mel frames 4 t - left up to 4 t + right - 1 for
        t = first_frame + i; frames outside the recording hold the value of silence.

    Raises:
        ValueError: an empty window, or a negative count.
    """
    if left < 0 or right < 0 or left + right < 1 or frame_count < 0 or first_frame < 0:
        raise ValueError(
            "mel_windows: expected left, right, frame_count and first_frame >= 0 and left + right >= 1, got "
            f"{left}, {right}, {frame_count} and {first_frame}."
        )
    centres = MEL_FRAMES_PER_VIDEO_FRAME * (first_frame + np.arange(frame_count))
    wanted = centres[:, None] + np.arange(-left, right)
    inside = (wanted >= 0) & (wanted < len(mel))
    result = np.full((frame_count, left + right, mel.shape[1]), config.silence, np.float32)
    result[inside] = mel[wanted[inside]]
    return result


def mel_from_hz(hz: np.ndarray | float) -> np.ndarray:
    """Slaney's mel scale: 3 mel for 200 Hz up to 1 kHz, then 27 mel for a factor of 6.4."""
    hz = np.asarray(hz, np.float64)
    return np.where(hz < 1000, hz * 3 / 200, 15 + 27 * np.log(np.maximum(hz, 1000) / 1000) / np.log(6.4))


def hz_from_mel(mel: np.ndarray | float) -> np.ndarray:
    """Inverse of `mel_from_hz`."""
    mel = np.asarray(mel, np.float64)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((np.maximum(mel, 15) - 15) * np.log(6.4) / 27))


def mel_filters(config: LogMelConfig = DEFAULT_LOG_MEL) -> np.ndarray:
    """(mel_bands, n_fft / 2 + 1) float64 triangles of height 1.

    Raises:
        ValueError: the mel scale is not known.
    """
    if config.mel_scale != "slaney":
        raise ValueError(f"mel_filters: expected the mel scale 'slaney', got {config.mel_scale!r}.")
    corners_hz = hz_from_mel(np.linspace(mel_from_hz(config.low_hz), mel_from_hz(config.high_hz), config.mel_bands + 2))
    bins_hz = np.arange(config.n_fft // 2 + 1) * (config.sample_rate_hz / config.n_fft)
    low, peak, high = corners_hz[:-2, None], corners_hz[1:-1, None], corners_hz[2:, None]
    return np.maximum(0.0, np.minimum((bins_hz - low) / (peak - low), (high - bins_hz) / (high - peak)))


@functools.lru_cache(maxsize=8)
def _tables(config: LogMelConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The Hann window, and the filters as (bands, taps) bin numbers and weights, zero weights last."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.window_samples) / config.window_samples)
    filters = mel_filters(config)
    taps = int((filters > 0).sum(axis=1).max())
    bins = np.argsort(filters == 0, axis=1, kind="stable")[:, :taps]  # the bins in use first, in order
    return hann, bins, np.take_along_axis(filters, bins, axis=1)
