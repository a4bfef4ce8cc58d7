// The page: a source of frames and sound, what plays them, what draws them, and the controls.

import { Playback } from "../playback/playback.js";
import { Connection } from "../wire/connection.js";
import { Background } from "./background.js";
import { Comparison } from "./comparison.js";
import { FaceControls } from "./face_controls.js";
import { Microphone } from "./microphone.js";
import { SpeechControls } from "./speech_controls.js";
import { Stage } from "./stage.js";
import { Statistics } from "./statistics.js";

const element = (id) => document.getElementById(id);

async function begin() {
  const source = await makeSource();
  const playback = new Playback(source);
  let stage;
  try {
    stage = await Stage.create(element("canvas"), playback);
  } catch (error) {
    trouble(
      "This browser cannot draw the avatar: it has no WebGL 2, or its graphics driver refused. Try another browser, " +
        `or switch hardware acceleration on. (${error.message})`,
    );
    return;
  }
  const say = (words) => (element("note").textContent = words);
  const background = new Background(stage, say);
  const face = new FaceControls(source, say);
  const microphone = new Microphone(source, playback.sound, say);
  const speech = new SpeechControls(source, playback.sound, microphone, say);
  const comparison = new Comparison(stage, background, source, say);
  new Statistics(source, playback, stage);

  source.addEventListener("welcome", ({ detail: welcome }) => {
    try {
      stage.show(welcome);
    } catch (error) {
      trouble(`The avatar cannot be shown: ${error.message}`);
      return;
    }
    tellLikeness(welcome);
    face.show(welcome);
    speech.show(welcome);
    comparison.show(welcome);
    playback.sound.wake();
  });
  source.addEventListener("state", ({ detail: { state, words } }) => {
    element("state").dataset.state = state;
    element("state").textContent = state === "connected" ? words : state === "lost" ? "Not connected" : words;
    trouble(state === "lost" ? words : "");
  });
  source.addEventListener("publication", ({ detail: { message } }) => speech.follow(message));

  element("canvas").addEventListener("webglcontextlost", () =>
    trouble("The graphics driver took the picture away. It comes back by itself, or with a reload of the page."),
  );
  element("canvas").addEventListener("webglcontextrestored", () => {
    trouble("");
    stage.redraw();
  });
  element("reset").addEventListener("click", () => resetView(stage));
  element("rules").addEventListener("change", (event) => setRules(stage, event.target.value));
  setRules(stage, element("rules").value);
  for (const kind of ["pointerdown", "keydown"]) {
    document.addEventListener(kind, () => playback.sound.wake(), { capture: true });
  }
  document.addEventListener("keydown", (event) => shortcut(event, { speech, microphone, comparison, stage }));
  // For a developer's console and for tests.
  window.gstalker = { source, playback, stage, speech, microphone, comparison, face };
  source.start();
}

/** A server over a WebSocket; the stand-alone page names a module of its own that needs none. */
async function makeSource() {
  const local = document.documentElement.dataset.source;
  if (local) return (await import(new URL(local, document.baseURI))).makeSource();
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  return new Connection(`${scheme}://${location.host}/avatar`);
}

function trouble(words) {
  element("trouble").textContent = words;
  element("trouble").hidden = !words;
}

function tellLikeness(welcome) {
  document.title = `${welcome.avatar_name} – gstalker`;
  element("avatar-name").textContent = welcome.avatar_name;
  element("synthetic-words").textContent = `· ${welcome.subject}`;
  element("synthetic").title = welcome.notice;
  element("synthetic").hidden = false;
  const rows = [
    ["Notice", welcome.notice],
    ["Person shown", welcome.subject],
    ["Consent", welcome.consent],
    ["Licence", welcome.licence],
    ["Bundle", `${welcome.avatar_name}, sha256 ${welcome.bundle_sha256.slice(0, 16)}…`],
  ];
  element("likeness").replaceChildren(
    ...rows.flatMap(([name, words]) => {
      const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
      dt.textContent = name;
      dd.textContent = words;
      return [dt, dd];
    }),
  );
}

function setRules(stage, rules) {
  stage.setRules(rules);
  element("rules-words").textContent =
    rules === "reference"
      ? "Dilation, falloff and cut-off of the reference renderer: pictures can be compared."
      : "PlayCanvas as it comes: narrower splats with a shortened falloff, small ones left out. Pictures differ from the reference.";
}

function resetView(stage) {
  stage.orbit.reset();
  stage.redraw();
}

function shortcut(event, { speech, microphone, comparison, stage }) {
  const typing = event.target.closest?.("input, select, textarea, button, summary, a");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = {
    " ": () => speech.toggle(),
    m: () => microphone.toggle(),
    s: () => speech.toggleMute(),
    c: () => comparison.run(),
    0: () => resetView(stage),
  };
  const action = keys[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
}

begin().catch((error) => {
  console.error(error);
  trouble(`The page could not start: ${error.message}`);
});
