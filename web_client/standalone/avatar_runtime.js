// A bundle's networks in ONNX Runtime Web: speech and controls in, moved Gaussians out (runtime/infer.py).

import { readSafetensors } from "./safetensors.js";

/** Where a bundle lies and what runs it. */
export class AvatarRuntime {
  /**
   * @param {string} base address of the bundle's folder, with a slash at its end
   * @param {object} ort onnxruntime-web
   * @param {object} welcome decoded: the canonical Gaussians
   */
  static async load(base, ort, welcome) {
    const get = async (name) => {
      const answer = await fetch(base + name);
      if (!answer.ok) throw new Error(`${name}: expected a file of the bundle, got ${answer.status}.`);
      return answer.arrayBuffer();
    };
    const manifest = JSON.parse(new TextDecoder().decode(await get("avatar.json")));
    const sessions = {};
    for (const name of ["audio", "deform", "torso"]) {
      sessions[name] = await ort.InferenceSession.create(new Uint8Array(await get(`${name}.onnx`)), {
        executionProviders: ["wasm"],
      });
    }
    return new AvatarRuntime(ort, manifest, sessions, readSafetensors(await get("baked.safetensors")), welcome, get);
  }

  constructor(ort, manifest, sessions, baked, welcome, get) {
    this.manifest = manifest;
    this.baked = baked;
    this._get = get;
    this._ort = ort;
    this._sessions = sessions;
    this._head = manifest.counts.head_movers;
    const movers = this._head + manifest.counts.torso_movers;
    this._means = welcome.means.subarray(0, 3 * movers);
    this._quats = welcome.quats_wxyz.slice(0, 4 * movers);
    this._scales = welcome.scales.subarray(0, 3 * movers);
    this._opacities = welcome.opacities.subarray(0, movers);
    for (let n = 0; n < movers; n++) normalise(this._quats, n);
    this._logits = Float32Array.from(this._opacities, (value) => {
      const opacity = Math.min(1 - 1e-9, Math.max(1e-9, value));
      return Math.log(opacity / (1 - opacity));
    });
    this._constants = {
      first_layer: this._tensor(baked.first_layer),
      gates: this._tensor(baked.gates),
      torso_first_layer: this._tensor(baked.torso_first_layer),
    };
  }

  /** @param {Float32Array} window mel frames after each other */
  async audioCode(window) {
    const { log_mel: config, left_mel_frames: left, right_mel_frames: right } = this.manifest.audio;
    const shape = [1, left + right, config.mel_bands];
    const { audio_code: code } = await this._sessions.audio.run({ mel_window: this._tensor({ data: window, shape }) });
    return code.data;
  }

  async deltas(audioCode, expression) {
    const { deltas } = await this._sessions.deform.run({
      audio_code: this._tensor({ data: audioCode, shape: [1, audioCode.length] }),
      expression: this._tensor({ data: expression, shape: [1, expression.length] }),
      first_layer: this._constants.first_layer,
      gates: this._constants.gates,
    });
    return deltas.data;
  }

  /** @param {number[]} headPose rotation vector (rad) and translation (m) of avatar_from_head */
  async torso(headPose) {
    const { torso_rigid: rigid, torso_deltas: deltas } = await this._sessions.torso.run({
      head_pose: this._tensor({ data: Float32Array.from(headPose), shape: [1, 6] }),
      torso_first_layer: this._constants.torso_first_layer,
    });
    return { rigid: rigid.data, deltas: deltas.data };
  }

  /**
   * One frame.
   *
   * @returns the movers' means, quats_wxyz, scales, opacities in part space, and avatar_from_torso of the head's pose
   */
  async frame(audioCode, expression, headPose) {
    const d = await this.deltas(audioCode, expression);
    const { rigid, deltas: torsoDeltas } = await this.torso(headPose);
    const means = this._means.slice();
    const quats = this._quats.slice();
    const scales = this._scales.slice();
    const opacities = this._opacities.slice();
    for (let n = 0; n < this._head; n++) {
      const at = 11 * n;
      for (let k = 0; k < 3; k++) {
        means[3 * n + k] += d[at + k];
        scales[3 * n + k] *= Math.exp(d[at + 7 + k]);
      }
      for (let k = 0; k < 4; k++) quats[4 * n + k] += d[at + 3 + k];
      normalise(quats, n);
      opacities[n] = 1 / (1 + Math.exp(-(this._logits[n] + d[at + 10])));
    }
    for (let k = 0; k < torsoDeltas.length; k++) means[3 * this._head + k] += torsoDeltas[k];
    return { means, quats_wxyz: quats, scales, opacities, avatar_from_torso: this._torsoPose(rigid) };
  }

  /** The largest difference to the answers that came with the bundle. */
  async goldenError() {
    const [input, output] = await Promise.all(
      ["golden/input.safetensors", "golden/output.safetensors"].map(async (name) => readSafetensors(await this._get(name))),
    );
    let worst = 0;
    const compare = (got, wanted) => got.forEach((value, i) => (worst = Math.max(worst, Math.abs(value - wanted[i]))));
    const row = ({ data, shape }, i) => data.slice((i * data.length) / shape[0], ((i + 1) * data.length) / shape[0]);
    for (let i = 0; i < input.mel_window.shape[0]; i++) {
      const code = await this.audioCode(row(input.mel_window, i));
      compare(code, row(output.audio_code, i));
      compare(await this.deltas(code, row(input.expression, i)), row(output.deltas, i));
      const { rigid, deltas } = await this.torso(row(input.head_pose, i));
      compare(rigid, row(output.torso_rigid, i));
      compare(deltas, row(output.torso_deltas, i));
    }
    return worst;
  }

  _torsoPose([dx, dy, angle]) {
    const [x, y, z] = this.manifest.torso_origin_avatar_m;
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    return [c, -s, 0, x + dx, s, c, 0, y + dy, 0, 0, 1, z];
  }

  _tensor({ data, shape }) {
    return new this._ort.Tensor("float32", data, shape);
  }
}

function normalise(quats, n) {
  const [w, x, y, z] = quats.subarray(4 * n, 4 * n + 4);
  const length = Math.hypot(w, x, y, z);
  for (let k = 0; k < 4; k++) quats[4 * n + k] /= length;
}
