// The picture on the page: the right frame at the right moment, seen by the visitor's camera, as sharp as is affordable.

import { ServedAvatar } from "../avatar/served_avatar.js";
import { OrbitCamera } from "../drawing/orbit_camera.js";
import { fitted } from "../drawing/projection.js";
import { SplatView } from "../drawing/splat_view.js";

const LARGEST_PX = 1280;
const SMALLEST_SHARE = 0.35;
const SLOW_FPS = 14;
const FAST_FPS = 23; // of the 25 that come
const ADAPT_EVERY_MS = 2500;
// Pictures between two frames are drawn where the browser keeps up with its display, and only there.
const SMOOTH_BELOW_MS = 19;
const ROUGH_ABOVE_MS = 26;

export class Stage {
  /** @throws {NoWebGL2} */
  static async create(canvas, playback) {
    return new Stage(await SplatView.create(canvas), playback);
  }

  constructor(view, playback) {
    this.view = view;
    this.avatar = null;
    this.shown = null; // the frame that is on the canvas
    this.frozen = false; // while a picture is being compared
    this.sharpness = 1; // share of the screen's own pixels
    this.fixedSharpness = false;
    this.background = { kind: "plate" };
    this.orbit = new OrbitCamera();
    this.statistics = { drawn: 0, skipped: 0, workMs: [], offsetsMs: [], shown: [] };
    this._playback = playback;
    this._changed = true;
    this._adaptedAt = performance.now();
    this._drawnThen = 0;
    this._turnedAt = performance.now();
    this._turnMs = ROUGH_ABOVE_MS; // between two opportunities to draw, on average
    this.smooth = false;
    this.orbit.attach(view.canvas, () => (this._changed = true));
    new ResizeObserver(() => (this._changed = true)).observe(view.canvas);
    requestAnimationFrame(() => this._turn());
  }

  /** @param {object} welcome */
  show(welcome) {
    this.avatar = new ServedAvatar(welcome);
    this.view.setAvatar(this.avatar.count, welcome.sh_coeffs);
    this.shown = null;
    this.view.canvas.style.aspectRatio = `${welcome.width_px} / ${welcome.height_px}`;
    this._placeBackground();
    this._drawRest();
  }

  /** @param {{kind: "plate"} | {kind: "color", rgb: number[]} | {kind: "picture", rgb, width, height}} background */
  setBackground(background) {
    this.background = background;
    this._placeBackground();
    this.redraw();
  }

  setRules(rules) {
    this.view.setRules(rules);
    this.redraw();
  }

  redraw() {
    this._changed = true;
  }

  /** Draw one frame at a size in px and leave it there until `thaw`; the camera that was used. */
  async freeze(widthPx, heightPx) {
    this.frozen = true;
    this.view.resize(widthPx, heightPx);
    const camera = this._aim();
    // The engine may be some pictures behind in its order: wait until two are the same.
    for (let drawn = 0; drawn < 6; ) {
      this._draw(this.shown);
      const before = this.view.framesDrawn;
      await new Promise(requestAnimationFrame);
      if (this.view.framesDrawn > before && this.view.settled) drawn++;
    }
    return camera;
  }

  thaw() {
    this.frozen = false;
    this._changed = true;
  }

  _turn() {
    requestAnimationFrame(() => this._turn());
    this._measureTurns();
    if (!this.avatar || this.frozen) return;
    const presentedS = this._playback.presentedS();
    const { frames } = this._playback;
    const frame = presentedS === null ? frames.newest : frames.at(presentedS);
    const due = frame && (presentedS === null || frame.time_s <= presentedS) ? frame : this.shown;
    const next = this.smooth && due === frame && presentedS !== null ? frames.after(frame) : null;
    if (!due || (due === this.shown && !next && !this._changed)) {
      if (this._changed) this._drawRest();
      return;
    }
    if (this._changed) this._fit();
    if (due !== this.shown) {
      const passed = this.shown ? due.index - this.shown.index - 1 : 0;
      if (passed > 0 && passed < 1000) this.statistics.skipped += passed;
      if (presentedS !== null) {
        keep(this.statistics.offsetsMs, 1000 * (presentedS - due.time_s));
        keep(this.statistics.shown, { timeS: due.time_s, contextS: this._playback.sound.contextNowS });
      }
      this.statistics.drawn++;
    }
    this._draw(due, next, next ? (presentedS - due.time_s) / (next.time_s - due.time_s) : 0);
    this._adapt();
  }

  _measureTurns() {
    const now = performance.now();
    this._turnMs += 0.02 * (Math.min(200, now - this._turnedAt) - this._turnMs);
    this._turnedAt = now;
    if (this._turnMs < SMOOTH_BELOW_MS) this.smooth = true;
    else if (this._turnMs > ROUGH_ABOVE_MS) this.smooth = false;
  }

  /** Draw a frame, or a moment between it and the next one; before the first there is the backdrop alone. */
  _draw(frame, next = null, weight = 0) {
    const began = performance.now();
    if (frame) this.view.fill(next ? this.avatar.cloudBetween(frame, next, weight) : this.avatar.cloudOf(frame));
    keep(this.statistics.workMs, performance.now() - began);
    this.view.draw();
    this.shown = frame;
    this._changed = false;
  }

  _drawRest() {
    this._fit();
    this._draw(this.shown);
  }

  _fit() {
    const { canvas } = this.view;
    const box = canvas.getBoundingClientRect();
    const scale = this.sharpness * Math.min(window.devicePixelRatio, LARGEST_PX / Math.max(box.width, box.height, 1));
    this.view.resize(Math.max(1, Math.round(scale * box.width)), Math.max(1, Math.round(scale * box.height)));
    this._aim();
  }

  _aim() {
    const { canvas } = this.view;
    const { camera } = this.avatar;
    const { K, picture } = fitted(camera, canvas.width, canvas.height);
    const own = this.orbit.intrinsics(K, canvas.width, canvas.height);
    const pose = this.orbit.pose(camera.cameraFromAvatar);
    this.view.setCamera(own, pose);
    const whole = { left: 0, top: 0, width: canvas.width, height: canvas.height };
    this.view.backdrop.place(this.background.kind === "plate" ? picture : covering(this.background, whole), canvas);
    return { K: own, pose, widthPx: canvas.width, heightPx: canvas.height };
  }

  _placeBackground() {
    if (!this.avatar) return;
    const { backdrop } = this.view;
    const { kind } = this.background;
    if (kind === "color") {
      backdrop.showColor(this.background.rgb);
    } else if (kind === "picture") {
      backdrop.showPicture(this.background.rgb, this.background.width, this.background.height);
    } else {
      const { plate, width_px: width, height_px: height } = this.avatar.welcome;
      backdrop.showPicture(plate, width, height);
    }
  }

  /** Fewer pixels where the machine is too slow for all of them, more again where it is fast. */
  _adapt() {
    const now = performance.now();
    if (this.fixedSharpness || now - this._adaptedAt < ADAPT_EVERY_MS) return;
    const fps = ((this.view.framesDrawn - this._drawnThen) * 1000) / (now - this._adaptedAt);
    this._adaptedAt = now;
    this._drawnThen = this.view.framesDrawn;
    const before = this.sharpness;
    if (fps < SLOW_FPS) this.sharpness = Math.max(SMALLEST_SHARE, 0.75 * before);
    else if (fps > FAST_FPS) this.sharpness = Math.min(1, 1.15 * before);
    if (this.sharpness !== before) this._changed = true;
  }
}

function keep(values, value) {
  values.push(value);
  if (values.length > 200) values.shift();
}

/** Where a picture lies that covers the whole canvas and keeps its shape. */
function covering(picture, whole) {
  if (picture.kind !== "picture") return whole;
  const zoom = Math.max(whole.width / picture.width, whole.height / picture.height);
  const [width, height] = [zoom * picture.width, zoom * picture.height];
  return { left: (whole.width - width) / 2, top: (whole.height - height) / 2, width, height };
}
