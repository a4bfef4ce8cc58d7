"""Cross-driving: another person's voice moves the mouth, and how well the mouth follows it.

There is no real picture to compare with, so what is measured is the lip opening against the loudness of the
speech. The same figures of the real person on the test clips say what may be hoped for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gstalker.runtime import audio
from gstalker.runtime.dataset import AUDIO_RATE_HZ, FPS
from gstalker.runtime.evaluate.agreement import best_lag
from gstalker.runtime.evaluate.comparison_video import ComparisonVideo
from gstalker.runtime.evaluate.curves import detected_face
from gstalker.runtime.evaluate.detection import DetectionWorker
from gstalker.runtime.evaluate.loudness import LAGS_S, frame_loudness_db, shifted_loudness_db
from gstalker.runtime.evaluate.measure import Progress
from gstalker.runtime.evaluate.picture_measures import as_bytes
from gstalker.runtime.evaluate.subject import VoiceSubject
from gstalker.runtime.evaluate.summary import Figures
from gstalker.runtime.evaluate.sync_figures import voice_sync
from gstalker.runtime.evaluate.sync_score import SyncScorer

MOMENTS = 8
# Less spread than this is the detector's own noise on a still mouth (measured about 0.05 px at 256 px).
STILL_PX = 0.15


@dataclass(frozen=True)
class VoiceReport:
    """What another voice did.

    Attributes:
        source: file name.
        subject: what spoke.
        seconds: how much of the sound was spoken, of source_seconds.
        lip_opening_spread_px: standard deviation of the opening; None without a detector.
        loudness_correlation, loudness_lag_s, loudness_correlation_at_lag: as in `metric_list`; None for a
            mouth that stands still, or without a detector.
        faces_missed: frames in which the detector saw no face.
        sync: the lip-sync surrogate's figures; empty without a scorer.
        lip_opening_px, loudness_db: (T,) curves.
        moments: [(seconds, picture)] evenly spread over the opening, in order of time.
    """

    source: str
    subject: str
    seconds: float
    source_seconds: float
    lip_opening_spread_px: float | None
    loudness_correlation: float | None
    loudness_lag_s: float | None
    loudness_correlation_at_lag: float | None
    faces_missed: int
    lip_opening_px: np.ndarray | None
    loudness_db: np.ndarray
    moments: list[tuple[float, np.ndarray]]
    sync: Figures = field(default_factory=dict)

    def figures(self) -> dict[str, object]:
        """For metrics.json."""
        return {
            "source": self.source,
            "subject": self.subject,
            "seconds": self.seconds,
            "source_seconds": self.source_seconds,
            "lip_opening_spread_px": self.lip_opening_spread_px,
            "loudness_correlation": self.loudness_correlation,
            "loudness_lag_s": self.loudness_lag_s,
            "loudness_correlation_at_lag": self.loudness_correlation_at_lag,
            "faces_missed": self.faces_missed,
            **self.sync,
        }


def cross_drive(
    subject: VoiceSubject,
    wav: Path,
    samples: np.ndarray,
    most_seconds: float,
    worker: DetectionWorker | None,
    *,
    video: Path | None = None,
    progress: Progress | None = None,
    sync: SyncScorer | None = None,
) -> VoiceReport:
    """Let a subject speak a sound and measure its mouth.

    Args:
        wav: where the sound came from, for the report.
        samples: (S,) 16 kHz mono.
        most_seconds: how much of it to speak.
        video: an MP4 to write.
        sync: judges how lips and sound fit; silent frames count as well.
    """
    seconds = len(samples) / AUDIO_RATE_HZ
    samples = samples[: round(most_seconds * AUDIO_RATE_HZ)]
    frames = audio.video_frame_count(len(samples))
    if progress:
        progress.stage("another voice", frames)
    job = worker.start() if worker else None
    film: ComparisonVideo | None = None
    kept: dict[int, np.ndarray] = {}
    every = max(1, frames // 64)  # moments are chosen afterwards, among so many
    try:
        for t, picture in enumerate(subject.voice_pictures(samples, frames)):
            rendered = as_bytes(picture)
            if job:
                job.put(rendered)
            if video:
                film = film or ComparisonVideo(video, 1, *rendered.shape[:2])
                film.add([rendered], f"{subject.name}: {wav.name}")
            if t % every == 0:
                kept[t] = rendered
            if progress:
                progress.advance(wav.name)
        if film:
            film.end_clip(samples)
    finally:
        if job:
            job.close()
        if film:
            film.close()

    face = detected_face(job.result(), worker.detector.blendshape_names) if job and worker else None
    opening = face.lip_opening_px if face else None
    spread = float(np.nanstd(opening)) if opening is not None and np.isfinite(opening).any() else None
    lag = None
    if opening is not None and spread is not None and spread >= STILL_PX:
        lag = best_lag([shifted_loudness_db(samples, frames)], [opening], LAGS_S)
    return VoiceReport(
        source=wav.name,
        subject=subject.name,
        seconds=round(len(samples) / AUDIO_RATE_HZ, 3),
        source_seconds=round(seconds, 3),
        lip_opening_spread_px=spread,
        loudness_correlation=lag.correlation if lag else None,
        loudness_lag_s=lag.lag_s if lag else None,
        loudness_correlation_at_lag=lag.correlation_at_lag if lag else None,
        faces_missed=face.missed if face else 0,
        lip_opening_px=opening,
        loudness_db=frame_loudness_db(samples, frames),
        moments=[(t / FPS, kept[t]) for t in _moments(sorted(kept), opening)],
        sync=voice_sync(face.landmarks_px, samples, sync) if face and sync else {},
    )


def _moments(candidates: list[int], opening: np.ndarray | None) -> list[int]:
    if opening is not None:
        candidates = sorted(candidates, key=lambda t: float(np.nan_to_num(opening[t])))
    places = np.linspace(0, len(candidates) - 1, min(MOMENTS, len(candidates))).round().astype(int)
    return sorted(candidates[p] for p in places)
