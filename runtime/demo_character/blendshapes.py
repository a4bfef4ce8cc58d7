"""The 52 ARKit weights that a face tracker would report for the character's controls, known exactly."""

from __future__ import annotations

import numpy as np

from gstalker.runtime.demo_character.controls import FaceControls, MouthControls
from gstalker.runtime.prepare.face import BLENDSHAPE_NAMES

GAZE_FULL_RAD = 0.6  # gaze at which the eyeLook weights are 1


def blendshapes(mouth: MouthControls, face: FaceControls) -> np.ndarray:
    """(52,) float32 weights in 0..1, columns BLENDSHAPE_NAMES. Left and right are the person's own."""
    right_eye, left_eye = 0, 1  # the person's right eye is on picture left
    jaw = 0.8 * mouth.jaw_open  # so that a wide 'a' reads as a tracker reads it on this face
    across, down = face.gaze_rad[0] / GAZE_FULL_RAD, face.gaze_rad[1] / GAZE_FULL_RAD
    weights = {
        "browInnerUp": face.brow_inner_up,
        "jawOpen": jaw,
        "mouthClose": jaw * mouth.seal,
        "mouthFunnel": mouth.funnel,
        "mouthPucker": mouth.pucker,
        "mouthRollLower": max(0.8 * mouth.tuck, 0.6 * mouth.press),
        "mouthRollUpper": 0.6 * mouth.press,
        "eyeLookInLeft": -across,
        "eyeLookOutLeft": across,
        "eyeLookInRight": across,
        "eyeLookOutRight": -across,
    }
    for side, eye in (("Left", left_eye), ("Right", right_eye)):
        weights |= {
            f"browDown{side}": face.brow_down[eye],
            f"browOuterUp{side}": face.brow_outer_up[eye],
            f"cheekSquint{side}": 0.5 * mouth.smile,
            f"eyeBlink{side}": face.blink[eye],
            f"eyeSquint{side}": face.squint[eye],
            f"eyeLookDown{side}": down,
            f"eyeLookUp{side}": -down,
            f"mouthLowerDown{side}": mouth.lower_drop,
            f"mouthPress{side}": mouth.press,
            f"mouthSmile{side}": mouth.smile,
            f"mouthStretch{side}": mouth.wide,
            f"mouthUpperUp{side}": mouth.upper_raise,
        }
    row = [float(np.clip(weights.pop(name, 0.0), 0.0, 1.0)) for name in BLENDSHAPE_NAMES]
    assert not weights, f"no such blendshapes: {sorted(weights)}"
    return np.array(row, np.float32)
