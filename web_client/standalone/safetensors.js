// Reads safetensors files: the arrays of a bundle.

const TYPES = { F32: Float32Array, U8: Uint8Array };

/**
 * @param {ArrayBuffer} buffer
 * @returns {Record<string, {shape: number[], data: Float32Array | Uint8Array}>}
 * @throws {Error} no safetensors file, or one with other kinds of numbers
 */
export function readSafetensors(buffer) {
  const view = new DataView(buffer);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  delete header.__metadata__;
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
    if (!TYPES[dtype]) throw new Error(`safetensors: ${name} has numbers of type ${dtype}, expected F32 or U8.`);
    const [start, end] = offsets.map((offset) => 8 + length + offset);
    tensors[name] = { shape, data: new TYPES[dtype](buffer.slice(start, end)) };
  }
  return tensors;
}
