// Which Gaussian is in front of which: exactly by the camera's z, ties by index, as docs/conventions.md has it.

const DIGITS = 2048; // 11 bits a pass, three passes for the 32 bits of a float

/** Sorts clouds of up to `capacity` Gaussians by depth, without allocating. */
export class DepthOrder {
  constructor(capacity) {
    this._depths = new Float32Array(capacity);
    this._keys = new Uint32Array(this._depths.buffer);
    this._order = [new Uint32Array(capacity), new Uint32Array(capacity)];
    this._counts = [new Uint32Array(DIGITS), new Uint32Array(DIGITS), new Uint32Array(DIGITS)];
  }

  /**
   * @param {Float32Array} means 3 * count, m, avatar space
   * @param {number} count
   * @param {ArrayLike<number>} cameraFromAvatar 12 numbers, OpenCV axes
   * @returns {{order: Uint32Array, depths: Float32Array}} indices from near to far, and each Gaussian's camera z in m;
   *   both are overwritten by the next call
   */
  sort(means, count, cameraFromAvatar) {
    const depths = this._depths;
    const keys = this._keys;
    const [low, middle, high] = this._counts;
    low.fill(0);
    middle.fill(0);
    high.fill(0);
    const zx = cameraFromAvatar[8];
    const zy = cameraFromAvatar[9];
    const zz = cameraFromAvatar[10];
    const tz = cameraFromAvatar[11];
    for (let n = 0; n < count; n++) {
      depths[n] = zx * means[3 * n] + zy * means[3 * n + 1] + zz * means[3 * n + 2] + tz;
      // The bits of floats sort as integers once the sign is undone.
      const bits = keys[n];
      const key = sortable(bits);
      low[key & 2047]++;
      middle[(key >>> 11) & 2047]++;
      high[key >>> 22]++;
    }
    for (const counts of this._counts) {
      let start = 0;
      for (let digit = 0; digit < DIGITS; digit++) {
        const here = counts[digit];
        counts[digit] = start;
        start += here;
      }
    }
    const [even, odd] = this._order;
    for (let n = 0; n < count; n++) even[low[sortable(keys[n]) & 2047]++] = n;
    for (let i = 0; i < count; i++) {
      const n = even[i];
      odd[middle[(sortable(keys[n]) >>> 11) & 2047]++] = n;
    }
    for (let i = 0; i < count; i++) {
      const n = odd[i];
      even[high[sortable(keys[n]) >>> 22]++] = n;
    }
    return { order: even, depths };
  }
}

function sortable(bits) {
  return (bits & 0x80000000 ? ~bits : bits | 0x80000000) >>> 0;
}
