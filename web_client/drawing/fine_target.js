// Splats are blended in half floats and copied to the canvas: dozens of layers of 8 bits each would leave their grain.

const VERTEX = `
attribute vec3 vertex_position;
varying vec2 vUv;
void main(void) {
  vUv = vertex_position.xy * 0.5 + 0.5;
  gl_Position = vec4(vertex_position.xy, 0.5, 1.0);
}`;
const FRAGMENT = `
uniform highp sampler2D uPicture;
varying vec2 vUv;
void main(void) {
  gl_FragColor = vec4(texture2D(uPicture, vUv).rgb, 1.0);
}`;

/** Where a camera draws before the canvas gets the picture. */
export class FineTarget {
  /** One for this camera; null where the device cannot draw half floats, and the camera draws on the canvas itself. */
  static create(engine, app, camera) {
    const device = app.graphicsDevice;
    return device.textureHalfFloatRenderable ? new FineTarget(engine, app, camera) : null;
  }

  constructor(engine, app, camera) {
    const device = app.graphicsDevice;
    this._texture = new engine.Texture(device, {
      name: "fine picture",
      width: device.width,
      height: device.height,
      format: engine.PIXELFORMAT_RGBA16F,
      mipmaps: false,
      minFilter: engine.FILTER_NEAREST,
      magFilter: engine.FILTER_NEAREST,
      addressU: engine.ADDRESS_CLAMP_TO_EDGE,
      addressV: engine.ADDRESS_CLAMP_TO_EDGE,
    });
    this._target = new engine.RenderTarget({ name: "fine", colorBuffer: this._texture, depth: false });
    camera.renderTarget = this._target;

    const layer = new engine.Layer({ name: "to canvas" });
    app.scene.layers.push(layer);
    const material = new engine.ShaderMaterial({
      uniqueName: "ToCanvas",
      vertexGLSL: VERTEX,
      fragmentGLSL: FRAGMENT,
      attributes: { vertex_position: engine.SEMANTIC_POSITION },
    });
    material.depthTest = false;
    material.depthWrite = false;
    material.cull = engine.CULLFACE_NONE;
    material.setParameter("uPicture", this._texture);
    material.update();
    const mesh = new engine.Mesh(device);
    mesh.setPositions([-1, -1, 0, 3, -1, 0, -1, 3, 0]);
    mesh.setIndices([0, 1, 2]);
    mesh.update();
    const instance = new engine.MeshInstance(mesh, material, new engine.Entity("to canvas"));
    instance.cull = false;
    layer.addMeshInstances([instance]);
    const copier = new engine.Entity("copier");
    copier.addComponent("camera", { layers: [layer.id], priority: camera.priority + 1, clearColorBuffer: false });
    app.root.addChild(copier);
  }

  resize(widthPx, heightPx) {
    this._target.resize(widthPx, heightPx);
  }
}
