// The part of msgpack that message headers use: maps with text keys, numbers, truth values, texts, lists.

/**
 * @param {Uint8Array} bytes exactly one value
 * @throws {Error} anything else than that, or a kind of value that headers do not hold
 */
export function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = new TextDecoder("utf-8", { fatal: true });
  let at = 0;

  const take = (count) => {
    at += count;
    if (at > bytes.length) throw new Error("msgpack: the value is cut short.");
    return at - count;
  };
  const texts = (length) => {
    const start = take(length);
    return text.decode(bytes.subarray(start, at));
  };
  const lists = (length) => Array.from({ length: bounded(length) }, () => value());
  const maps = (length) => {
    const map = new Map();
    for (let left = bounded(length); left > 0; left--) {
      const key = value();
      if (typeof key !== "string") throw new Error("msgpack: expected texts as keys of a map.");
      if (map.has(key)) throw new Error(`msgpack: the key ${key} stands twice in the map.`);
      map.set(key, value());
    }
    return map;
  };
  // Every entry takes at least a byte: a length that cannot be is refused before memory is asked for.
  const bounded = (length) => {
    if (length > bytes.length - at) throw new Error("msgpack: a list is longer than the value.");
    return length;
  };
  const wide = (number) => {
    const result = Number(number);
    if (!Number.isSafeInteger(result)) throw new Error("msgpack: an integer is too large.");
    return result;
  };
  const value = () => {
    const head = view.getUint8(take(1));
    if (head <= 0x7f) return head;
    if (head <= 0x8f) return maps(head & 15);
    if (head <= 0x9f) return lists(head & 15);
    if (head <= 0xbf) return texts(head & 31);
    if (head >= 0xe0) return head - 256;
    switch (head) {
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xca:
        return view.getFloat32(take(4));
      case 0xcb:
        return view.getFloat64(take(8));
      case 0xcc:
        return view.getUint8(take(1));
      case 0xcd:
        return view.getUint16(take(2));
      case 0xce:
        return view.getUint32(take(4));
      case 0xcf:
        return wide(view.getBigUint64(take(8)));
      case 0xd0:
        return view.getInt8(take(1));
      case 0xd1:
        return view.getInt16(take(2));
      case 0xd2:
        return view.getInt32(take(4));
      case 0xd3:
        return wide(view.getBigInt64(take(8)));
      case 0xd9:
        return texts(view.getUint8(take(1)));
      case 0xda:
        return texts(view.getUint16(take(2)));
      case 0xdb:
        return texts(view.getUint32(take(4)));
      case 0xdc:
        return lists(view.getUint16(take(2)));
      case 0xdd:
        return lists(view.getUint32(take(4)));
      case 0xde:
        return maps(view.getUint16(take(2)));
      case 0xdf:
        return maps(view.getUint32(take(4)));
      default:
        throw new Error(`msgpack: expected what a header may hold, got a value of type 0x${head.toString(16)}.`);
    }
  };

  const result = value();
  if (at !== bytes.length) throw new Error("msgpack: expected one value, got more behind it.");
  return result;
}

/**
 * @param {object} fields names with numbers, truth values, texts, or lists of these
 * @returns {Uint8Array} a map; whole numbers as integers, all others as 64-bit floats
 */
export function packMap(fields) {
  const out = [];
  const entries = Object.entries(fields);
  head(out, entries.length, 0x80, 15, [null, 0xde, 0xdf]);
  for (const [name, value] of entries) {
    pack(out, name);
    pack(out, value);
  }
  return Uint8Array.from(out);
}

function pack(out, value) {
  if (typeof value === "boolean") {
    out.push(value ? 0xc3 : 0xc2);
  } else if (typeof value === "string") {
    const bytes = new TextEncoder().encode(value);
    head(out, bytes.length, 0xa0, 31, [0xd9, 0xda, 0xdb]);
    out.push(...bytes);
  } else if (Array.isArray(value)) {
    head(out, value.length, 0x90, 15, [null, 0xdc, 0xdd]);
    for (const item of value) pack(out, item);
  } else if (Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0)) {
    if (value <= 0x7f) out.push(value);
    else bigEndian(out, 0xcf, 8, (view) => view.setBigUint64(0, BigInt(value)));
  } else if (typeof value === "number") {
    bigEndian(out, 0xcb, 8, (view) => view.setFloat64(0, value));
  } else {
    throw new Error(`msgpack: expected a number, a truth value, a text or a list, got ${typeof value}.`);
  }
}

function head(out, length, small, smallMax, [byte, word, long]) {
  if (length <= smallMax) out.push(small | length);
  else if (byte !== null && length <= 0xff) out.push(byte, length);
  else if (length <= 0xffff) bigEndian(out, word, 2, (view) => view.setUint16(0, length));
  else bigEndian(out, long, 4, (view) => view.setUint32(0, length));
}

function bigEndian(out, type, size, write) {
  const view = new DataView(new ArrayBuffer(size));
  write(view);
  out.push(type, ...new Uint8Array(view.buffer));
}
