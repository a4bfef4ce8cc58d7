// Choosing what is behind the avatar: its own backdrop, a colour, or a picture that never leaves the machine.

const LARGEST_PX = 2048;

export class Background {
  constructor(stage, say) {
    this._stage = stage;
    this._say = say;
    this._picture = null;
    this._choice = document.getElementById("background");
    this._color = document.getElementById("color");
    this._choice.addEventListener("change", () => this._apply());
    this._color.addEventListener("input", () => this._apply());
    document.getElementById("picture").addEventListener("change", (event) => this._load(event.target.files[0]));
  }

  /** Three numbers in 0..1 where one colour is behind the avatar, otherwise null. */
  get color() {
    if (this._choice.value !== "color") return null;
    return [1, 3, 5].map((at) => parseInt(this._color.value.slice(at, at + 2), 16) / 255);
  }

  _apply() {
    const kind = this._choice.value;
    document.getElementById("color-row").hidden = kind !== "color";
    document.getElementById("picture-row").hidden = kind !== "picture";
    if (kind === "color") this._stage.setBackground({ kind, rgb: this.color });
    else if (kind === "picture" && this._picture) this._stage.setBackground(this._picture);
    else if (kind === "plate") this._stage.setBackground({ kind });
  }

  async _load(file) {
    if (!file) return;
    try {
      const bitmap = await createImageBitmap(file);
      const zoom = Math.min(1, LARGEST_PX / Math.max(bitmap.width, bitmap.height));
      const [width, height] = [Math.round(zoom * bitmap.width), Math.round(zoom * bitmap.height)];
      const context = new OffscreenCanvas(width, height).getContext("2d");
      context.drawImage(bitmap, 0, 0, width, height);
      const rgba = context.getImageData(0, 0, width, height).data;
      const rgb = new Uint8Array(3 * width * height);
      for (let p = 0; p < width * height; p++) rgb.set(rgba.subarray(4 * p, 4 * p + 3), 3 * p);
      this._picture = { kind: "picture", rgb, width, height };
      this._apply();
    } catch {
      this._say(`${file.name} is no picture that this browser can read.`);
    }
  }
}
