// Cameras: from OpenCV axes and a pinhole's K (docs/conventions.md) to the matrices of an engine with y up, z back.

export const NEAR_M = 0.01;
export const FAR_M = 100;

/**
 * The engine's projection matrix of a pinhole camera.
 *
 * @param {number[]} K 9 numbers, row by row, px
 * @returns {number[]} 16 numbers, column by column; a point's clip coordinates in OpenGL's range
 */
export function projectionOfK(K, widthPx, heightPx) {
  const [fx, , cx, , fy, cy] = K;
  const depth = FAR_M - NEAR_M;
  return [
    [(2 * fx) / widthPx, 0, 0, 0],
    [0, (2 * fy) / heightPx, 0, 0],
    [1 - (2 * cx) / widthPx, (2 * cy) / heightPx - 1, -(FAR_M + NEAR_M) / depth, -1],
    [0, 0, (-2 * FAR_M * NEAR_M) / depth, 0],
  ].flat();
}

/**
 * The engine's world transform of a camera, from the pose of OpenCV axes.
 *
 * The engine's axes are those of OpenCV with y and z turned round, in the world and at the camera.
 *
 * @param {ArrayLike<number>} cameraFromAvatar 12 numbers
 * @returns {number[]} 16 numbers, column by column: engine world <- engine camera
 */
export function worldFromCamera(cameraFromAvatar) {
  const m = cameraFromAvatar;
  const sign = [1, -1, -1];
  const columns = [];
  for (let j = 0; j < 3; j++) {
    // Column j of the inverse turn is row j of the turn.
    columns.push([0, 1, 2].map((i) => sign[i] * sign[j] * m[4 * j + i]).concat(0));
  }
  const origin = [0, 1, 2].map((i) => -sign[i] * (m[i] * m[3] + m[4 + i] * m[7] + m[8 + i] * m[11]));
  return [...columns.flat(), ...origin, 1];
}

/**
 * The bundle's own camera fitted into a canvas of another size: the whole of its picture is seen, in the middle.
 *
 * @param {{K: number[], widthPx: number, heightPx: number}} camera
 */
export function fitted(camera, widthPx, heightPx) {
  const zoom = Math.min(widthPx / camera.widthPx, heightPx / camera.heightPx);
  const [fx, , cx, , fy, cy] = camera.K;
  const left = (widthPx - zoom * camera.widthPx) / 2;
  const top = (heightPx - zoom * camera.heightPx) / 2;
  return {
    K: [zoom * fx, 0, zoom * cx + left, 0, zoom * fy, zoom * cy + top, 0, 0, 1],
    widthPx,
    heightPx,
    picture: { left, top, width: zoom * camera.widthPx, height: zoom * camera.heightPx },
  };
}
