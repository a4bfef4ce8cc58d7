// Frames that have come and are not shown yet, by their presentation times; late ones are counted, not shown.

const KEPT_S = 2; // before the newest: a page in the background shows none, and must not keep them all

export class FrameBuffer {
  constructor() {
    this.clear();
    this.received = 0;
    this.lost = 0;
    this.late = 0;
    this.superseded = 0;
  }

  clear() {
    this._frames = [];
    this._sequence = null;
  }

  /**
   * @param {{index: number, time_s: number, sequence: number}} frame
   * @param {number | null} nowS what is being presented on the session's clock
   */
  add(frame, nowS) {
    this.received++;
    if (this._sequence !== null && frame.sequence > this._sequence + 1) this.lost += frame.sequence - this._sequence - 1;
    this._sequence = frame.sequence;
    if (nowS !== null && frame.time_s < nowS) this.late++;
    let place = this._frames.length;
    while (place > 0 && this._frames[place - 1].index > frame.index) place--;
    if (place > 0 && this._frames[place - 1].index === frame.index) {
      this._frames[place - 1] = frame; // sent again: it replaces what was sent ahead
      this.superseded++;
    } else {
      this._frames.splice(place, 0, frame);
    }
    while (this._frames[0].time_s < this._frames.at(-1).time_s - KEPT_S) this._frames.shift();
  }

  /** The newest frame that is due, or the first to come where none is; null without frames. */
  at(nowS) {
    const frames = this._frames;
    while (frames.length > 1 && frames[1].time_s <= nowS) frames.shift();
    return frames[0] ?? null;
  }

  /** The frame after one that `at` gave; null where it has not come. */
  after(frame) {
    const next = this._frames[this._frames.indexOf(frame) + 1];
    return next && next.index === frame.index + 1 ? next : null;
  }

  /** The newest that has come. */
  get newest() {
    return this._frames.at(-1) ?? null;
  }

  get waiting() {
    return this._frames.length;
  }
}
