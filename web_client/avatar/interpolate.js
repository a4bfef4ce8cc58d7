// Between two frames: displays draw more often than the avatar's 25 times a second (kernels/interpolate.py).

import { quatOfPose } from "./pose.js";

/**
 * Mix the movers of two frames: centres and opacities linearly, sizes geometrically, turns the shorter way round.
 *
 * @param {object} a the earlier frame's decoded movers: means, quatsWxyz, scales, opacities
 * @param {object} b the later one's
 * @param {number} weight 0 gives a, 1 gives b
 * @param {number} count movers
 * @param {object} into arrays that hold at least so many
 */
export function interpolateMovers(a, b, weight, count, into) {
  const rest = 1 - weight;
  for (let i = 0; i < 3 * count; i++) {
    into.means[i] = rest * a.means[i] + weight * b.means[i];
    const [from, to] = [a.scales[i], b.scales[i]];
    into.scales[i] = from === to ? from : from * Math.exp(weight * Math.log(to / from));
  }
  const { quatsWxyz: qa } = a;
  const { quatsWxyz: qb } = b;
  const quats = into.quatsWxyz;
  for (let n = 0; n < count; n++) {
    into.opacities[n] = rest * a.opacities[n] + weight * b.opacities[n];
    const i = 4 * n;
    const dot = qa[i] * qb[i] + qa[i + 1] * qb[i + 1] + qa[i + 2] * qb[i + 2] + qa[i + 3] * qb[i + 3];
    const share = dot < 0 ? -weight : weight;
    const w = rest * qa[i] + share * qb[i];
    const x = rest * qa[i + 1] + share * qb[i + 1];
    const y = rest * qa[i + 2] + share * qb[i + 2];
    const z = rest * qa[i + 3] + share * qb[i + 3];
    const inverse = 1 / Math.sqrt(w * w + x * x + y * y + z * z);
    quats[i] = w * inverse;
    quats[i + 1] = x * inverse;
    quats[i + 2] = y * inverse;
    quats[i + 3] = z * inverse;
  }
}

/**
 * A pose between two, 12 numbers each: the turn along the shorter great arc, the translation on a line.
 *
 * Source: Shoemake 1985, "Animating rotation with quaternion curves".
 */
export function interpolatePose(a, b, weight) {
  const qa = quatOfPose(a);
  let qb = quatOfPose(b);
  let cosine = qa.reduce((sum, value, k) => sum + value * qb[k], 0);
  if (cosine < 0) {
    qb = qb.map((value) => -value);
    cosine = -cosine;
  }
  const angle = Math.atan2(Math.hypot(...qb.map((value, k) => value - cosine * qa[k])), cosine);
  let [shareA, shareB] = [1 - weight, weight];
  if (angle >= 1e-9) {
    shareA = Math.sin((1 - weight) * angle) / Math.sin(angle);
    shareB = Math.sin(weight * angle) / Math.sin(angle);
  }
  const [w, x, y, z] = qa.map((value, k) => shareA * value + shareB * qb[k]);
  const [tx, ty, tz] = [3, 7, 11].map((i) => (1 - weight) * a[i] + weight * b[i]);
  return [
    ...[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y), tx],
    ...[2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x), ty],
    ...[2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y), tz],
  ];
}
