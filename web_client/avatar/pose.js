// Rigid poses as they come over the wire: 12 numbers, the first three rows of a 4 x 4, translation in metres.

/**
 * The turn of a pose as a unit quaternion, w first.
 *
 * @param {ArrayLike<number>} rows 12 numbers
 * @returns {[number, number, number, number]}
 */
export function quatOfPose(rows) {
  const [xx, xy, xz] = [rows[0], rows[1], rows[2]];
  const [yx, yy, yz] = [rows[4], rows[5], rows[6]];
  const [zx, zy, zz] = [rows[8], rows[9], rows[10]];
  // Four times the square of each component; the largest is safe to divide by.
  const squares = [1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz];
  const largest = squares.indexOf(Math.max(...squares));
  const double = Math.sqrt(squares[largest]); // twice the component
  const rests = [
    [0, zy - yz, xz - zx, yx - xy],
    [zy - yz, 0, yx + xy, xz + zx],
    [xz - zx, yx + xy, 0, zy + yz],
    [yx - xy, xz + zx, zy + yz, 0],
  ];
  const quat = rests[largest].map((value) => value / (2 * double));
  quat[largest] = double / 2;
  const length = Math.hypot(...quat) * (quat[0] < 0 ? -1 : 1);
  return quat.map((value) => value / length);
}

/** The pose `target_from_middle` after `middle_from_source`, as rows. */
export function multiplyPoses(targetFromMiddle, middleFromSource) {
  const product = new Array(12);
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j < 4; j++) {
      let sum = j === 3 ? targetFromMiddle[4 * i + 3] : 0;
      for (let k = 0; k < 3; k++) sum += targetFromMiddle[4 * i + k] * middleFromSource[4 * k + j];
      product[4 * i + j] = sum;
    }
  }
  return product;
}
