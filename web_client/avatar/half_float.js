// float32 to the 16 bits of a half float, rounded to nearest even, as the engine's data textures hold them.

const word = new Uint32Array(1);
const value = new Float32Array(word.buffer);

/** The bits of the half float nearest to a number. */
export function halfBits(number) {
  value[0] = number;
  return halfOfFloatBits(word[0]);
}

/** The same from the bits of a float32, for loops over arrays that are seen as both; short, so that it is inlined. */
export function halfOfFloatBits(bits) {
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x38800000 && magnitude < 0x47800000) {
    // A normal half: move the exponent from bias 127 to 15 and round the 13 bits that fall off.
    return ((bits >>> 16) & 0x8000) | ((magnitude - 0x37fff001 + ((magnitude >>> 13) & 1)) >>> 13);
  }
  return unusualHalf(bits);
}

function unusualHalf(bits) {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x47800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00); // 65536 and above; NaN
  if (magnitude < 0x33000000) return sign; // below half of the smallest subnormal
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const shift = 126 - (magnitude >>> 23);
  const kept = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (kept + (rest > half || (rest === half && (kept & 1)) ? 1 : 0));
}
