// Pushes sound to the server as one utterance, in pieces, no faster than it is spoken.

import { RequestError } from "../wire/connection.js";

const PIECE_S = 0.2;
const ENOUGH_WAITING_S = 2;

/** One utterance. Push 16-bit mono pieces in order, then close. */
export class Utterance {
  static async open(source, rateHz) {
    const { speech_id: id } = await source.request("open_speech", {
      rate_hz: rateHz,
      channel_count: 1,
      interrupt: true,
    });
    return new Utterance(source, rateHz, id);
  }

  constructor(source, rateHz, id) {
    this._source = source;
    this._rateHz = rateHz;
    this.id = id;
    this._sent = 0;
  }

  /** @param {Int16Array} pcm at most a second; resolves when the server has it, and has room for more */
  async push(pcm) {
    const fields = {
      speech_id: this.id,
      first_sample: this._sent,
      sample_count: pcm.length,
      channel_count: 1,
      pcm,
    };
    for (;;) {
      try {
        const state = await this._source.request("push_speech", fields);
        this._sent += pcm.length;
        return state;
      } catch (error) {
        if (!(error instanceof RequestError) || !["too_fast", "speech_full", "busy"].includes(error.code)) throw error;
        await new Promise((done) => setTimeout(done, 1000 * Math.max(0.05, error.retryAfterS)));
      }
    }
  }

  close() {
    return this._source.request("close_speech", { speech_id: this.id });
  }

  /** A whole recording, as fast as the server wants it; stops early when `stopped()`. */
  async pushAll(pcm, stopped) {
    const piece = Math.round(PIECE_S * this._rateHz);
    for (let first = 0; first < pcm.length && !stopped(); first += piece) {
      const { waiting_s: waitingS } = await this.push(pcm.slice(first, first + piece));
      if (waitingS > ENOUGH_WAITING_S) await new Promise((done) => setTimeout(done, 1000 * (waitingS - ENOUGH_WAITING_S)));
    }
    if (!stopped()) await this.close();
  }
}

/** Samples in -1..1 as 16 bits. */
export function pcm16(samples) {
  return Int16Array.from(samples, (value) => Math.max(-32768, Math.min(32767, Math.round(32767 * value))));
}
