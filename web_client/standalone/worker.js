// The avatar's networks and clock, off the page's own thread.

import * as ort from "../vendor/onnxruntime/ort.wasm.bundle.min.mjs";
import { decode } from "../wire/codec.js";
import { AvatarRuntime } from "./avatar_runtime.js";
import { LocalSession } from "./session.js";

ort.env.wasm.numThreads = 1; // more need headers that a plain file host does not send
ort.env.wasm.wasmPaths = { wasm: new URL("../vendor/onnxruntime/ort-wasm-simd-threaded.wasm", import.meta.url).href };

const here = new URL("../", import.meta.url).href;

async function begin() {
  const [welcomeBytes, tables] = await Promise.all([
    fetch(`${here}driving/welcome.bin`).then((answer) => answer.arrayBuffer()),
    fetch(`${here}driving/log_mel.json`).then((answer) => answer.json()),
  ]);
  const welcome = decode(new Uint8Array(welcomeBytes));
  const runtime = await AvatarRuntime.load(`${here}bundle/`, ort, welcome);
  const session = new LocalSession(runtime, tables, (message, transfer) => postMessage({ published: message }, transfer));
  onmessage = async ({ data: { id, topic, fields } }) => {
    try {
      const answer = topic === "golden_error" ? { worst: await runtime.goldenError() } : session.ask(topic, fields);
      postMessage({ id, answer });
    } catch (error) {
      postMessage({ id, refusal: { code: error.code ?? "failed", message: error.message } });
    }
  };
  postMessage({ welcome });
  session.start();
}

begin().catch((error) => postMessage({ failure: error.message }));
