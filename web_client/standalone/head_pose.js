// Head poses as six numbers, rotation vector (rad) and translation (m), and as 12, rows of avatar_from_head.

import { quatOfPose } from "../avatar/pose.js";

export function poseOfVector([x, y, z, tx, ty, tz]) {
  const angle = Math.hypot(x, y, z);
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const [ax, ay, az] = angle > 0 ? [x / angle, y / angle, z / angle] : [0, 0, 0];
  const d = 1 - c;
  return [
    ...[c + ax * ax * d, ax * ay * d - az * s, ax * az * d + ay * s, tx],
    ...[ay * ax * d + az * s, c + ay * ay * d, ay * az * d - ax * s, ty],
    ...[az * ax * d - ay * s, az * ay * d + ax * s, c + az * az * d, tz],
  ];
}

export function vectorOfPose(rows) {
  const [w, x, y, z] = quatOfPose(rows);
  const sine = Math.hypot(x, y, z);
  const scale = sine > 1e-12 ? (2 * Math.atan2(sine, w)) / sine : 2;
  return [scale * x, scale * y, scale * z, rows[3], rows[7], rows[11]];
}
