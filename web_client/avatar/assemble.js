// All Gaussians of a frame in avatar space: the movers replaced, every part put in its pose (kernels/frame.py).

import { quatOfPose } from "./pose.js";

/** A cloud of N Gaussians in natural values; positions and sizes in metres. */
export function emptyCloud(count) {
  return {
    count,
    means: new Float32Array(3 * count),
    quatsWxyz: new Float32Array(4 * count),
    scales: new Float32Array(3 * count),
    opacities: new Float32Array(count),
  };
}

/**
 * Put N Gaussians of part space into avatar space. Sizes and opacities do not change and are not touched.
 *
 * @param {{count: number, means: Float32Array, quatsWxyz: Float32Array}} inParts in the space of their part
 * @param {Uint8Array} partIds 0 head, 1 torso
 * @param {ArrayLike<number>[]} avatarFromPart 12 numbers for each part
 * @param {{means: Float32Array, quatsWxyz: Float32Array}} inAvatar written to
 */
export function assemble(inParts, partIds, avatarFromPart, inAvatar) {
  const turns = avatarFromPart.map(quatOfPose);
  const means = inParts.means;
  const quats = inParts.quatsWxyz;
  const meansOut = inAvatar.means;
  const quatsOut = inAvatar.quatsWxyz;
  // Runs of one part: the matrix and the turn stay in registers.
  for (let first = 0; first < inParts.count; ) {
    const part = partIds[first];
    let end = first + 1;
    while (end < inParts.count && partIds[end] === part) end++;
    const [r0, r1, r2, tx, r3, r4, r5, ty, r6, r7, r8, tz] = avatarFromPart[part];
    const [w, x, y, z] = turns[part];
    for (let n = first; n < end; n++) {
      const px = means[3 * n];
      const py = means[3 * n + 1];
      const pz = means[3 * n + 2];
      meansOut[3 * n] = r0 * px + r1 * py + r2 * pz + tx;
      meansOut[3 * n + 1] = r3 * px + r4 * py + r5 * pz + ty;
      meansOut[3 * n + 2] = r6 * px + r7 * py + r8 * pz + tz;
      const qw = quats[4 * n];
      const qx = quats[4 * n + 1];
      const qy = quats[4 * n + 2];
      const qz = quats[4 * n + 3];
      quatsOut[4 * n] = w * qw - x * qx - y * qy - z * qz;
      quatsOut[4 * n + 1] = w * qx + x * qw + y * qz - z * qy;
      quatsOut[4 * n + 2] = w * qy - x * qz + y * qw + z * qx;
      quatsOut[4 * n + 3] = w * qz + x * qy - y * qx + z * qw;
    }
    first = end;
  }
}
