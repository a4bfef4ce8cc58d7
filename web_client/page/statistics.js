// How it goes: what the page draws and gets, and what the server says of itself.

const EVERY_MS = 1000;

export class Statistics {
  constructor(source, playback, stage) {
    this._source = source;
    this._playback = playback;
    this._stage = stage;
    this._group = document.getElementById("statistics-group");
    this._list = document.getElementById("statistics");
    this._then = { at: performance.now(), drawn: 0, bytes: 0 };
    this._server = null;
    setInterval(() => this._turn(), EVERY_MS);
  }

  /** The figures as of now, by name. */
  figures() {
    const { frames, sound, clock, marginS } = this._playback;
    const { statistics, view } = this._stage;
    return {
      "Pictures a second": figure(this._fps),
      "Picture size": `${view.canvas.width} × ${view.canvas.height}`,
      "Work a picture": `${figure(median(statistics.workMs))} ms decode, sort and fill`,
      "Picture behind sound": `${figure(median(statistics.offsetsMs))} ms, at most ${figure(Math.max(...statistics.offsetsMs, 0))}`,
      "Frames received": `${frames.received}, ${frames.lost} lost, ${frames.late} late, ${statistics.skipped} not shown`,
      "In time by": marginS === null ? "–" : `${figure(1000 * marginS)} ms at worst, ${figure(1000 * sound.delayS)} ms added`,
      Sound: sound.awake ? `${sound.scheduled.length} pieces lately, ${sound.lost} lost, ${sound.late} late` : "off until a button is pressed",
      "Network": `${figure(this._bytesASecond / 1e6)} MB/s, ${this._source.messagesRefused} messages refused`,
      "Way to the server and back": clock.roundTripS === null ? "–" : `${figure(1000 * clock.roundTripS)} ms`,
      ...this._server,
    };
  }

  async _turn() {
    const now = { at: performance.now(), drawn: this._stage.view.framesDrawn, bytes: this._source.bytesReceived };
    const seconds = (now.at - this._then.at) / 1000;
    this._fps = (now.drawn - this._then.drawn) / seconds;
    this._bytesASecond = (now.bytes - this._then.bytes) / seconds;
    this._then = now;
    if (!this._group.open) return;
    this._show();
    try {
      const stats = await this._source.request("get_stats");
      this._server = {
        "Server sends": `${figure(stats.frames_per_second)} frames/s, ${stats.frames_dropped} dropped, ${stats.frames_late} late`,
        "Server computes": `${figure(stats.compute_p50_ms)} ms a frame, ${figure(stats.compute_p99_ms)} at the 99th percentile (${stats.backend})`,
        "Server has": `${stats.clients} clients in ${stats.sessions} sessions`,
      };
    } catch {
      this._server = { Server: "does not answer" };
    }
  }

  _show() {
    const rows = Object.entries(this.figures());
    this._list.replaceChildren(
      ...rows.flatMap(([name, value]) => {
        const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
        dt.textContent = name;
        dd.textContent = value;
        return [dt, dd];
      }),
    );
  }
}

function median(values) {
  return values.length ? values.toSorted((a, b) => a - b)[values.length >> 1] : NaN;
}

function figure(value) {
  if (!Number.isFinite(value)) return "–";
  return Math.abs(value) >= 10 ? value.toFixed(0) : value.toFixed(1);
}
