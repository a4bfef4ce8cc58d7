"""Names for MediaPipe's 478 face landmarks that the project uses: the groups are always known in a dataset.

Source: the index lists of MediaPipe Face Mesh (Kartynnik et al. 2019, arXiv:1907.06724); left and right are
the person's own.
"""

from __future__ import annotations

LIPS_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
LIPS_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
LIPS = LIPS_OUTER + LIPS_INNER  # the 40 lip landmarks of LMD
LIP_OPENING = (13, 14)  # inner upper and lower lip, middle
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
RIGHT_LIDS = (159, 145)  # upper, lower
LEFT_LIDS = (386, 374)
RIGHT_EYE_CORNERS = (33, 133)  # outer, inner
LEFT_EYE_CORNERS = (263, 362)
RIGHT_BROW = (46, 53, 52, 65, 55, 70, 63, 105, 66, 107)
LEFT_BROW = (276, 283, 282, 295, 285, 300, 293, 334, 296, 336)
RIGHT_IRIS = (468, 469, 470, 471, 472)
LEFT_IRIS = (473, 474, 475, 476, 477)
NOSE = (1, 2, 4, 5, 6, 98, 168, 195, 197, 327)
# Clockwise in the picture from the top of the forehead.
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
# Points that hardly move with expression: what head pose is fitted to.
RIGID = (6, 168, 197, 195, 5, 4, 33, 133, 263, 362, 10, 151, 9, 8, 54, 284, 103, 332, 127, 356, 234, 454, 98, 327)

GROUPS = {
    "lips": LIPS,
    "right_eye": RIGHT_EYE,
    "left_eye": LEFT_EYE,
    "right_brow": RIGHT_BROW,
    "left_brow": LEFT_BROW,
    "right_iris": RIGHT_IRIS,
    "left_iris": LEFT_IRIS,
    "nose": NOSE,
    "face_oval": FACE_OVAL,
}

# Blendshapes that speech moves, and those of the upper face that it does not.
MOUTH_BLENDSHAPES = (
    "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight",
    "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
)  # fmt: skip
# What avatars heard before a run chose its own.
EXPRESSION_BLENDSHAPES = (
    "eyeBlinkLeft", "eyeBlinkRight", "eyeSquintLeft", "eyeSquintRight", "browDownLeft", "browDownRight",
    "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
)  # fmt: skip
LID_BLENDSHAPES = ("eyeBlinkLeft", "eyeBlinkRight")
GAZE_BLENDSHAPES = (
    "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight",
    "eyeLookUpLeft", "eyeLookUpRight",
)  # fmt: skip
# All that may be a control. cheekSquint and noseSneer are left to the voice: trackers move them with smile and lip.
UPPER_FACE_BLENDSHAPES = (*EXPRESSION_BLENDSHAPES, "eyeWideLeft", "eyeWideRight", *GAZE_BLENDSHAPES)
