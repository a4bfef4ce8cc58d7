// The stand-alone page's source of frames: a worker instead of a server, with the face of wire/connection.js.

import { RequestError } from "../wire/connection.js";

class LocalSource extends EventTarget {
  constructor() {
    super();
    this.canCompare = false;
    this.bytesReceived = 0;
    this.messagesRefused = 0;
    this.clock = null;
    this._waiting = new Map();
    this._nextId = 1;
  }

  start() {
    this._say("connecting", "Loading the avatar…");
    this._worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this._worker.onmessage = ({ data }) => this._take(data);
    this._worker.onerror = () => this._say("lost", "This browser could not start the avatar's networks.");
  }

  close() {
    this._worker?.terminate();
    this._worker = null;
  }

  request(topic, fields = {}) {
    if (!this._worker) return Promise.reject(new RequestError("lost", "The avatar is not loaded."));
    const id = this._nextId++;
    this._worker.postMessage({ id, topic, fields });
    return new Promise((resolve, reject) => this._waiting.set(id, { resolve, reject }));
  }

  _take({ id, answer, refusal, published, welcome, failure }) {
    if (published) {
      this.dispatchEvent(new CustomEvent("publication", { detail: { message: published, bytes: null } }));
    } else if (welcome) {
      this.dispatchEvent(new CustomEvent("welcome", { detail: welcome }));
      this._say("connected", "Speaking without a server");
      setInterval(() => this._measure(), 1000);
    } else if (failure) {
      this.close();
      for (const { reject } of this._waiting.values()) reject(new RequestError("failed", failure));
      this._waiting.clear();
      this._say("lost", `The avatar could not be loaded: ${failure} Serve this folder over HTTP; files alone do not work.`);
    } else if (refusal) {
      this._settle(id)?.reject(new RequestError(refusal.code, refusal.message));
    } else {
      this._settle(id)?.resolve(answer);
    }
  }

  _settle(id) {
    const waiting = this._waiting.get(id);
    this._waiting.delete(id);
    return waiting;
  }

  async _measure() {
    const sentAtS = performance.now() / 1000;
    const pong = await this.request("ping", { client_time_s: sentAtS });
    this.clock?.measured(sentAtS, performance.now() / 1000, pong.stream_time_s, pong.running);
  }

  _say(state, words) {
    this.dispatchEvent(new CustomEvent("state", { detail: { state, words } }));
  }
}

export function makeSource() {
  return new LocalSource();
}
