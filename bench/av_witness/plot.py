"""The A/V offset over time and its distribution, as a picture and as numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np


def write_plots(folder: Path, offsets: np.ndarray, load: tuple[float, float], figures: dict[str, Any]) -> None:
    """Write av_offset.png and av_offset.json.

    Args:
        folder: made where it is not there.
        offsets: (K, 2) time and by how many ms sound led the picture, NaN where that could not be told.
        load: from when to when every core was busy, same clock; infinite for never.
        figures: put into the JSON beside the histogram.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    told = offsets[np.isfinite(offsets[:, 1])]
    seconds, ms = told[:, 0] - offsets[0, 0], told[:, 1]
    figure, (over_time, spread) = plt.subplots(
        1, 2, figsize=(12, 4.5), sharey=True, width_ratios=(4, 1), layout="constrained"
    )
    if np.isfinite(load[0]):
        over_time.axvspan(load[0] - offsets[0, 0], load[1] - offsets[0, 0], color="0.9", label="every core busy")
    over_time.plot(seconds, ms, ".", markersize=2, color="#1f5fa8")
    for axis in (over_time, spread):
        axis.axhline(45, color="#b02a2a", linewidth=1)
        axis.axhline(-125, color="#b02a2a", linewidth=1)
        axis.axhspan(-20, 20, color="#2a8a4a", alpha=0.12)
    over_time.set_xlabel("time, s")
    over_time.set_ylabel("sound ahead of picture, ms")
    over_time.set_title("sound against picture, by content; red: detectable (ITU-R BT.1359), green: within 20 ms")
    if np.isfinite(load[0]):
        over_time.legend(loc="lower right")
    edges = np.arange(-130, 51, 1.0)
    counts = np.histogram(ms, edges)[0]
    spread.barh(edges[:-1] + 0.5, counts, height=1.0, color="#1f5fa8")
    spread.set_xscale("symlog")
    spread.set_xlabel("how often")
    figure.savefig(folder / "av_offset.png", dpi=110)
    plt.close(figure)
    report = {
        "figures": figures,
        "histogram": {"edges_ms": edges.tolist(), "counts": counts.tolist()},
        "seconds": np.round(seconds, 3).tolist(),
        "sound_leads_ms": np.round(ms, 2).tolist(),
    }
    (folder / "av_offset.json").write_text(json.dumps(report) + "\n", encoding="utf-8")
