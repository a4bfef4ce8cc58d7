// A served avatar as the page knows it: what the welcome said, and how its frames become clouds.

import { assemble, emptyCloud } from "./assemble.js";
import { interpolateMovers, interpolatePose } from "./interpolate.js";
import { decodingOf, unpackMovers } from "./quantise.js";
import { WireError } from "../wire/codec.js";

export class ServedAvatar {
  /** @param {object} welcome as decoded; @throws {WireError} its parts contradict each other */
  constructor(welcome) {
    const count = welcome.gaussian_count;
    if (welcome.mover_count > count) {
      throw new WireError(`welcome.mover_count: expected at most ${count}, got ${welcome.mover_count}.`);
    }
    if (!welcome.part_ids.every((id) => id <= 1)) throw new WireError("welcome.part_ids: expected 0 or 1.");
    this.welcome = welcome;
    this.count = count;
    this.moverCount = welcome.mover_count;
    this.fps = welcome.fps;
    this.camera = {
      cameraFromAvatar: welcome.camera_from_avatar,
      K: welcome.K,
      widthPx: welcome.width_px,
      heightPx: welcome.height_px,
    };
    this._decoding = decodingOf({
      positionMinM: welcome.box_position_min_m,
      positionMaxM: welcome.box_position_max_m,
      logScaleMin: welcome.box_log_scale_min,
      logScaleMax: welcome.box_log_scale_max,
    });
    this._inParts = {
      count,
      means: welcome.means.slice(),
      quatsWxyz: welcome.quats_wxyz.slice(),
      scales: welcome.scales.slice(),
      opacities: welcome.opacities.slice(),
    };
    // The two frames that a picture lies between, each decoded once.
    this._decoded = [0, 1].map(() => ({ frame: null, movers: emptyCloud(this.moverCount) }));
    // Sizes and opacities are the same in both spaces, so both clouds share them.
    const { means, quatsWxyz } = emptyCloud(count);
    this.cloud = { ...this._inParts, means, quatsWxyz };
  }

  /**
   * Decode a frame and put it into avatar space.
   *
   * @param {object} frame frame/q16 or frame/f32 as decoded
   * @returns the cloud, overwritten by the next call
   * @throws {WireError} another number of movers than the welcome said
   */
  cloudOf(frame) {
    this._decode(frame, this._inParts);
    return this._assembled([frame.avatar_from_head, frame.avatar_from_torso]);
  }

  /**
   * The same between two frames.
   *
   * @param {number} weight 0 for the earlier, 1 for the later
   */
  cloudBetween(earlier, later, weight) {
    const [a, b] = [this._moversOf(earlier, later), this._moversOf(later, earlier)];
    interpolateMovers(a, b, weight, this.moverCount, this._inParts);
    return this._assembled([
      interpolatePose(earlier.avatar_from_head, later.avatar_from_head, weight),
      interpolatePose(earlier.avatar_from_torso, later.avatar_from_torso, weight),
    ]);
  }

  /** A frame's movers, decoded at most once while it is one of two; `other` is not to be overwritten. */
  _moversOf(frame, other) {
    let slot = this._decoded.find((s) => s.frame === frame);
    if (!slot) {
      slot = this._decoded.find((s) => s.frame !== other);
      this._decode(frame, slot.movers);
      slot.frame = frame;
    }
    return slot.movers;
  }

  _decode(frame, into) {
    if (frame.mover_count !== this.moverCount) {
      throw new WireError(`${frame.topic}.mover_count: expected ${this.moverCount}, got ${frame.mover_count}.`);
    }
    if (frame.movers) {
      unpackMovers(frame.movers, this._decoding, into);
    } else {
      into.means.set(frame.means);
      into.quatsWxyz.set(frame.quats_wxyz);
      into.scales.set(frame.scales);
      into.opacities.set(frame.opacities);
    }
  }

  _assembled(poses) {
    assemble(this._inParts, this.welcome.part_ids, poses, this.cloud);
    return this.cloud;
  }
}
