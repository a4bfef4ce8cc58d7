"""Every figure of a report: its name for people, its unit, which way is better, and what exactly it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One row of the report.

    Attributes:
        key: in metrics.json.
        label, unit: for people.
        better: "higher", "lower", "one" (the nearer to 1 the better) or "none".
        decimals: shown.
        definition: one sentence.
        main: in the first table; the others are in the full one.
    """

    key: str
    label: str
    unit: str
    better: str
    decimals: int
    definition: str
    main: bool = False


def _psnr(key: str, label: str, where: str, *, main: bool = False) -> tuple[Metric, Metric]:
    mean = f"{where}; the mean over frames of each frame's PSNR, pictures rounded to 8 bits."
    pooled = f"{where}; PSNR of the mean squared error over all frames."
    return (
        Metric(f"{key}psnr_db", label, "dB", "higher", 2, mean, main),
        Metric(f"{key}psnr_of_mean_db", f"{label}, of mean error", "dB", "higher", 2, pooled),
    )


METRICS: tuple[Metric, ...] = (
    *_psnr("", "PSNR, full picture", "All pixels of the picture", main=True),
    Metric(
        "ssim",
        "SSIM",
        "",
        "higher",
        4,
        "Structural similarity of the full picture: 11 x 11 Gaussian window, sigma 1.5, mean of channels.",
        True,
    ),
    Metric("lpips", "LPIPS (Alex)", "", "lower", 4, "Learned perceptual distance of the full picture.", True),
    *_psnr("mouth_", "PSNR, mouth box", "A box of 64 x 48 (at 256 px) about the tracked lips", main=True),
    Metric(
        "mouth_gain_db",
        "mouth box over static",
        "dB",
        "higher",
        2,
        "Mouth-box PSNR less that of the static canonical model.",
        True,
    ),
    *_psnr("eyes_", "PSNR, eye boxes", "Boxes of 40 x 28 (at 256 px) about the tracked eyes"),
    *_psnr("head_", "PSNR, head", "Person above the jaw line, without the outline"),
    *_psnr("torso_", "PSNR, torso", "Person below the jaw line, without the outline"),
    *_psnr("silhouette_", "PSNR, outline", "Within 4 px (at 256 px) of the person's outline"),
    *_psnr("backdrop_", "PSNR, backdrop", "Beyond the outline"),
    Metric(
        "lmd_px",
        "lip distance (LMD)",
        "px",
        "lower",
        3,
        "Mean distance of the 40 lip landmarks that one detector finds in the rendered and the real picture.",
        True,
    ),
    Metric(
        "lmd_centred_px",
        "lip distance, centred",
        "px",
        "lower",
        3,
        "The same after taking the lips' middle away: shape alone.",
        True,
    ),
    Metric(
        "lmd_share_of_static",
        "lip distance over static's",
        "",
        "lower",
        2,
        "Lip distance over that of the static canonical model.",
        True,
    ),
    Metric(
        "lip_opening_correlation",
        "lip opening, correlation",
        "",
        "higher",
        3,
        "Distance of the inner lips against the real one over time, each clip's mean removed, clips pooled; "
        "none for a mouth that stands still.",
        True,
    ),
    Metric(
        "lip_opening_amplitude",
        "lip opening, amplitude",
        "",
        "one",
        3,
        "Spread of the lip opening over the real one's spread: an averaged mouth is far below 1.",
        True,
    ),
    Metric("lip_opening_error_px", "lip opening, error", "px", "lower", 3, "Mean absolute difference."),
    Metric(
        "lip_opening_correlation_of_clips",
        "lip opening, mean correlation of clips",
        "",
        "higher",
        3,
        "The correlation of each clip by itself, averaged.",
    ),
    Metric("lip_opening_spread_px", "lip opening, spread", "px", "none", 2, "Its standard deviation."),
    Metric(
        "lid_opening_error_px",
        "lid opening, error",
        "px",
        "lower",
        3,
        "Mean absolute difference of the distance between the lids, mean of both eyes.",
        True,
    ),
    Metric(
        "blink_error",
        "blink, error",
        "",
        "lower",
        3,
        "Mean absolute difference of the detector's blink weight, 0 open to 1 closed.",
        True,
    ),
    Metric(
        "lid_opening_correlation",
        "lid opening, correlation",
        "",
        "higher",
        3,
        "Over the clips in which the real eyes close.",
        True,
    ),
    Metric("lid_opening_amplitude", "lid opening, amplitude", "", "one", 3, "Over the same clips."),
    Metric("clips_with_blinks", "clips with a blink", "", "none", 0, "In the real pictures."),
    Metric(
        "loudness_correlation",
        "lip opening and loudness",
        "",
        "none",
        3,
        "Correlation of the lip opening with the level of the speech (80 ms, dB); compare with the real one.",
        True,
    ),
    Metric(
        "loudness_lag_s",
        "lag behind loudness",
        "s",
        "none",
        2,
        "The shift within 400 ms at which it is highest; positive: the mouth comes after the sound.",
        True,
    ),
    Metric("loudness_correlation_at_lag", "correlation at that lag", "", "none", 3, "Its highest value."),
    Metric("faces_missed", "frames without a face", "", "lower", 0, "Where the detector found none."),
)

# Of a scorer's file, and of files that other programs wrote: there only where such a file was given.
FILE_METRICS: tuple[Metric, ...] = (
    Metric(
        "sync_confidence",
        "sync surrogate, confidence",
        "",
        "higher",
        3,
        "A small network's agreement of lip landmarks and sound at the best lag, less the median over lags within "
        "400 ms; not SyncNet's, and comparable between columns of one scorer alone.",
        True,
    ),
    Metric(
        "sync_lag_ms",
        "sync surrogate, lag",
        "ms",
        "none",
        0,
        "Where that is highest; positive: the mouth comes after the sound. None at the edge of what was searched, and "
        "for lips that fit hardly better than with another clip's sound.",
        True,
    ),
    Metric(
        "sync_confidence_shuffled",
        "sync surrogate, another clip's sound",
        "",
        "none",
        3,
        "The same confidence with the sound of the next clip: what chance gives.",
        True,
    ),
    Metric("syncnet_confidence", "SyncNet, confidence", "", "higher", 3, "As SyncNet said; read from --syncnet.", True),
    Metric("syncnet_distance", "SyncNet, distance", "", "lower", 3, "As SyncNet said.", True),
    Metric("syncnet_offset_frames", "SyncNet, offset", "frames", "none", 0, "As SyncNet said.", True),
    Metric(
        "au_error_lower",
        "action units, lower face, error",
        "",
        "lower",
        3,
        "Mean absolute difference of OpenFace's strengths, 0 to 5; read from --openface-real and --openface-avatar.",
        True,
    ),
    Metric("au_error_upper", "action units, upper face, error", "", "lower", 3, "The same of brows and lids.", True),
    Metric("au_frames", "frames with action units", "", "none", 0, "In which OpenFace found both faces."),
)
