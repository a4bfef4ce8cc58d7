// The sound on the Web Audio clock: every piece starts at its presentation time, and the picture follows that clock.

const IDLE_SLACK_S = 0.002;
const PLAYING_SLACK_S = 0.12; // a mapping that is off by less is kept while sound plays: ears hear seams
const HISTORY = 512;

export class Sound {
  constructor() {
    this._context = null;
    this._gain = null;
    this._pieces = []; // what is scheduled: {source, buffer, timeS, fromS, endS}
    this._contextFromStreamS = null;
    this.muted = false;
    this.hushed = false; // while the microphone speaks, lest it hears the avatar
    this.delayS = 0; // later than the session's clock by this much, picture and sound alike: the jitter buffer
    this.scheduled = []; // the last pieces, for statistics and tests
    this.late = 0;
    this.lost = 0;
    this._sequence = null;
  }

  /** Try to be heard; browsers allow it only after a press of a button or key. */
  async wake() {
    if (!this._context) {
      this._context = new AudioContext({ latencyHint: "interactive" });
      this._gain = this._context.createGain();
      this._gain.connect(this._context.destination);
      this._applyGain();
    }
    if (this._context.state === "suspended") {
      await Promise.race([this._context.resume(), new Promise((done) => setTimeout(done, 200))]);
    }
    return this.awake;
  }

  get awake() {
    return this._context?.state === "running";
  }

  setMuted(muted) {
    this.muted = muted;
    this._applyGain();
  }

  setHushed(hushed) {
    this.hushed = hushed;
    this._applyGain();
  }

  /** Forget what was scheduled: another server. */
  reset() {
    this.cut(-Infinity);
    this._contextFromStreamS = null;
    this._sequence = null;
  }

  /**
   * What is heard now, on the session's clock; null where no sound is to be followed.
   *
   * @param {number} streamNowS the session's clock now
   */
  heardS(streamNowS) {
    if (!this.awake || streamNowS === null) return null;
    this._follow(streamNowS);
    return this._contextNowS() - this._contextFromStreamS;
  }

  /** Schedule one `audio` message of `rateHz`. */
  play(message, rateHz, streamNowS) {
    if (this._sequence !== null && message.sequence > this._sequence + 1) this.lost += message.sequence - this._sequence - 1;
    this._sequence = message.sequence;
    if (!this.awake || streamNowS === null) return;
    this._follow(streamNowS);
    const buffer = this._context.createBuffer(1, message.pcm.length, rateHz);
    const samples = buffer.getChannelData(0);
    for (let i = 0; i < samples.length; i++) samples[i] = message.pcm[i] / 32768;
    const when = message.time_s + this._contextFromStreamS;
    const missedS = this._context.currentTime - when;
    if (missedS > 0) this.late++;
    if (missedS >= buffer.duration) return;
    this._schedule(buffer, message.time_s, message.time_s, message.time_s + buffer.duration);
    this.scheduled.push({ timeS: message.time_s, when, speechId: message.speech_id });
    if (this.scheduled.length > HISTORY) this.scheduled.shift();
  }

  /** Nothing of what was scheduled is to be heard after this presentation time. */
  cut(timeS) {
    for (const piece of this._pieces) {
      if (piece.fromS >= timeS) piece.source.stop();
      else if (piece.endS > timeS) piece.source.stop(timeS + this._contextFromStreamS);
      piece.endS = Math.min(piece.endS, timeS);
    }
  }

  /** Have the part of a piece from one presentation time to another heard, less what is over already. */
  _schedule(buffer, timeS, fromS, endS) {
    const startS = Math.max(fromS, this._context.currentTime - this._contextFromStreamS);
    if (startS >= endS) return;
    const source = this._context.createBufferSource();
    source.buffer = buffer;
    source.connect(this._gain);
    source.start(startS + this._contextFromStreamS, startS - timeS, endS - startS);
    const piece = { source, buffer, timeS, fromS, endS };
    this._pieces.push(piece);
    source.onended = () => {
      const place = this._pieces.indexOf(piece);
      if (place >= 0) this._pieces.splice(place, 1);
    };
  }

  /** Where on the audio context's clock a presentation time is heard. */
  contextTimeOf(timeS) {
    return this._contextFromStreamS === null ? null : timeS + this._contextFromStreamS;
  }

  get playing() {
    return this._pieces.length > 0;
  }

  /** Keep the audio context's clock and the session's together: they drift, and delays change. */
  _follow(streamNowS) {
    const wanted = this._contextNowS() - (streamNowS - this.delayS);
    const known = this._contextFromStreamS;
    const slackS = this.playing ? PLAYING_SLACK_S : IDLE_SLACK_S;
    if (known !== null && Math.abs(wanted - known) <= slackS) return;
    this._contextFromStreamS = wanted;
    if (known !== null) this._move(this._contextNowS() - known);
  }

  /** The clock jumped, as after the device stood: what waits to be heard moves with it, or its picture would be gone. */
  _move(heardToS) {
    const pieces = this._pieces;
    this._pieces = [];
    for (const piece of pieces) {
      piece.source.stop();
      this._schedule(piece.buffer, piece.timeS, Math.max(piece.fromS, heardToS), piece.endS);
    }
  }

  /** What leaves the loudspeaker now, on the context's clock; null while there is no sound. */
  get contextNowS() {
    return this.awake ? this._contextNowS() : null;
  }

  _contextNowS() {
    const latencyS = this._context.outputLatency || this._context.baseLatency || 0;
    return this._context.currentTime - Math.min(latencyS, 0.3);
  }

  _applyGain() {
    if (this._gain) this._gain.gain.value = this.muted || this.hushed ? 0 : 1;
  }
}
