// Going round the face: the bundle's own camera, turned about the middle of the head and moved nearer or farther.

import { multiplyPoses } from "../avatar/pose.js";

const LIMITS = { yawRad: 1.2, pitchRad: 0.8, zoom: [0.5, 4] };
const STEP_RAD = 0.08;
const STEP_ZOOM = 1.15;
const RAD_A_PIXEL = 0.006;

export class OrbitCamera {
  constructor() {
    this.reset();
  }

  reset() {
    this.yawRad = 0;
    this.pitchRad = 0;
    this.zoom = 1;
  }

  /** Whether it is the bundle's own camera. */
  get own() {
    return this.yawRad === 0 && this.pitchRad === 0 && this.zoom === 1;
  }

  /** @param {ArrayLike<number>} cameraFromAvatar 12 numbers, of the bundle; the avatar's origin is the head's middle */
  pose(cameraFromAvatar) {
    const [cy, sy] = [Math.cos(this.yawRad), Math.sin(this.yawRad)];
    const [cp, sp] = [Math.cos(this.pitchRad), Math.sin(this.pitchRad)];
    const yaw = [cy, 0, sy, 0, 0, 1, 0, 0, -sy, 0, cy, 0];
    const pitch = [1, 0, 0, 0, 0, cp, -sp, 0, 0, sp, cp, 0];
    return multiplyPoses(cameraFromAvatar, multiplyPoses(pitch, yaw));
  }

  /** Intrinsics with the zoom about the middle of the picture. */
  intrinsics(K, widthPx, heightPx) {
    const [fx, , cx, , fy, cy] = K;
    const z = this.zoom;
    return [z * fx, 0, z * (cx - widthPx / 2) + widthPx / 2, 0, z * fy, z * (cy - heightPx / 2) + heightPx / 2, 0, 0, 1];
  }

  turn(yawRad, pitchRad) {
    const clamp = (value, limit) => Math.min(limit, Math.max(-limit, value));
    this.yawRad = clamp(this.yawRad + yawRad, LIMITS.yawRad);
    this.pitchRad = clamp(this.pitchRad + pitchRad, LIMITS.pitchRad);
  }

  enlarge(factor) {
    this.zoom = Math.min(LIMITS.zoom[1], Math.max(LIMITS.zoom[0], this.zoom * factor));
  }

  /** Follow pointers, wheel and keys of an element. */
  attach(element, changed) {
    const pointers = new Map();
    const spread = () => {
      const [a, b] = [...pointers.values()];
      return Math.hypot(a.x - b.x, a.y - b.y);
    };
    element.addEventListener("pointerdown", (event) => {
      element.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    });
    element.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const spreadBefore = pointers.size === 2 ? spread() : 0;
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (pointers.size === 2) this.enlarge(spread() / Math.max(1, spreadBefore));
      else this.turn(RAD_A_PIXEL * (event.clientX - before.x), -RAD_A_PIXEL * (event.clientY - before.y));
      changed();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      element.addEventListener(end, (event) => pointers.delete(event.pointerId));
    }
    element.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.enlarge(Math.exp(-0.0015 * event.deltaY));
        changed();
      },
      { passive: false },
    );
    element.addEventListener("dblclick", () => {
      this.reset();
      changed();
    });
    const keys = {
      ArrowLeft: () => this.turn(-STEP_RAD, 0),
      ArrowRight: () => this.turn(STEP_RAD, 0),
      ArrowUp: () => this.turn(0, STEP_RAD),
      ArrowDown: () => this.turn(0, -STEP_RAD),
      "+": () => this.enlarge(STEP_ZOOM),
      "-": () => this.enlarge(1 / STEP_ZOOM),
      0: () => this.reset(),
    };
    element.addEventListener("keydown", (event) => {
      if (!Object.hasOwn(keys, event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
      changed();
    });
  }
}
