// The camera's page: the camera gives pictures, the server says what it sees in them, the page shows it.

import {Camera} from "./live-camera.js";
import {Line} from "./live-line.js";
import {Selfie} from "./live-selfie.js";
import {Boxes, FaceList, Graph, Pace} from "./live-view.js";

const get = id => document.getElementById(id);
const facts = JSON.parse(get("live-facts").textContent);
const camera = new Camera(get("camera"), get("which"));
const boxes = new Boxes(get("boxes"), facts), faces = new FaceList(get("faces"), facts);
const graph = new Graph(get("graph"), get("mix"), facts), pace = new Pace(get("pace"));
const selfie = new Selfie(camera, wish => line.tell({selfie: wish}));
const line = new Line(facts.address, camera, {
  open: () => line.tell({selfie: selfie.wish()}),
  keep: () => selfie.wish() !== null && !selfie.countsDown,
  answer(answer, sent, full) {
    pace.answer(sent.at, answer);
    boxes.show(answer, get("mirror").checked);
    faces.show(answer.faces);
    graph.add(answer);
    get("no-faces").hidden = answer.faces.length > 0;
    get("no-faces").textContent = "No face is in the picture.";
    get("faces-note").hidden = answer.faces.length === 0;
    get("readings").textContent = answer.running.readings ? `${answer.running.readings} readings in 10 s` : "";
    selfie.answer(answer, full);
    speak(answer.faces);
  },
  trouble(sentence, final) {
    tell(sentence);
    if (final) stop();
  },
});

async function start() {
  tell("");
  get("start").disabled = true;
  try {
    await camera.start();
  } catch (error) {
    tell(error.message);
    return;
  } finally {
    get("start").disabled = false;
  }
  get("stage").style.aspectRatio = `${camera.width} / ${camera.height}`;
  shown(true);
  pace.begin();
  line.start(Number(get("rate").value));
  get("stop").focus();
}

function stop() {
  line.stop();
  camera.stop();
  boxes.clear();
  faces.show([]);
  selfie.rest();
  get("no-faces").hidden = false;
  get("no-faces").textContent = "None: the camera is off.";
  get("faces-note").hidden = true;
  get("readings").textContent = "until the camera was stopped";
  pace.end();
  shown(false);
}

function shown(on) {
  get("poster").hidden = on;
  get("stop").hidden = !on;
  get("now").disabled = !on;
  get("which-row").hidden = !on || get("which").options.length < 2;
}

function tell(sentence) {
  get("trouble").textContent = sentence;
  get("trouble").hidden = !sentence;
}

// What a screen reader is told: when it has changed, and not more often than every few seconds.
let spoken = 0;
function speak(found) {
  const now = performance.now();
  if (now - spoken < 4000) return;
  const words = found.length ? found.map(face => face.expression).sort().join(", ") : "no face";
  const text = found.length ? `${found.length} ${found.length > 1 ? "faces" : "face"}: ${words}` : words;
  if (get("spoken").textContent === text) return;
  get("spoken").textContent = text;
  spoken = now;
}

get("start").addEventListener("click", start);
get("stop").addEventListener("click", () => { stop(); get("start").focus(); });
get("rate").addEventListener("change", event => line.rate = Number(event.target.value));
get("which").addEventListener("change", () => { line.stop(); camera.stop(); start(); });
get("mirror").addEventListener("change", event => get("stage").classList.toggle("mirrored", event.target.checked));
get("stage").classList.toggle("mirrored", get("mirror").checked);
camera.onended = () => { stop(); tell("The camera has stopped; it was taken away or switched off."); };
addEventListener("pagehide", () => { line.stop(); camera.stop(); });
