// One utterance as it grows: its samples at 16 kHz, its features, and how far it has been spoken.

export class Speech {
  constructor(id, rateHz, logMel, front) {
    this.id = id;
    this.frame = 0; // the next video frame
    this.closed = false;
    this._rateHz = rateHz;
    this._logMel = logMel;
    this._front = front;
    this._samples = new Float32Array(0);
    this._source = []; // samples that came at another rate and are not converted yet
    this._position = 0;
    this._received = 0;
    this._mel = new Map();
  }

  get receivedSamples() {
    return this._received;
  }

  /** @param {Int16Array} pcm */
  add(pcm) {
    this._received += pcm.length;
    const step = this._rateHz / this._logMel.sample_rate_hz;
    const source = this._source.concat(Array.from(pcm, (value) => value / 32768));
    const fresh = [];
    let at = this._position;
    // The mean of what a sample at the lower rate stands for; between two where the rate is higher or the same.
    for (; at + step <= source.length; at += step) {
      const [first, last] = [Math.floor(at), Math.max(Math.floor(at) + 1, Math.floor(at + step))];
      let sum = 0;
      for (let i = first; i < last; i++) sum += source[i];
      fresh.push(sum / (last - first));
    }
    const used = Math.floor(at);
    this._source = source.slice(used);
    this._position = at - used;
    const all = new Float32Array(this._samples.length + fresh.length);
    all.set(this._samples);
    all.set(fresh, this._samples.length);
    this._samples = all;
  }

  get frameSamples() {
    return this._logMel.sample_rate_hz / 25;
  }

  get waitingS() {
    return Math.max(0, this._samples.length / this._logMel.sample_rate_hz - this.frame / 25);
  }

  /** Whether the next frame's features are complete. */
  get ready() {
    const { hop_samples: hop, window_samples: window } = this._logMel;
    const lastMel = 4 * this.frame + this._front.right_mel_frames - 1;
    return this.closed || this._samples.length >= hop * lastMel + window / 2;
  }

  get over() {
    return this.closed && this.frame * this.frameSamples >= this._samples.length;
  }

  /** The features around the next frame, mel frames after each other; silence outside of the sound. */
  window() {
    const { left_mel_frames: left, right_mel_frames: right } = this._front;
    const { mel_bands: bands, hop_samples: hop, silence } = this._logMel;
    const count = Math.ceil(this._samples.length / hop);
    const window = new Float32Array((left + right) * bands).fill(silence);
    for (let i = 0; i < left + right; i++) {
      const m = 4 * this.frame - left + i;
      if (m < 0 || m >= count) continue;
      if (!this._mel.has(m)) {
        const features = new Float32Array(bands);
        this._logMel.frame(this._samples, m, features);
        this._mel.set(m, features);
      }
      window.set(this._mel.get(m), i * bands);
    }
    this._mel.delete(4 * this.frame - left);
    return window;
  }

  /** The sound of the next frame, 16 bits; and on to the one after it. */
  take() {
    const first = this.frame * this.frameSamples;
    const piece = this._samples.subarray(first, first + this.frameSamples);
    this.frame++;
    return Int16Array.from(piece, (value) => Math.max(-32768, Math.min(32767, Math.round(32767 * value))));
  }
}
