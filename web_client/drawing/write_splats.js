// The inner loop: a cloud into the engine's data textures, nearest first, in the engine's axes (docs/conventions.md).

import { halfOfFloatBits } from "../avatar/half_float.js";
import { NEAR_M } from "./projection.js";

const SIGN = 0x8000; // of a half float

/**
 * @param {number} count
 * @param {Uint32Array} order indices from near to far
 * @param {Float32Array} depths camera z of each Gaussian, m
 * @param {{means: Float32Array, quatsWxyz: Float32Array, scales: Float32Array, opacities: Float32Array}} cloud
 * @param {Uint16Array} colors 3 half floats a Gaussian, by index
 * @param {{center: Float32Array, scale: Uint16Array, rotation: Uint16Array, color: Uint16Array}} textures four numbers
 *   a splat; all but the centres are half floats
 */
export function writeSplats(count, order, depths, cloud, colors, textures) {
  const { means } = cloud;
  const quatBits = bitsOf(cloud.quatsWxyz);
  const scaleBits = bitsOf(cloud.scales);
  const opacityBits = bitsOf(cloud.opacities);
  const { center, scale, rotation, color } = textures;
  for (let i = 0; i < count; i++) {
    const n = order[i];
    const to = 4 * i;
    const n3 = 3 * n;
    const n4 = 4 * n;
    center[to] = means[n3];
    center[to + 1] = -means[n3 + 1];
    center[to + 2] = -means[n3 + 2];
    rotation[to] = halfOfFloatBits(quatBits[n4]);
    rotation[to + 1] = halfOfFloatBits(quatBits[n4 + 1]);
    rotation[to + 2] = halfOfFloatBits(quatBits[n4 + 2]) ^ SIGN;
    rotation[to + 3] = halfOfFloatBits(quatBits[n4 + 3]) ^ SIGN;
    scale[to] = halfOfFloatBits(scaleBits[n3]);
    scale[to + 1] = halfOfFloatBits(scaleBits[n3 + 1]);
    scale[to + 2] = halfOfFloatBits(scaleBits[n3 + 2]);
    color[to] = colors[n3];
    color[to + 1] = colors[n3 + 1];
    color[to + 2] = colors[n3 + 2];
    color[to + 3] = depths[n] < NEAR_M ? 0 : halfOfFloatBits(opacityBits[n]);
  }
}

function bitsOf(floats) {
  return new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
}
