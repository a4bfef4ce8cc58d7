// A session without a server: one avatar on one clock, answering the requests of the page (docs/protocol.md).

import { poseOfVector, vectorOfPose } from "./head_pose.js";
import { LogMel } from "./log_mel.js";
import { Speech } from "./speech.js";

const LEAD_S = 0.2;
const FPS = 25;
const REST = [0, 0, 0, 0, 0, 0];

export class LocalSession {
  /** @param {(message: object, transfer: ArrayBuffer[]) => void} publish */
  constructor(runtime, tables, publish) {
    this._runtime = runtime;
    this._publish = publish;
    this._front = runtime.manifest.audio;
    this._logMel = new LogMel(tables);
    this._silence = new Float32Array(
      (this._front.left_mel_frames + this._front.right_mel_frames) * this._logMel.mel_bands,
    ).fill(this._logMel.silence);
    this._beganMs = now();
    this._index = 0;
    this._speeches = [];
    this._nextSpeech = 0;
    this._sequences = {};
    this._idle = true;
    this._held = new Map(); // expression index -> value
    this._face = null; // what was shown, for blending
    this._headHeld = null;
    this._head = null;
    this._computeMs = [];
    this._dropped = 0;
    this._sent = 0;
  }

  start() {
    this._turn();
  }

  get streamS() {
    return (now() - this._beganMs) / 1000 - LEAD_S;
  }

  /** The answer to a request; throws {code, message} where it is refused. */
  ask(topic, fields) {
    const answer = {
      ping: () => ({ topic: "pong", client_time_s: fields.client_time_s, stream_time_s: this.streamS, running: true }),
      stop: () => this._cut(),
      open_speech: () => this._open(fields),
      push_speech: () => this._push(fields),
      close_speech: () => this._close(fields),
      set_expression: () => this._hold(fields),
      set_head_pose: () => this._holdHead(fields),
      set_idle: () => ({ topic: "done", ok: (this._idle = fields.enabled) }),
      get_stats: () => this._stats(),
    }[topic];
    if (!answer) throw { code: "not_supported", message: "This page speaks without a server and cannot do that." };
    return answer() ?? { topic: "done" };
  }

  _open({ rate_hz: rateHz, interrupt }) {
    if (interrupt) this._cut();
    const speech = new Speech(this._nextSpeech++, rateHz, this._logMel, this._front);
    this._speeches.push(speech);
    return { topic: "speech_opened", speech_id: speech.id };
  }

  _speech(id) {
    const speech = this._speeches.find((s) => s.id === id && !s.closed);
    if (!speech) throw { code: "unknown_speech", message: "That utterance is not open any more." };
    return speech;
  }

  _push({ speech_id: id, pcm }) {
    const speech = this._speech(id);
    speech.add(pcm);
    return this._state(speech);
  }

  _close({ speech_id: id }) {
    const speech = this._speech(id);
    speech.closed = true;
    return this._state(speech);
  }

  _state(speech) {
    return { topic: "speech_state", speech_id: speech.id, received_s: 0, waiting_s: speech.waitingS };
  }

  _cut() {
    const [speaking] = this._speeches;
    this._speeches = [];
    if (speaking) this._send({ topic: "speech_end", speech_id: speaking.id, time_s: this._index / FPS, cut: true });
  }

  _hold({ weights, held }) {
    this._held = new Map();
    held.forEach((one, i) => one && this._held.set(i, weights[i]));
    return { topic: "applied", limited: false, detail: "" };
  }

  _holdHead({ held, rotation_rad: rotation }) {
    this._headHeld = held ? [...rotation, 0, 0, 0] : null;
    return { topic: "applied", limited: false, detail: "" };
  }

  _stats() {
    const sorted = this._computeMs.toSorted((a, b) => a - b);
    return {
      topic: "stats",
      frames_per_second: FPS,
      frames_dropped: this._dropped,
      frames_late: 0,
      frames_sent: this._sent,
      compute_p50_ms: sorted[sorted.length >> 1] ?? 0,
      compute_p99_ms: sorted.at(-1) ?? 0,
      backend: "ONNX Runtime Web",
      clients: 1,
      sessions: 1,
    };
  }

  async _turn() {
    const waitMs = 1000 * (this._index / FPS - LEAD_S - this.streamS);
    if (waitMs > 0) await new Promise((done) => setTimeout(done, waitMs));
    // Where the machine is too slow for every frame, those whose time has passed are left out; sound never is.
    const late = this.streamS > this._index / FPS;
    await this._step(late);
    this._index++;
    setTimeout(() => this._turn(), 0);
  }

  async _step(late) {
    const timeS = this._index / FPS;
    const [speech] = this._speeches;
    let window = this._silence;
    if (speech?.ready && !speech.over) {
      window = speech.window();
      const pcm = speech.take();
      if (pcm.length) this._send({ topic: "audio", speech_id: speech.id, time_s: timeS, sample_count: pcm.length, pcm });
    }
    if (speech?.over) {
      this._speeches.shift();
      this._send({ topic: "speech_end", speech_id: speech.id, time_s: timeS, cut: false });
    }
    if (late) {
      this._dropped++;
      return;
    }
    const began = now();
    const { expression, head } = this._controls();
    const code = await this._runtime.audioCode(window);
    const frame = await this._runtime.frame(code, expression, head);
    this._computeMs.push(now() - began);
    if (this._computeMs.length > 100) this._computeMs.shift();
    const { means, quats_wxyz, scales, opacities } = frame;
    this._sent++;
    this._send(
      {
        topic: "frame/f32",
        index: this._index,
        time_s: timeS,
        avatar_from_head: poseOfVector(head),
        mover_count: opacities.length,
        ...frame,
      },
      [means, quats_wxyz, scales, opacities].map((a) => a.buffer),
    );
  }

  /** Idle life or rest, what is held on top of it, and a smooth way from one to the other. */
  _controls() {
    const { idle_expression: faces, idle_avatar_from_head: heads } = this._runtime.baked;
    const [count, weights] = faces.shape;
    const period = Math.max(1, 2 * (count - 1));
    const at = Math.min(this._index % period, period - (this._index % period));
    const face = this._idle ? faces.data.slice(at * weights, (at + 1) * weights) : new Float32Array(weights);
    for (const [i, value] of this._held) face[i] = value;
    const idleHead = this._idle ? vectorOfPose(heads.data.subarray(16 * at, 16 * at + 12)) : REST;
    const head = this._headHeld ?? idleHead;
    this._face = approach(this._face ?? face, face);
    this._head = approach(this._head ?? head, head);
    return { expression: Float32Array.from(this._face), head: this._head };
  }

  _send(message, transfer = []) {
    this._sequences[message.topic] = (this._sequences[message.topic] ?? -1) + 1;
    this._publish({ ...message, sequence: this._sequences[message.topic], sent_at_s: this.streamS }, transfer);
  }
}

/** Two fifths of the way each frame: a change is done in about a fifth of a second. */
function approach(from, to) {
  return Array.from(to, (value, i) => from[i] + 0.4 * (value - from[i]));
}

/** Milliseconds on a clock that a page and its workers share. */
function now() {
  return performance.timeOrigin + performance.now();
}
