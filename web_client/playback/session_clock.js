// The session's clock as this page knows it, and the moment of it that is being presented.

const KEPT = 16; // measurements; the one with the shortest way there and back is the best

/** Seconds of the session's clock from seconds of performance.now(). */
export class SessionClock {
  constructor() {
    this._kept = [];
    this.offsetS = null; // session minus page; null while the session's clock stands or is unknown
  }

  /** Forget everything: another server, another clock. */
  reset() {
    this._kept = [];
    this.offsetS = null;
  }

  /** A ping that left and came back at these page times, s, and what the session's clock said in between. */
  measured(sentAtS, receivedAtS, streamTimeS, running) {
    if (!running) {
      this.reset();
      return;
    }
    const roundTripS = receivedAtS - sentAtS;
    this._kept.push({ roundTripS, offsetS: streamTimeS - (sentAtS + receivedAtS) / 2 });
    if (this._kept.length > KEPT) this._kept.shift();
    this.offsetS = this._kept.reduce((a, b) => (b.roundTripS < a.roundTripS ? b : a)).offsetS;
  }

  /** A message that left when the session's clock said so; a first estimate until a ping has come back. */
  sent(sentAtS, receivedAtS) {
    if (this.offsetS === null) this.offsetS = sentAtS - receivedAtS;
  }

  get roundTripS() {
    return this._kept.length ? Math.min(...this._kept.map((m) => m.roundTripS)) : null;
  }

  /** The session's clock at a page time, s. */
  at(pageS) {
    return this.offsetS === null ? null : pageS + this.offsetS;
  }
}
