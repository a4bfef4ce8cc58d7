// The picture on the canvas against the reference renderer's, drawn by the page's server from the same frame as sent.

const PIECE_BYTES = 128 * 1024;
const TIMES = 16;

const element = (id) => document.getElementById(id);

export class Comparison {
  constructor(stage, background, source, say) {
    this._stage = stage;
    this._background = background;
    this._say = say;
    this._available = source.canCompare !== false;
    this.result = null;
    element("compare").addEventListener("click", () => this.run());
  }

  show() {
    element("compare").disabled = !this._available;
    element("compare").title = this._available ? "" : "Only a page that gstalker serves can be compared.";
  }

  async run() {
    const stage = this._stage;
    if (!this._available || this._running || !stage.shown) return;
    if (stage.background.kind === "picture") {
      this._say("A picture of yours is behind the avatar: choose a colour or its own backdrop to compare.");
      return;
    }
    this._running = true;
    element("drawing-group").open = true;
    element("comparison").hidden = false;
    element("comparison-words").textContent = "The reference is drawing…";
    try {
      const own = stage.avatar.camera;
      const frame = stage.shown;
      const camera = await stage.freeze(own.widthPx, own.heightPx);
      const rgba = stage.view.readPixels();
      stage.thaw();
      // The avatar's own backdrop lies behind its own camera alone.
      const header = {
        camera: { viewmat: [...camera.pose], K: camera.K, width_px: camera.widthPx, height_px: camera.heightPx },
        background_rgb: this._background.color ?? [],
        rules: stage.view.rules,
        frame_bytes: frame.bytes.length,
        rgb_bytes: (rgba.length / 4) * 3,
      };
      const { figures, reference } = await compare(header, frame.bytes, rgbOf(rgba));
      this._show(rgba, reference, camera);
      this.result = figures;
      const kept = [figures.verdict, figures.folder && `Kept in ${figures.folder}.`].filter(Boolean).join(" ");
      element("comparison-words").textContent =
        `${figures.whole_db.toFixed(1)} dB, ${figures.inside_db.toFixed(1)} dB inside the silhouette; ` +
        `${(100 * figures.off_by_2_share).toFixed(2)} % of pixels off by more than 2/255, the worst by ` +
        `${figures.worst_off}/255; drawn by ${figures.rules_name}. ${kept}`;
    } catch (error) {
      stage.thaw();
      element("comparison-words").textContent = error.message;
    } finally {
      this._running = false;
    }
  }

  _show(engine, reference, { widthPx, heightPx }) {
    const difference = new Uint8ClampedArray(engine.length);
    const shown = new Uint8ClampedArray(engine.length);
    for (let p = 0; p < engine.length / 4; p++) {
      for (let c = 0; c < 3; c++) {
        shown[4 * p + c] = reference[3 * p + c];
        difference[4 * p + c] = TIMES * Math.abs(engine[4 * p + c] - reference[3 * p + c]);
      }
      shown[4 * p + 3] = difference[4 * p + 3] = 255;
    }
    const pictures = { "engine-picture": engine, "reference-picture": shown, "difference-picture": difference };
    for (const [id, pixels] of Object.entries(pictures)) {
      const canvas = element(id);
      [canvas.width, canvas.height] = [widthPx, heightPx];
      canvas.getContext("2d").putImageData(new ImageData(pixels, widthPx, heightPx), 0, 0);
    }
  }
}

function rgbOf(rgba) {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let p = 0; p < rgba.length / 4; p++) rgb.set(rgba.subarray(4 * p, 4 * p + 3), 3 * p);
  return rgb;
}

/** Hand a capture over: a header as JSON, then the frame and the picture in pieces; back come figures and a picture. */
function compare(header, frame, rgb) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/compare`);
    socket.binaryType = "arraybuffer";
    let figures = null;
    const pieces = [];
    socket.onopen = () => {
      socket.send(JSON.stringify(header));
      for (const bytes of [frame, rgb]) {
        for (let at = 0; at < bytes.length; at += PIECE_BYTES) socket.send(bytes.subarray(at, at + PIECE_BYTES));
      }
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") figures = JSON.parse(data);
      else pieces.push(new Uint8Array(data));
      if (figures?.error) reject(new Error(figures.error));
    };
    socket.onclose = () => {
      if (!figures || !pieces.length) reject(new Error("The comparison did not come to its end; see the server's log."));
      else resolve({ figures, reference: pieces[0] });
    };
  });
}
