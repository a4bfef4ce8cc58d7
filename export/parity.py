"""Do the exported graphs compute what was trained? Checked on real input before anything is written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gstalker.runtime.bundle import AvatarBundle
from gstalker.runtime.infer import AvatarRuntime

MAX_ABSOLUTE = 1e-4  # in the output's own unit
MAX_OF_SCALE = 1e-4  # of the largest value of the output: positions are small numbers of metres
FLOOR = 1e-7  # what rounding alone may leave where an output is zero throughout

# The columns of one array that share a unit.
GROUPS: tuple[tuple[str, str, slice], ...] = (
    ("audio_code", "audio_code", slice(None)),
    ("d_mean_m", "deltas", slice(0, 3)),
    ("d_quat_wxyz", "deltas", slice(3, 7)),
    ("d_log_scale", "deltas", slice(7, 10)),
    ("d_opacity_logit", "deltas", slice(10, 11)),
    ("torso_shift_m", "torso_rigid", slice(0, 2)),
    ("torso_angle_rad", "torso_rigid", slice(2, 3)),
    ("torso_d_mean_m", "torso_deltas", slice(None)),
)


class ParityError(RuntimeError):
    """The exported graphs do not reproduce the trained networks."""


@dataclass(frozen=True)
class OutputParity:
    """How one output compares.

    Attributes:
        output: its name and unit.
        worst: largest absolute difference.
        scale: largest absolute value that training's own code gave.
        allowance: what `worst` may be.
    """

    output: str
    worst: float
    scale: float
    allowance: float

    @property
    def share(self) -> float:
        """Share of the allowance used."""
        return self.worst / self.allowance


@dataclass(frozen=True)
class ParityReport:
    """All outputs, worst share first."""

    outputs: tuple[OutputParity, ...]

    @property
    def worst(self) -> OutputParity:
        return self.outputs[0]


def check_parity(bundle: AvatarBundle) -> ParityReport:
    """Run the graphs on the golden input and compare with the golden output, end to end from the mel windows.

    An output may differ by 1e-4 in its own unit and by 1e-4 of its own largest value, whichever is less.

    Raises:
        ParityError: an output differs by more, or is not finite.
        InputError: ONNX Runtime is missing or refuses a graph.
    """
    got_by_name = AvatarRuntime(bundle).golden_outputs()
    outputs = []
    for output, array, columns in GROUPS:
        expected = getattr(bundle.golden, array)[..., columns].astype(np.float64)
        got = got_by_name[array][..., columns].astype(np.float64)
        if expected.size == 0:
            continue  # an avatar without torso movers
        worst, scale = float(np.abs(got - expected).max()), float(np.abs(expected).max())
        outputs.append(OutputParity(output, worst, scale, min(MAX_ABSOLUTE, max(MAX_OF_SCALE * scale, FLOOR))))
    bad = [o for o in outputs if not o.worst <= o.allowance]  # catches NaN as well
    if bad:
        worst = max(bad, key=lambda o: o.share if np.isfinite(o.share) else np.inf)
        raise ParityError(
            f"the exported graphs do not reproduce the trained networks: {worst.output} differs by {worst.worst:.3e}, "
            f"allowed {worst.allowance:.1e} (values up to {worst.scale:.3e}). No bundle was written."
        )
    return ParityReport(tuple(sorted(outputs, key=lambda o: o.share, reverse=True)))
