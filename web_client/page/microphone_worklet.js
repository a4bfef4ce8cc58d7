// In the audio thread: hands the microphone's samples on, in pieces of equal length.

class MicrophoneTap extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this._piece = new Float32Array(processorOptions.pieceSamples);
    this._filled = 0;
  }

  process([[channel]]) {
    for (let i = 0; channel && i < channel.length; i++) {
      this._piece[this._filled++] = channel[i];
      if (this._filled === this._piece.length) {
        this.port.postMessage(this._piece.slice());
        this._filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone-tap", MicrophoneTap);
