// What is behind the avatar: one colour, or a picture that lies where the bundle's own camera saw it.

const VERTEX = `
attribute vec3 vertex_position;
uniform vec4 uPlace;
varying vec2 vUv;
void main(void) {
  vUv = vertex_position.xy * 0.5 + 0.5;
  gl_Position = vec4(uPlace.xy + uPlace.zw * vertex_position.xy, 0.9999, 1.0);
}`;
const FRAGMENT = `
uniform sampler2D uPicture;
varying vec2 vUv;
void main(void) {
  gl_FragColor = vec4(texture2D(uPicture, vec2(vUv.x, 1.0 - vUv.y)).rgb, 1.0);
}`;

/** The backdrop of a view. Colours are 0..1 in display space. */
export class Backdrop {
  constructor(engine, app, camera) {
    this._engine = engine;
    this._app = app;
    this._camera = camera;
    this._texture = null;
    this._material = new engine.ShaderMaterial({
      uniqueName: "Backdrop",
      vertexGLSL: VERTEX,
      fragmentGLSL: FRAGMENT,
      attributes: { vertex_position: engine.SEMANTIC_POSITION },
    });
    this._material.depthTest = false;
    this._material.depthWrite = false;
    this._material.cull = engine.CULLFACE_NONE;
    const mesh = new engine.Mesh(app.graphicsDevice);
    mesh.setPositions([-1, -1, 0, 1, -1, 0, -1, 1, 0, 1, 1, 0]);
    mesh.setIndices([0, 1, 2, 2, 1, 3]);
    mesh.update();
    const instance = new engine.MeshInstance(mesh, this._material, new engine.Entity("backdrop"));
    instance.cull = false;
    instance.visible = false;
    this._instance = instance;
    // Opaque before transparent: the splats, which are transparent, come after.
    app.scene.layers.getLayerById(engine.LAYERID_WORLD).addMeshInstances([instance]);
  }

  /** @param {[number, number, number]} rgb */
  showColor(rgb) {
    this._instance.visible = false;
    this._camera.clearColor = new this._engine.Color(rgb[0], rgb[1], rgb[2], 1);
  }

  /**
   * @param {Uint8Array} rgb 3 * width * height, top row first
   * @param {{left: number, top: number, width: number, height: number}} place px of a canvas, from its top left
   */
  showPicture(rgb, widthPx, heightPx) {
    const engine = this._engine;
    this._texture?.destroy();
    const rgba = new Uint8Array(4 * widthPx * heightPx).fill(255);
    for (let p = 0; p < widthPx * heightPx; p++) rgba.set(rgb.subarray(3 * p, 3 * p + 3), 4 * p);
    this._texture = new engine.Texture(this._app.graphicsDevice, {
      name: "backdrop",
      width: widthPx,
      height: heightPx,
      format: engine.PIXELFORMAT_RGBA8,
      mipmaps: false,
      addressU: engine.ADDRESS_CLAMP_TO_EDGE,
      addressV: engine.ADDRESS_CLAMP_TO_EDGE,
      levels: [rgba],
    });
    this._material.setParameter("uPicture", this._texture);
    this._material.update();
    this._instance.visible = true;
  }

  /** Where the picture lies, in px from the canvas's top left. */
  place(place, canvas) {
    const middle = [
      ((2 * place.left + place.width) / canvas.width) - 1,
      1 - (2 * place.top + place.height) / canvas.height,
    ];
    this._material.setParameter("uPlace", [
      ...middle,
      place.width / canvas.width,
      place.height / canvas.height,
    ]);
  }
}
