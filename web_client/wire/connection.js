// The page's line to an avatar server: messages over a WebSocket, requests with answers, back by itself when lost.

import { decode, encode, topicOf, WireVersionError } from "./codec.js";

const ANSWER_TIMEOUT_MS = 5000;
const PING_EVERY_MS = 1000;
const SILENCE_MS = 2500; // frames come every 40 ms, and a pong every second
const RETRY_MS = [300, 4000];

/** A request was answered by a refusal, or not at all. */
export class RequestError extends Error {
  constructor(code, reason, retryAfterS = 0) {
    super(reason);
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

/**
 * Where frames and sound come from: a server. `standalone/local_server.js` has the same face and no server.
 *
 * Events, each a CustomEvent whose `detail` is named here:
 * - "state": {state: "connecting" | "connected" | "lost", words}
 * - "welcome": the welcome, decoded
 * - "publication": {message, bytes}, message decoded, bytes as sent
 */
export class Connection extends EventTarget {
  constructor(url) {
    super();
    this.bytesReceived = 0;
    this.messagesRefused = 0;
    this.clock = null; // the best measurement of the session's clock, see SessionClock
    this._url = url;
    this._requests = new Map();
    this._nextId = 1;
    this._socket = null;
    this._retryMs = RETRY_MS[0];
    this._closed = false;
  }

  start() {
    this._say("connecting", "Connecting to the avatar server…");
    this._open();
  }

  close() {
    this._closed = true;
    clearTimeout(this._retry);
    this._socket?.close();
  }

  /**
   * Ask the server for something.
   *
   * @param {string} topic
   * @param {object} fields without request_id
   * @returns {Promise<object>} the answer
   * @throws {RequestError} it was refused, or not answered
   */
  request(topic, fields = {}) {
    const socket = this._socket;
    if (socket?.readyState !== WebSocket.OPEN) {
      return Promise.reject(new RequestError("lost", "The avatar server is not connected."));
    }
    const id = this._nextId++;
    socket.send(encode(topic, { request_id: id, ...fields }));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this._requests.delete(id);
        reject(new RequestError("silence", `The avatar server did not answer ${topic}.`));
      }, ANSWER_TIMEOUT_MS);
      this._requests.set(id, { resolve, reject, timer });
    });
  }

  _open() {
    const socket = new WebSocket(this._url);
    socket.binaryType = "arraybuffer";
    this._socket = socket;
    this._welcomed = false;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this._heardAt = performance.now();
      this._greet();
      this._watch = setInterval(() => this._check(), PING_EVERY_MS);
    };
    socket.onmessage = (event) => this._take(event.data);
    socket.onclose = (event) => {
      clearInterval(this._watch);
      for (const { reject, timer } of this._requests.values()) {
        clearTimeout(timer);
        reject(new RequestError("lost", "The avatar server was lost."));
      }
      this._requests.clear();
      if (this._closed || socket !== this._socket) return;
      const gone = "The page's own server is gone: start gstalker again. This page comes back by itself.";
      this._lose(opened ? event.reason || this._why || "The connection was lost. Trying again…" : gone);
      this._why = "";
    };
  }

  _greet() {
    this.request("hello", { client_name: "browser", avatar_name: "", session_id: 0, private: false }).catch((error) => {
      if (error.code === "lost") return;
      this._hangUp(
        error.code === "silence"
          ? "The avatar server does not answer: start gstalker serve. This page comes back by itself."
          : `The avatar server does not take this page: ${error.message}`,
      );
    });
  }

  _check() {
    if (this._welcomed && performance.now() - this._heardAt > SILENCE_MS) {
      this._hangUp("The avatar server has fallen silent. This page comes back when it does.");
      return;
    }
    if (!this._welcomed) return;
    const sentAtS = performance.now() / 1000;
    this.request("ping", { client_time_s: sentAtS }).then(
      (pong) => this.clock?.measured(sentAtS, performance.now() / 1000, pong.stream_time_s, pong.running),
      (error) => {
        if (error.code === "greet_first") this._hangUp("The avatar server was started again.");
      },
    );
  }

  _take(data) {
    const bytes = new Uint8Array(data);
    this.bytesReceived += bytes.length;
    this._heardAt = performance.now();
    let message;
    try {
      message = decode(bytes);
    } catch (error) {
      this.messagesRefused++;
      console.warn(`refused a ${topicOf(bytes)}: ${error.message}`);
      if (error instanceof WireVersionError) this._hangUp(error.message);
      return;
    }
    if (message.request_id === undefined) {
      this.dispatchEvent(new CustomEvent("publication", { detail: { message, bytes } }));
      if (message.topic === "stream_end") this._hangUp("The avatar server has ended. This page comes back when it does.");
      return;
    }
    if (message.topic === "welcome") this._welcome(message);
    const waiting = this._requests.get(message.request_id);
    if (!waiting) return;
    this._requests.delete(message.request_id);
    clearTimeout(waiting.timer);
    if (message.topic === "refusal") {
      waiting.reject(new RequestError(message.code, message.reason, message.retry_after_s));
    } else {
      waiting.resolve(message);
    }
  }

  _welcome(message) {
    this._welcomed = true;
    this._retryMs = RETRY_MS[0];
    this.dispatchEvent(new CustomEvent("welcome", { detail: message }));
    this._say("connected", "Connected");
    this._check();
  }

  _hangUp(why) {
    this._why = why;
    this._socket.close();
  }

  _lose(words) {
    this._say("lost", words);
    this._retry = setTimeout(() => this._open(), this._retryMs);
    this._retryMs = Math.min(2 * this._retryMs, RETRY_MS[1]);
  }

  _say(state, words) {
    this.dispatchEvent(new CustomEvent("state", { detail: { state, words } }));
  }
}
