// The visitor's own voice: microphone to server, in pieces of a tenth of a second.

import { pcm16, Utterance } from "./speech_sender.js";

const PIECE_S = 0.1;
const WAITING_PIECES = 20; // sound older than two seconds is dropped: live speech must not fall behind

const REASONS = {
  NotAllowedError: "The microphone was refused. Allow it in the browser's address bar and press the button again.",
  NotFoundError: "No microphone was found.",
  NotReadableError: "The microphone is in use by another program.",
};

export class Microphone {
  constructor(source, sound, say) {
    this._source = source;
    this._sound = sound;
    this._say = say;
    this._stream = null;
    this._button = document.getElementById("microphone");
    this._button.addEventListener("click", () => this.toggle());
    source.addEventListener("state", (event) => {
      if (event.detail.state === "lost") this.off();
    });
  }

  get live() {
    return this._stream !== null;
  }

  toggle() {
    return this.live ? this.off() : this.on();
  }

  async on() {
    if (!navigator.mediaDevices?.getUserMedia) {
      this._say("This browser gives pages no microphone, or only to pages of this machine: open it as 127.0.0.1.");
      return;
    }
    try {
      this._stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: true, noiseSuppression: true, channelCount: 1 },
      });
    } catch (error) {
      this._say(REASONS[error.name] ?? `The microphone could not be opened: ${error.message}`);
      return;
    }
    try {
      this._context = new AudioContext();
      await this._context.audioWorklet.addModule(new URL("microphone_worklet.js", import.meta.url));
      const tap = new AudioWorkletNode(this._context, "microphone-tap", {
        numberOfOutputs: 0,
        processorOptions: { pieceSamples: Math.round(PIECE_S * this._context.sampleRate) },
      });
      this._context.createMediaStreamSource(this._stream).connect(tap);
      this._utterance = await Utterance.open(this._source, this._context.sampleRate);
      this._waiting = [];
      tap.port.onmessage = (event) => this._take(event.data);
    } catch (error) {
      await this.off();
      this._say(error.message);
      return;
    }
    this._sound.setHushed(true);
    this._show(true);
    this._say("The avatar says what the microphone hears; its own sound is off meanwhile.");
  }

  async off() {
    if (!this.live) return;
    for (const track of this._stream.getTracks()) track.stop();
    this._stream = null;
    this._waiting = [];
    await this._context?.close();
    this._sound.setHushed(false);
    this._show(false);
    this._say("");
    await this._utterance?.close().catch(() => {}); // it may have been cut, or the server is gone
    this._utterance = null;
  }

  async _take(samples) {
    this._waiting.push(pcm16(samples));
    if (this._waiting.length > WAITING_PIECES) this._waiting.shift();
    if (this._sending) return;
    this._sending = true;
    try {
      while (this._waiting.length && this.live) await this._utterance.push(this._waiting.shift());
    } catch (error) {
      await this.off();
      this._say(error.message);
    } finally {
      this._sending = false;
    }
  }

  _show(live) {
    this._button.setAttribute("aria-pressed", String(live));
    this._button.textContent = live ? "Microphone is on" : "Microphone";
  }
}
