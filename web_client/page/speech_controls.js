// Play, stop, a file of one's own, mute.

import { pcm16, Utterance } from "./speech_sender.js";

const FILE_RATE_HZ = 16000;
const LONGEST_FILE_S = 600;

const element = (id) => document.getElementById(id);

export class SpeechControls {
  constructor(source, sound, microphone, say) {
    this._source = source;
    this._sound = sound;
    this._microphone = microphone;
    this._say = say;
    this._file = 0; // number of the file that is being spoken: another one or a stop ends it
    this.speaking = false;
    element("play").addEventListener("click", () => this.play());
    element("stop").addEventListener("click", () => this.stop());
    element("mute").addEventListener("click", () => this.toggleMute());
    element("file").addEventListener("change", (event) => {
      const [file] = event.target.files;
      event.target.value = "";
      if (file) this.speakFile(file);
    });
  }

  show(welcome) {
    this._canPlay = welcome.can_play;
    element("play").disabled = !welcome.can_play;
    element("play").title = welcome.can_play ? "" : "The server has no sound of its own: speak a file.";
    element("stop").disabled = false;
  }

  /** Keep the buttons true to what is published. */
  follow(message) {
    if (message.topic === "audio") this.speaking = true;
    else if (message.topic === "speech_end") this.speaking = false;
  }

  toggle() {
    if (this.speaking) this.stop();
    else if (this._canPlay) this.play();
  }

  async play() {
    this._file++;
    await this._sound.wake();
    await this._ask("play");
  }

  async stop() {
    this._file++;
    await this._microphone.off();
    await this._ask("stop");
  }

  toggleMute() {
    this._sound.setMuted(!this._sound.muted);
    element("mute").setAttribute("aria-pressed", String(this._sound.muted));
  }

  /** @param {Blob & {name?: string}} file any sound that the browser can read */
  async speakFile(file) {
    const number = ++this._file;
    await this._microphone.off();
    await this._sound.wake();
    const name = file.name ?? "The file";
    let pcm;
    try {
      const decoder = new OfflineAudioContext(1, 1, FILE_RATE_HZ);
      const decoded = await decoder.decodeAudioData(await file.arrayBuffer());
      if (decoded.duration > LONGEST_FILE_S) throw new RangeError(`${name} is longer than ${LONGEST_FILE_S / 60} minutes.`);
      pcm = pcm16(mono(decoded));
    } catch (error) {
      this._say(error instanceof RangeError ? error.message : `${name} is no sound that this browser can read.`);
      return;
    }
    this._say(`Speaking ${name}`);
    try {
      const utterance = await Utterance.open(this._source, FILE_RATE_HZ);
      await utterance.pushAll(pcm, () => number !== this._file);
      if (number === this._file) this._say("");
    } catch (error) {
      if (number === this._file) this._say(error.message);
    }
  }

  async _ask(topic) {
    try {
      await this._source.request(topic);
      this._say("");
    } catch (error) {
      this._say(error.message);
    }
  }
}

function mono(buffer) {
  const sum = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let i = 0; i < sum.length; i++) sum[i] += samples[i] / buffer.numberOfChannels;
  }
  return sum;
}
