// Log-mel features of speech, as runtime/audio.py computes them; its tables come with the page.

/**
 * Fills features as samples arrive, each mel frame once.
 *
 * Frame m is the spectrum of samples hop * m - window / 2 to hop * m + window / 2 - 1, zeros outside of the sound.
 */
export class LogMel {
  /** @param {object} tables what `bridge.web.export` writes: config, hann, bins, weights */
  constructor(tables) {
    Object.assign(this, tables.config);
    this._hann = Float64Array.from(tables.hann);
    this._bins = tables.bins;
    this._weights = tables.weights;
    this._fft = new RealFft(this.n_fft);
    this.silence = Math.fround((Math.log(this.power_floor) - this.log_mean) / this.log_std);
  }

  /**
   * @param {Float32Array} samples the sound so far, -1..1
   * @param {number} frame which mel frame
   * @param {Float32Array} out mel_bands numbers
   */
  frame(samples, frame, out) {
    const first = this.hop_samples * frame - this.window_samples / 2;
    const padded = this._fft.input.fill(0);
    for (let i = 0; i < this.window_samples; i++) padded[i] = (samples[first + i] ?? 0) * this._hann[i];
    const power = this._fft.power();
    for (let band = 0; band < this.mel_bands; band++) {
      let sum = 0;
      for (let tap = 0; tap < this._bins[band].length; tap++) sum += power[this._bins[band][tap]] * this._weights[band][tap];
      out[band] = (Math.log(Math.max(sum, this.power_floor)) - this.log_mean) / this.log_std;
    }
  }
}

/** Power spectrum of a real signal whose length is a power of two. */
class RealFft {
  constructor(size) {
    this.input = new Float64Array(size);
    this._real = new Float64Array(size);
    this._imaginary = new Float64Array(size);
    this._power = new Float64Array(size / 2 + 1);
    this._cos = Float64Array.from({ length: size / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / size));
    this._sin = Float64Array.from({ length: size / 2 }, (_, k) => Math.sin((2 * Math.PI * k) / size));
    const bits = Math.log2(size);
    this._place = Uint16Array.from({ length: size }, (_, i) => {
      let reversed = 0;
      for (let b = 0; b < bits; b++) reversed |= ((i >> b) & 1) << (bits - 1 - b);
      return reversed;
    });
  }

  power() {
    const [re, im, size] = [this._real, this._imaginary.fill(0), this.input.length];
    for (let i = 0; i < size; i++) re[this._place[i]] = this.input[i];
    for (let half = 1; half < size; half *= 2) {
      const stride = size / (2 * half);
      for (let start = 0; start < size; start += 2 * half) {
        for (let k = 0; k < half; k++) {
          const [a, b] = [start + k, start + k + half];
          const [c, s] = [this._cos[k * stride], this._sin[k * stride]];
          const real = re[b] * c + im[b] * s;
          const imaginary = im[b] * c - re[b] * s;
          re[b] = re[a] - real;
          im[b] = im[a] - imaginary;
          re[a] += real;
          im[a] += imaginary;
        }
      }
    }
    for (let k = 0; k <= size / 2; k++) this._power[k] = re[k] * re[k] + im[k] * im[k];
    return this._power;
  }
}
