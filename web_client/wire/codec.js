// Messages to bytes and back, strictly, as bridge/codec.py does it; layout and limits are in docs/protocol.md.

import { packMap, unpack } from "./msgpack.js";
import * as schema from "./schema.js";

const { MESSAGES, PAYLOAD_ALIGNMENT, PREFIX_BYTES, TOPIC_BYTES, WIRE_VERSION } = schema;
const ARRAY_TYPES = { "<f4": Float32Array, "<i2": Int16Array, "|u1": Uint8Array };
const RIGID_TOLERANCE = 1e-3;
const ASCII = new TextDecoder("latin1");

/** What came is not one whole, sound message of this wire version. */
export class WireError extends Error {}

/** What came is of another wire version. */
export class WireVersionError extends WireError {}

const aligned = (offset) => Math.ceil(offset / PAYLOAD_ALIGNMENT) * PAYLOAD_ALIGNMENT;

/** The topic of a message as it stands in its first bytes, without the session behind "@"; for sorting, unchecked. */
export function topicOf(bytes) {
  return ASCII.decode(bytes.subarray(0, TOPIC_BYTES)).replace(/\0+$/, "").split("@")[0];
}

/**
 * One request as bytes.
 *
 * @param {string} topic
 * @param {object} fields every field and array of the message
 * @returns {Uint8Array}
 */
export function encode(topic, fields) {
  const { values, arrays } = MESSAGES[topic];
  const header = {};
  for (const [name, spec] of Object.entries(values)) header[name] = checked(`${topic}.${name}`, spec, fields[name]);
  const packed = packMap(header);
  const start = aligned(PREFIX_BYTES + packed.length);
  const pieces = [];
  let payloadBytes = 0;
  for (const [name, spec] of Object.entries(arrays)) {
    const array = fields[name];
    const length = shapeOf(spec, header).reduce((a, b) => a * b, 1);
    if (!(array instanceof ARRAY_TYPES[spec.dtype]) || array.length !== length) {
      throw new WireError(`${topic}.${name}: expected ${spec.dtype} of ${length} numbers, got ${array?.length}.`);
    }
    payloadBytes = aligned(payloadBytes);
    pieces.push([payloadBytes, array]);
    payloadBytes += array.byteLength;
  }
  const bytes = new Uint8Array(start + payloadBytes);
  if (bytes.length > schema.MAX_REQUEST_BYTES) {
    throw new WireError(`${topic}: expected at most ${schema.MAX_REQUEST_BYTES} bytes, got ${bytes.length}.`);
  }
  bytes.set(new TextEncoder().encode(topic + schema.MAGIC.padStart(TOPIC_BYTES - topic.length + 4, "\0")));
  const view = new DataView(bytes.buffer);
  view.setUint16(20, WIRE_VERSION, true);
  view.setUint32(24, packed.length, true);
  view.setUint32(28, payloadBytes, true);
  bytes.set(packed, PREFIX_BYTES);
  for (const [offset, array] of pieces) {
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), start + offset);
  }
  return bytes;
}

/**
 * The message that these bytes are: `topic` and its fields; arrays are views of the buffer where that is possible.
 *
 * @param {Uint8Array} bytes
 * @throws {WireVersionError} it is of another wire version
 * @throws {WireError} it is anything else than one whole, sound message
 */
export function decode(bytes) {
  const refuse = (expected, got) => {
    throw new WireError(`message: expected ${expected}, got ${got}.`);
  };
  if (bytes.length < PREFIX_BYTES || bytes.length > schema.MAX_MESSAGE_BYTES) {
    refuse(`${PREFIX_BYTES} to ${schema.MAX_MESSAGE_BYTES} bytes`, bytes.length);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = ASCII.decode(bytes.subarray(TOPIC_BYTES, TOPIC_BYTES + 4));
  if (magic !== schema.MAGIC) refuse(`the magic ${schema.MAGIC}`, JSON.stringify(magic));
  const version = view.getUint16(20, true);
  if (version !== WIRE_VERSION) {
    throw new WireVersionError(
      `wire version: this page speaks ${WIRE_VERSION}, the server ${version}. Install the same gstalker at both ends.`,
    );
  }
  const { topic, sessionId } = splitTopic(bytes, refuse);
  if (view.getUint16(22, true) !== 0) refuse("zero at byte 22", view.getUint16(22, true));
  const headerBytes = view.getUint32(24, true);
  const payloadBytes = view.getUint32(28, true);
  if (headerBytes > schema.MAX_HEADER_BYTES) refuse(`a header of at most ${schema.MAX_HEADER_BYTES}`, headerBytes);
  const headerEnd = PREFIX_BYTES + headerBytes;
  const start = aligned(headerEnd);
  if (start + payloadBytes !== bytes.length) refuse(`${start + payloadBytes} bytes`, bytes.length);
  requireZeros(bytes, headerEnd, start, topic);
  const message = { topic, ...decodeHeader(topic, bytes.subarray(PREFIX_BYTES, headerEnd)) };
  if (sessionId !== null && message.session_id !== sessionId) {
    refuse(`session ${message.session_id} in the topic of ${topic}`, sessionId);
  }
  decodePayload(topic, message, bytes.subarray(start));
  return message;
}

function splitTopic(bytes, refuse) {
  const whole = ASCII.decode(bytes.subarray(0, TOPIC_BYTES)).replace(/\0+$/, "");
  const [topic, session] = whole.split("@");
  const spec = Object.hasOwn(MESSAGES, topic) ? MESSAGES[topic] : null;
  const published = spec?.channel === "publication";
  if (!spec || published !== (session !== undefined) || whole.split("@").length > 2) {
    refuse("a topic of docs/protocol.md", JSON.stringify(whole));
  }
  if (published && !/^(0|[1-9][0-9]{0,4})$/.test(session)) refuse("a session's number in the topic", whole);
  return { topic, sessionId: published ? Number(session) : null };
}

function decodeHeader(topic, packed) {
  let map;
  try {
    map = unpack(packed);
  } catch (error) {
    throw new WireError(`${topic}: expected a msgpack map as header, could not read it (${error.message})`);
  }
  const { values } = MESSAGES[topic];
  const names = Object.keys(values);
  if (!(map instanceof Map) || map.size !== names.length || !names.every((name) => map.has(name))) {
    throw new WireError(`${topic}: expected the fields ${names.join(", ")}.`);
  }
  const header = {};
  for (const name of names) header[name] = checked(`${topic}.${name}`, values[name], map.get(name));
  return header;
}

function decodePayload(topic, message, payload) {
  let end = 0;
  for (const [name, spec] of Object.entries(MESSAGES[topic].arrays)) {
    const Type = ARRAY_TYPES[spec.dtype];
    const length = shapeOf(spec, message).reduce((a, b) => a * b, 1);
    const start = aligned(end);
    if (start + length * Type.BYTES_PER_ELEMENT > payload.length) {
      throw new WireError(`${topic}.${name}: expected ${length} numbers of ${spec.dtype}, the payload is too short.`);
    }
    requireZeros(payload, end, start, topic);
    end = start + length * Type.BYTES_PER_ELEMENT;
    const piece = payload.subarray(start, end);
    const fits = piece.byteOffset % Type.BYTES_PER_ELEMENT === 0;
    const buffer = fits ? piece.buffer : piece.slice().buffer;
    message[name] = new Type(buffer, fits ? piece.byteOffset : 0, length);
    if (Type === Float32Array && !message[name].every(Number.isFinite)) {
      throw new WireError(`${topic}.${name}: expected finite values.`);
    }
  }
  if (end !== payload.length) throw new WireError(`${topic}: expected a payload of ${end}, got ${payload.length}.`);
}

function requireZeros(bytes, start, end, topic) {
  for (let i = start; i < end; i++) {
    if (bytes[i] !== 0) throw new WireError(`${topic}: expected zeros between the parts of the message.`);
  }
}

function shapeOf(spec, values) {
  return spec.shape.map((axis) => (typeof axis === "string" ? values[axis] : axis));
}

/** The value if it is one that its field may hold. */
function checked(what, spec, value) {
  const refuse = (expected) => {
    throw new WireError(`${what}: expected ${expected}, got ${String(JSON.stringify(value)).slice(0, 60)}.`);
  };
  const inRange = (number) => {
    if (typeof number !== "number" || !Number.isFinite(number)) refuse("a finite number");
    if (number < (spec.low ?? -Infinity) || number > (spec.high ?? Infinity)) refuse(`${spec.low} to ${spec.high}`);
  };
  const isText = (text) => {
    if (typeof text !== "string" || [...text].length > spec.max_chars) refuse(`at most ${spec.max_chars} characters`);
    if (/[^\P{C}\n]/u.test(text)) refuse("printable characters and line ends");
  };
  switch (spec.kind) {
    case "uint":
      if (!Number.isInteger(value)) refuse("a whole number");
      inRange(value);
      break;
    case "float":
      inRange(value);
      break;
    case "bool":
      if (typeof value !== "boolean") refuse("true or false");
      break;
    case "text":
      isText(value);
      break;
    case "texts":
      if (!Array.isArray(value) || value.length > spec.count) refuse(`a list of at most ${spec.count} texts`);
      value.forEach(isText);
      break;
    case "floats":
      if (!Array.isArray(value) || value.length !== spec.count) refuse(`a list of ${spec.count} numbers`);
      value.forEach(inRange);
      if (spec.rigid && !isRigid(value)) refuse("the rows of a rigid transform");
      break;
    default:
      throw new Error(`${what}: this page knows no values of kind ${spec.kind}.`);
  }
  return value;
}

function isRigid(rows) {
  const r = [0, 1, 2].map((i) => rows.slice(4 * i, 4 * i + 3));
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j <= i; j++) {
      if (!(Math.abs(dot(r[i], r[j]) - (i === j ? 1 : 0)) <= RIGID_TOLERANCE)) return false;
    }
  }
  const cross = [r[0][1] * r[1][2] - r[0][2] * r[1][1], r[0][2] * r[1][0] - r[0][0] * r[1][2], r[0][0] * r[1][1] - r[0][1] * r[1][0]];
  return dot(cross, r[2]) > 0;
}
