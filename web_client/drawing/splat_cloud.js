// The engine's splat container, filled anew for every picture: front to back, in the engine's axes.

import { halfBits } from "../avatar/half_float.js";
import { DepthOrder } from "../avatar/depth_order.js";
import { writeSplats } from "./write_splats.js";

const DEGREE_0 = 0.28209479177387814; // spherical harmonics of degree 0 (docs/conventions.md, "Colour")

/** One avatar's splats in the engine. */
export class SplatCloud {
  /**
   * @param {object} engine the engine's module
   * @param {object} app its application
   * @param {number} count N
   * @param {Float32Array} shCoeffs 3 * N, degree 0
   */
  constructor(engine, app, count, shCoeffs) {
    const device = app.graphicsDevice;
    this._container = new engine.GSplatContainer(device, count, engine.GSplatFormat.createDefaultFormat(device));
    // The order is ours: with the same centre for all, the engine's sort, which comes late, keeps what it is given.
    this._container.centers.fill(0);
    this._container.aabb = new engine.BoundingBox(new engine.Vec3(0, 0, 0), new engine.Vec3(1, 1, 1));
    this._container.update(count, true);
    this._entity = new engine.Entity("avatar");
    app.root.addChild(this._entity);
    this._entity.addComponent("gsplat", { resource: this._container });
    this._entity.gsplat.workBufferUpdate = engine.WORKBUFFER_UPDATE_ALWAYS;
    this._count = count;
    this._order = new DepthOrder(count);
    this._colors = Uint16Array.from(shCoeffs, (value) => halfBits(Math.max(0, 0.5 + DEGREE_0 * value)));
  }

  /**
   * Write the splats of one picture.
   *
   * @param {ReturnType<import("../avatar/assemble.js").emptyCloud>} cloud avatar space, OpenCV axes
   * @param {ArrayLike<number>} cameraFromAvatar 12 numbers
   */
  fill(cloud, cameraFromAvatar) {
    const { order, depths } = this._order.sort(cloud.means, this._count, cameraFromAvatar);
    const textures = ["dataCenter", "dataScale", "dataRotation", "dataColor"].map((n) => this._container.getTexture(n));
    const [center, scale, rotation, color] = textures.map((texture) => texture.lock());
    writeSplats(this._count, order, depths, cloud, this._colors, { center, scale, rotation, color });
    for (const texture of textures) texture.unlock();
  }

  destroy() {
    this._entity.destroy();
    this._container.destroy();
  }
}
