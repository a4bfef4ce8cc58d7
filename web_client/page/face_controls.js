// Sliders and buttons for the face, made from the lists that the avatar's own welcome gives.

const BLEND_S = 0.15;
const DEGREES = 180 / Math.PI;
const GAZE_LIMIT_RAD = 0.5;

const element = (id) => document.getElementById(id);

export class FaceControls {
  constructor(source, say) {
    this._source = source;
    this._say = say;
    this._pending = new Map(); // topic -> the newest values that wait for the answer to the last
    element("release-face").addEventListener("click", () => this._releaseFace());
    element("release-head").addEventListener("click", () => this._releaseHead());
    element("idle").addEventListener("change", (event) =>
      this._ask("set_idle", { enabled: event.target.checked, seed: 0 }),
    );
    element("emotion-strength").addEventListener("change", () => this._feel(this._emotion ?? ""));
  }

  /** @param {object} welcome */
  show(welcome) {
    this._controls = welcome.control_names.map((name, i) => {
      const [low, high] = welcome.control_ranges.subarray(2 * i, 2 * i + 2);
      return { name, held: false, slider: slider(words(name), Math.max(0, low), Math.min(1, high), Math.max(0, low)) };
    });
    element("expression-group").hidden = !this._controls.length;
    element("expressions").replaceChildren(...this._controls.map((c) => c.slider.row));
    for (const control of this._controls) {
      control.slider.onchange = () => {
        control.held = true;
        this._sendFace();
      };
    }
    element("emotion-group").hidden = !welcome.emotion_names.length;
    element("emotions").replaceChildren(...["", ...welcome.emotion_names].map((name) => this._chip(name)));
    this._showHead(welcome);
  }

  _chip(name) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name ? words(name) : "none";
    button.dataset.emotion = name;
    button.setAttribute("aria-pressed", String(name === ""));
    button.addEventListener("click", () => this._feel(name));
    return button;
  }

  _feel(name) {
    this._emotion = name;
    for (const chip of element("emotions").children) {
      chip.setAttribute("aria-pressed", String(chip.dataset.emotion === name));
    }
    const strength = Number(element("emotion-strength").value);
    this._ask("set_emotion", { emotion_name: name, strength: name ? strength : 0, blend_s: 0.4 });
  }

  _showHead(welcome) {
    const names = ["Nod", "Turn", "Tilt"];
    this._head = names.map((name, axis) =>
      slider(name, DEGREES * welcome.head_pose_low[axis], DEGREES * welcome.head_pose_high[axis], 0, "°"),
    );
    element("head").replaceChildren(...this._head.map((s) => s.row));
    for (const one of this._head) one.onchange = () => this._sendHead(true);
    const limit = DEGREES * GAZE_LIMIT_RAD;
    this._gaze = ["Eyes left and right", "Eyes up and down"].map((name) => slider(name, -limit, limit, 0, "°"));
    element("gaze").hidden = !welcome.has_gaze;
    element("gaze").replaceChildren(...this._gaze.map((s) => s.row));
    for (const one of this._gaze) one.onchange = () => this._sendGaze(true);
    this._hasGaze = welcome.has_gaze;
  }

  _sendFace() {
    this._ask("set_expression", {
      blend_s: BLEND_S,
      control_count: this._controls.length,
      weights: Float32Array.from(this._controls, (c) => c.slider.value),
      held: Uint8Array.from(this._controls, (c) => (c.held ? 1 : 0)),
    });
  }

  _releaseFace() {
    for (const control of this._controls ?? []) {
      control.held = false;
      control.slider.reset();
    }
    if (this._controls?.length) this._sendFace();
  }

  _sendHead(held) {
    const rotation = this._head.map((s) => (held ? s.value / DEGREES : 0));
    this._ask("set_head_pose", { held, rotation_rad: rotation, translation_m: [0, 0, 0], blend_s: BLEND_S });
  }

  _sendGaze(held) {
    const [yaw, pitch] = this._gaze.map((s) => (held ? s.value / DEGREES : 0));
    this._ask("set_gaze", { held, yaw_rad: yaw, pitch_rad: pitch, blend_s: BLEND_S });
  }

  _releaseHead() {
    for (const one of [...(this._head ?? []), ...(this._gaze ?? [])]) one.reset();
    this._sendHead(false);
    if (this._hasGaze) this._sendGaze(false);
  }

  /** One request of a kind at a time; of what comes meanwhile, the newest. */
  async _ask(topic, fields) {
    const busy = this._pending.has(topic);
    this._pending.set(topic, fields);
    if (busy) return;
    try {
      for (let sent = null; this._pending.get(topic) !== sent; ) {
        sent = this._pending.get(topic);
        const answer = await this._source.request(topic, sent);
        if (answer.topic === "applied") this._say(answer.limited ? answer.detail : "");
      }
    } catch (error) {
      this._say(error.message);
    } finally {
      this._pending.delete(topic);
    }
  }
}

/** "mouthSmileLeft" as words. */
function words(name) {
  const spaced = name.replace(/([a-z])([A-Z])/g, "$1 $2").replaceAll("_", " ").toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

/** A labelled slider with its value in figures. */
function slider(label, low, high, start, unit = "") {
  const row = document.createElement("label");
  row.className = "row";
  const name = document.createElement("span");
  name.textContent = label;
  const input = document.createElement("input");
  Object.assign(input, { type: "range", min: low, max: Math.max(high, low + 1e-3), step: "any", value: start });
  const output = document.createElement("output");
  row.append(name, input, output);
  const shown = {
    row,
    onchange: () => {},
    get value() {
      return Number(input.value);
    },
    reset() {
      input.value = start;
      tell();
    },
  };
  const tell = () => {
    output.textContent = unit ? `${shown.value.toFixed(0)}${unit}` : shown.value.toFixed(2);
  };
  input.addEventListener("input", () => {
    tell();
    shown.onchange();
  });
  tell();
  return shown;
}
