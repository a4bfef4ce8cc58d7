// Sixteen bytes a moving Gaussian, back to numbers: the same bits as kernels/quantise.py (docs/protocol.md).

import { BYTES_PER_MOVER, LOG_SCALE_CODES, POSITION_CODES, ROTATION_ZERO_CODE } from "../wire/schema.js";

const f32 = Math.fround;
const OPACITY_OF_CODE = f32(1 / POSITION_CODES);
const ROTATION_OF_CODE = f32(1 / (ROTATION_ZERO_CODE * Math.SQRT2));

/**
 * What turns codes into numbers, computed once for an avatar.
 *
 * @param {{positionMinM: number[], positionMaxM: number[], logScaleMin: number, logScaleMax: number}} box
 */
export function decodingOf(box) {
  const logScaleStep = (box.logScaleMax - box.logScaleMin) / LOG_SCALE_CODES;
  return {
    minimum: Float32Array.from(box.positionMinM),
    step: Float32Array.from(box.positionMinM, (low, axis) => (box.positionMaxM[axis] - low) / POSITION_CODES),
    scaleOfCode: Float32Array.from({ length: LOG_SCALE_CODES + 1 }, (_, code) =>
      Math.exp(box.logScaleMin + code * logScaleStep),
    ),
  };
}

/**
 * Decode M movers into arrays that hold at least M Gaussians.
 *
 * Every step is rounded to float32, as the reference does it, so that the bits agree.
 *
 * @param {Uint8Array} packed M * 16 bytes, starting at a multiple of 4 in their buffer
 * @param {ReturnType<typeof decodingOf>} decoding
 * @param {{means: Float32Array, quatsWxyz: Float32Array, scales: Float32Array, opacities: Float32Array}} into
 *   means in m, part space; unit quaternions, w first; standard deviations in m; opacities 0..1
 */
export function unpackMovers(packed, decoding, into) {
  const words = new Uint32Array(packed.buffer, packed.byteOffset, packed.byteLength >> 2);
  const { means, quatsWxyz, scales, opacities } = into;
  const { scaleOfCode } = decoding;
  const [x0, y0, z0] = decoding.minimum;
  const [dx, dy, dz] = decoding.step;
  const count = packed.byteLength / BYTES_PER_MOVER;
  for (let n = 0; n < count; n++) {
    const w0 = words[4 * n];
    const w1 = words[4 * n + 1];
    const w2 = words[4 * n + 2];
    const w3 = words[4 * n + 3];
    means[3 * n] = x0 + f32((w0 & 0xffff) * dx);
    means[3 * n + 1] = y0 + f32((w0 >>> 16) * dy);
    means[3 * n + 2] = z0 + f32((w1 & 0xffff) * dz);
    opacities[n] = (w1 >>> 16) * OPACITY_OF_CODE;
    const a = f32(((w2 & 1023) - ROTATION_ZERO_CODE) * ROTATION_OF_CODE);
    const b = f32((((w2 >>> 10) & 1023) - ROTATION_ZERO_CODE) * ROTATION_OF_CODE);
    const c = f32((((w2 >>> 20) & 1023) - ROTATION_ZERO_CODE) * ROTATION_OF_CODE);
    const rest = f32(1 - f32(f32(f32(a * a) + f32(b * b)) + f32(c * c)));
    const largest = w2 >>> 30;
    const q = 4 * n;
    quatsWxyz[q + (largest === 0 ? 1 : 0)] = a;
    quatsWxyz[q + (largest <= 1 ? 2 : 1)] = b;
    quatsWxyz[q + (largest <= 2 ? 3 : 2)] = c;
    quatsWxyz[q + largest] = rest > 0 ? Math.sqrt(rest) : 0;
    scales[3 * n] = scaleOfCode[w3 & 1023];
    scales[3 * n + 1] = scaleOfCode[(w3 >>> 10) & 1023];
    scales[3 * n + 2] = scaleOfCode[(w3 >>> 20) & 1023];
  }
}
