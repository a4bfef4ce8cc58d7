"""From curves to figures: one row of figures for a subject on one clip or on all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gstalker.runtime.evaluate.agreement import STILL_AMPLITUDE, Agreement, agreement, best_lag
from gstalker.runtime.evaluate.curves import FaceCurves, MeasuredClip
from gstalker.runtime.evaluate.face_measures import lip_distance_px
from gstalker.runtime.evaluate.loudness import LAGS_S
from gstalker.runtime.evaluate.picture_measures import REGIONS, psnr_from_mse
from gstalker.runtime.evaluate.subject import STATIC

# A clip holds a blink when the lids come closer than this share of their median distance in the clip.
BLINK_SHARE = 0.6

Figures = dict[str, float | None]


def subject_figures(clips: Sequence[MeasuredClip], name: str) -> Figures:
    """All figures of a subject over some clips: keys of `metric_list.METRICS`, None where not measurable."""
    curves = [clip.subjects[name] for clip in clips]
    figures: Figures = {}
    for region in REGIONS:
        mse = np.concatenate([c.mse[region] for c in curves])
        prefix = "" if region == "full" else f"{region}_"
        figures[f"{prefix}psnr_db"] = _mean(psnr_from_mse(mse))
        mean_mse = _mean(mse)
        figures[f"{prefix}psnr_of_mean_db"] = None if mean_mse is None else float(psnr_from_mse(np.array(mean_mse)))
    figures["ssim"] = _mean(np.concatenate([c.ssim for c in curves]))
    figures["lpips"] = _mean(np.concatenate([c.lpips for c in curves]))
    pairs = [(c.face, clip.real) for c, clip in zip(curves, clips, strict=True)]
    known = [(face, real) for face, real in pairs if face is not None and real is not None]
    if len(known) == len(clips):
        figures |= face_figures([f for f, _ in known], [r for _, r in known], clips)
    return figures


def real_figures(clips: Sequence[MeasuredClip]) -> Figures:
    """The figures of the real pictures themselves.

    With a detector: what it finds in them against the dataset's tracks, which is its noise. Without one the
    tracks give the lip opening against loudness alone.
    """
    real = [clip.real for clip in clips if clip.real is not None]
    tracked = [clip.tracked for clip in clips]
    if len(real) == len(clips):
        return face_figures(real, tracked, clips)
    return _loudness_figures(tracked, tracked, clips)


def add_gains(figures: dict[str, Figures]) -> None:
    """Put what each subject gains over the static canonical model, where there is one, beside its figures."""
    base = figures.get(STATIC)
    if base is None:
        return
    for own in figures.values():
        mouth, static_mouth = own.get("mouth_psnr_db"), base.get("mouth_psnr_db")
        own["mouth_gain_db"] = None if mouth is None or static_mouth is None else mouth - static_mouth
        lmd, static_lmd = own.get("lmd_px"), base.get("lmd_px")
        own["lmd_share_of_static"] = None if lmd is None or not static_lmd else lmd / static_lmd


def face_figures(
    faces: Sequence[FaceCurves], reference: Sequence[FaceCurves], clips: Sequence[MeasuredClip]
) -> Figures:
    """Figures of faces found in pictures against a reference on the same frames."""
    lips = agreement([f.lip_opening_px for f in faces], [r.lip_opening_px for r in reference])
    lids = agreement([f.lid_opening_px for f in faces], [r.lid_opening_px for r in reference])
    blink = agreement([f.blink for f in faces], [r.blink for r in reference])
    blinking = [i for i, r in enumerate(reference) if has_blink(r)]
    lids_in_blinks = agreement(
        [faces[i].lid_opening_px for i in blinking], [reference[i].lid_opening_px for i in blinking]
    )
    pairs = list(zip(faces, reference, strict=True))
    centred = [f.lip_opening_px - np.nanmean(f.lip_opening_px) for f in faces if f.missed < len(f.blink)]
    figures: Figures = {
        "lmd_px": _mean(
            np.concatenate([lip_distance_px(f.landmarks_px, r.landmarks_px, centred=False) for f, r in pairs])
        ),
        "lmd_centred_px": _mean(
            np.concatenate([lip_distance_px(f.landmarks_px, r.landmarks_px, centred=True) for f, r in pairs])
        ),
        "lip_opening_correlation": lips.correlation,
        "lip_opening_amplitude": lips.amplitude_ratio,
        "lip_opening_error_px": lips.error,
        "lip_opening_correlation_of_clips": _mean_over_clips([_one(f, r) for f, r in pairs]),
        "lip_opening_spread_px": float(np.nanstd(np.concatenate(centred))) if centred else None,
        "lid_opening_error_px": lids.error,
        "blink_error": blink.error,
        "lid_opening_correlation": lids_in_blinks.correlation,
        "lid_opening_amplitude": lids_in_blinks.amplitude_ratio,
        "clips_with_blinks": float(len(blinking)),
        "faces_missed": float(sum(f.missed for f in faces)),
    }
    return figures | _loudness_figures(faces, reference, clips)


def has_blink(face: FaceCurves) -> bool:
    """Whether the eyes close in a clip."""
    lids = face.lid_opening_px[np.isfinite(face.lid_opening_px)]
    return len(lids) > 0 and bool(lids.min() < BLINK_SHARE * np.median(lids))


def _loudness_figures(
    faces: Sequence[FaceCurves], reference: Sequence[FaceCurves], clips: Sequence[MeasuredClip]
) -> Figures:
    openings = [f.lip_opening_px for f in faces]
    ratio = agreement(openings, [r.lip_opening_px for r in reference]).amplitude_ratio
    if ratio is None or ratio < STILL_AMPLITUDE:
        return {"loudness_correlation": None, "loudness_lag_s": None, "loudness_correlation_at_lag": None}
    lag = best_lag([clip.shifted_loudness_db for clip in clips], openings, LAGS_S)
    return {
        "loudness_correlation": lag.correlation,
        "loudness_lag_s": lag.lag_s,
        "loudness_correlation_at_lag": lag.correlation_at_lag,
    }


def _one(face: FaceCurves, real: FaceCurves) -> Agreement:
    return agreement([face.lip_opening_px], [real.lip_opening_px])


def _mean_over_clips(values: Sequence[Agreement]) -> float | None:
    known = [v.correlation for v in values if v.correlation is not None]
    return float(np.mean(known)) if known else None


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
