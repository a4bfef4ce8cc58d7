// What to show now: frames and sound of one source on one clock, in step, with a delay that hides an uneven network.

import { FrameBuffer } from "./frame_buffer.js";
import { SessionClock } from "./session_clock.js";
import { Sound } from "./sound.js";

const SPARE_S = 0.04; // what is to be left of the lead when the latest of the last frames came
const LONGEST_DELAY_S = 0.5;
const MARGINS = 100; // frames

export class Playback {
  /** @param {EventTarget} source a Connection, or what has its face */
  constructor(source) {
    this.clock = new SessionClock();
    this.frames = new FrameBuffer();
    this.sound = new Sound();
    this.rateHz = 16000;
    this._margins = [];
    this._source = source;
    source.clock = this.clock;
    source.addEventListener("welcome", (event) => this._begin(event.detail));
    source.addEventListener("publication", (event) => this._take(event.detail.message, event.detail.bytes));
  }

  /** The presentation time to show now, s on the session's clock; null before the stream begins. */
  presentedS() {
    const streamNowS = this.clock.at(performance.now() / 1000);
    if (streamNowS === null) return null;
    return this.sound.heardS(streamNowS) ?? streamNowS - this.sound.delayS;
  }

  /** The worst of the last frames' margins: how long before its time it came, s. */
  get marginS() {
    return this._margins.length ? Math.min(...this._margins) : null;
  }

  _begin(welcome) {
    this.rateHz = welcome.audio_rate_hz;
    this._moverCount = welcome.mover_count;
    this.clock.reset();
    this.frames.clear();
    this.sound.reset();
    this.sound.delayS = 0;
    this._margins = [];
  }

  _take(message, bytes) {
    const isFrame = message.topic === "frame/q16" || message.topic === "frame/f32";
    if (isFrame && message.mover_count !== this._moverCount) {
      this._source.messagesRefused++;
      console.warn(`refused a ${message.topic}: expected ${this._moverCount} movers, got ${message.mover_count}.`);
      return;
    }
    const pageS = performance.now() / 1000;
    if (message.sent_at_s !== undefined) this.clock.sent(message.sent_at_s, pageS);
    const streamNowS = this.clock.at(pageS);
    if (isFrame) {
      message.bytes = bytes; // as sent, for a comparison
      this.frames.add(message, this.presentedS());
      this._adapt(message.time_s - streamNowS);
    } else if (message.topic === "audio") {
      this.sound.play(message, this.rateHz, streamNowS);
    } else if (message.topic === "speech_end" && message.cut) {
      this.sound.cut(message.time_s);
    }
  }

  /** The jitter buffer: later where frames come too late, sooner again, in silence, where they come early. */
  _adapt(marginS) {
    this._margins.push(marginS);
    if (this._margins.length > MARGINS) this._margins.shift();
    const wanted = Math.min(LONGEST_DELAY_S, Math.max(0, SPARE_S - this.marginS));
    const grows = wanted > this.sound.delayS;
    if (grows || (!this.sound.playing && wanted < this.sound.delayS - 0.05)) this.sound.delayS = wanted;
  }
}
