// A canvas on which the engine draws one avatar: camera, backdrop, splats.

import * as engine from "../vendor/playcanvas.min.mjs";
import { applyRules, REFERENCE } from "./drawing_rules.js";
import { Backdrop } from "./backdrop.js";
import { FineTarget } from "./fine_target.js";
import { FAR_M, NEAR_M, projectionOfK, worldFromCamera } from "./projection.js";
import { SplatCloud } from "./splat_cloud.js";

export class NoWebGL2 extends Error {}

/** The engine on one canvas. It draws when asked, not by itself. */
export class SplatView {
  /**
   * @param {HTMLCanvasElement} canvas
   * @returns {Promise<SplatView>}
   * @throws {NoWebGL2} the browser or its graphics driver has no WebGL 2
   */
  static async create(canvas) {
    let device;
    try {
      device = await engine.createGraphicsDevice(canvas, {
        deviceTypes: [engine.DEVICETYPE_WEBGL2],
        antialias: false,
        depth: false,
        alpha: false,
        preserveDrawingBuffer: true, // a picture is captured after it was shown
      });
    } catch (error) {
      throw new NoWebGL2(String(error));
    }
    return new SplatView(canvas, device);
  }

  constructor(canvas, device) {
    const options = new engine.AppOptions();
    options.graphicsDevice = device;
    options.componentSystems = [engine.CameraComponentSystem, engine.GSplatComponentSystem];
    const app = new engine.AppBase(canvas);
    app.init(options);
    app.autoRender = false;
    app.start();
    this.canvas = canvas;
    this.rules = "";
    this._app = app;
    this._cloud = null;
    this._settled = false;
    app.systems.gsplat.on("frame:ready", (camera, layer, ready) => (this._settled = ready));
    this._projection = new engine.Mat4();
    this._world = new engine.Mat4();
    this._pose = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];
    this._camera = this._makeCamera();
    this._backdrop = new Backdrop(engine, app, this._camera.camera);
    this._fine = FineTarget.create(engine, app, this._camera.camera);
    this.setRules(REFERENCE);
  }

  /** Which rules the pictures follow from now on: REFERENCE or ENGINE of drawing_rules.js. */
  setRules(rules) {
    applyRules(engine, this._app, rules);
    this.rules = rules;
  }

  /** Show another avatar: N Gaussians with their colours. */
  setAvatar(count, shCoeffs) {
    this._cloud?.destroy();
    this._cloud = new SplatCloud(engine, this._app, count, shCoeffs);
  }

  /** The picture behind the avatar, see Backdrop. */
  get backdrop() {
    return this._backdrop;
  }

  /**
   * @param {number[]} K 9 numbers, px of the canvas
   * @param {ArrayLike<number>} cameraFromAvatar 12 numbers, OpenCV axes
   */
  setCamera(K, cameraFromAvatar) {
    this._projection.set(projectionOfK(K, this.canvas.width, this.canvas.height));
    this._world.set(worldFromCamera(cameraFromAvatar));
    this._pose = cameraFromAvatar;
    this._camera.setPosition(this._world.getTranslation());
    this._camera.setRotation(new engine.Quat().setFromMat4(this._world));
  }

  resize(widthPx, heightPx) {
    if (this.canvas.width === widthPx && this.canvas.height === heightPx) return;
    this._app.graphicsDevice.resizeCanvas(widthPx, heightPx); // the application's own would set the canvas's style, too
    this._fine?.resize(widthPx, heightPx);
  }

  /** Write the splats of the next picture. */
  fill(cloud) {
    this._cloud.fill(cloud, this._pose);
  }

  /** Have the browser draw at its next opportunity. */
  draw() {
    this._app.renderNextFrame = true;
  }

  /** Whether the engine drew its last picture in its final order and format; both come some pictures late. */
  get settled() {
    return this._settled;
  }

  /** How many pictures the engine has drawn. */
  get framesDrawn() {
    return this._app.frame;
  }

  /** The canvas as RGBA bytes, top row first. */
  readPixels() {
    const { width, height } = this.canvas;
    const gl = this._app.graphicsDevice.gl;
    const upsideDown = new Uint8Array(4 * width * height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, upsideDown);
    const rows = new Uint8ClampedArray(upsideDown.length);
    for (let y = 0; y < height; y++) {
      rows.set(upsideDown.subarray(4 * width * (height - 1 - y), 4 * width * (height - y)), 4 * width * y);
    }
    return rows;
  }

  _makeCamera() {
    const entity = new engine.Entity("camera");
    entity.addComponent("camera", {
      nearClip: NEAR_M,
      farClip: FAR_M,
      clearColor: new engine.Color(0, 0, 0, 1),
      toneMapping: engine.TONEMAP_NONE,
      gammaCorrection: engine.GAMMA_SRGB,
    });
    entity.camera.calculateProjection = (matrix) => matrix.copy(this._projection);
    this._app.root.addChild(entity);
    return entity;
  }
}
