// The page of a run: the film and the timeline (reports/templates/report.js) follow each other.

const byId = id => document.getElementById(id);
const chart = byId("chart"), persons = byId("persons"), readout = document.querySelector(".readout");
const steps = chart ? JSON.parse(byId("steps").textContent) : [];
const first = steps.length ? steps[0][0] : 0, length = steps.length ? Math.max(steps[steps.length - 1][1] - first, 0.1) : 1;
const cursor = document.createElement("div");
let film = null, pointing = false;

/** Let the film go to a time, and show it. */
function seek(seconds, look = false) {
  if (!film) return;
  film.currentTime = seconds;
  follow();
  if (look) film.scrollIntoView({block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth"});
}

/** Put the timeline's cursor and figures where the film is. */
function follow() {
  if (!chart || !film) return;
  cursor.hidden = false;
  cursor.style.left = Math.min(100, Math.max(0, 100 * (film.currentTime - first) / length)) + "%";
  if (pointing) return;
  chart.classList.add("playing");
  chart.dispatchEvent(new CustomEvent("show", {detail: film.currentTime}));
}

function glide() {
  if (!film || film.paused) return;
  cursor.style.left = Math.min(100, Math.max(0, 100 * (film.currentTime - first) / length)) + "%";
  draw();
  requestAnimationFrame(glide);
}

// The faces that were found, over the film: asked for in stretches, and drawn for as long as their frame is shown.
const STRETCH = 20, stretches = new Map();
let drawn = null;

/** The frames of a stretch; asks for them, and has none meanwhile. */
function framesOf(stretch) {
  if (!stretches.has(stretch)) {
    stretches.set(stretch, []);
    const run = film.closest(".player").dataset.run;
    fetch(`/api/runs/${run}/faces?start=${stretch * STRETCH}&length=${STRETCH}`).then(answer => answer.ok ? answer.json() : [])
      .then(frames => { stretches.set(stretch, frames); draw(); });
  }
  return stretches.get(stretch);
}

function draw() {
  const place = byId("boxes"), wanted = film && byId("show-boxes")?.checked;
  if (!place) return;
  const now = film ? film.currentTime : 0, stretch = Math.floor(now / STRETCH);
  // A frame is shown until the next one, also over the edge of a stretch.
  const near = wanted ? [...(stretch ? framesOf(stretch - 1) : []), ...framesOf(stretch)] : [];
  const frame = near.findLast(one => one.time_s <= now + 0.02 && now < one.time_s + (one.shown_s ?? 1) + 0.02) || null;
  if (frame === drawn) return;
  drawn = frame;
  const [width, height] = film.closest(".stage").style.getPropertyValue("--shape").split("/").map(Number);
  place.replaceChildren(...(frame ? frame.faces : []).map(face => box(face, width, height)));
}

function box(face, width, height) {
  const made = document.createElement("i"), name = document.createElement("b"), sure = face.share !== null;
  made.style.cssText = `left:${100 * face.x1 / width}%;top:${100 * face.y1 / height}%;width:${100 * (face.x2 - face.x1) / width}%;height:${100 * (face.y2 - face.y1) / height}%`;
  made.className = (sure ? face.expression : "uncertain") + (face.y1 < 0.06 * height ? " low" : "");
  name.textContent = sure ? `${face.expression} ${Math.round(100 * face.share)} %` : "uncertain";
  made.append(name);
  return made;
}

function bind() {
  const found = byId("film");
  if (!found || found === film) return;
  film = found;
  document.body.classList.add("with-film");
  film.addEventListener("timeupdate", follow);
  for (const name of ["timeupdate", "seeked"]) film.addEventListener(name, draw);
  byId("show-boxes")?.addEventListener("change", draw);
  film.addEventListener("play", () => { readout?.setAttribute("aria-live", "off"); requestAnimationFrame(glide); });
  film.addEventListener("pause", () => readout?.setAttribute("aria-live", "polite"));
  film.addEventListener("error", unplayable);
  film.addEventListener("loadedmetadata", () => { if (!film.videoWidth) unplayable(); else fromAddress(); });
  if (film.error) unplayable();
  else if (film.readyState > 0) fromAddress();
}

function unplayable() {
  byId("unplayable").hidden = false;
  film.closest(".stage").hidden = true;
  document.querySelector(".tools")?.remove();
  document.body.classList.remove("with-film");
  film = null;
}

/** An address that ends with #t=83.5 shows that time. */
function fromAddress() {
  const at = /^#t=(\d+(?:\.\d+)?)$/.exec(location.hash);
  if (at) seek(+at[1]);
}

if (chart) {
  cursor.className = "cursor film";
  cursor.hidden = true;
  chart.append(cursor);
  const timeAt = event => {
    const box = chart.getBoundingClientRect();
    return first + length * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  chart.addEventListener("pointerdown", event => { if (event.button === 0) seek(timeAt(event)); });
  chart.addEventListener("pointermove", event => {
    pointing = event.pointerType === "mouse";
    if (pointing) chart.classList.remove("playing");
    if (event.buttons & 1) seek(timeAt(event));
  });
  const leave = () => { pointing = false; if (film && (film.currentTime > 0 || !film.paused)) follow(); };
  chart.addEventListener("pointerleave", leave);
  chart.addEventListener("blur", leave);
  chart.addEventListener("keydown", event => {
    if (!film) return;
    if (event.key === " ") { event.preventDefault(); film.paused ? film.play() : film.pause(); }
    else if ("at" in chart.dataset && /^(Arrow(Left|Right)|Page(Up|Down)|Home|End)$/.test(event.key)) {
      pointing = false;
      chart.classList.remove("playing");
      film.currentTime = +chart.dataset.at;
    }
  });
}

if (persons) {
  for (const row of persons.tBodies[0].rows) {
    const button = document.createElement("button"), name = row.querySelector("th");
    Object.assign(button, {type: "button", className: "go", textContent: name.textContent, title: "Go to where person " + row.dataset.person + " is first seen"});
    button.dataset.at = row.dataset.first;
    name.replaceChildren(button);
  }
  persons.addEventListener("click", event => { if (event.target.closest("td.spans") && "at" in persons.dataset) seek(+persons.dataset.at, true); });
  persons.addEventListener("keydown", event => {
    if (event.target === persons && event.key === "Enter" && "at" in persons.dataset) { event.preventDefault(); seek(+persons.dataset.at, true); }
  });
}

// Moments, their pictures, and persons lead to their times.
document.addEventListener("click", event => {
  const place = event.target.closest(".go[data-at]") || event.target.closest(".still")?.parentNode.querySelector(".go[data-at]");
  if (place) seek(+place.dataset.at, true);
});
const without = img => img.closest("table").classList.add("no-stills");
document.addEventListener("error", event => { if (event.target.matches?.(".still img")) without(event.target); }, true);
for (const img of document.querySelectorAll(".still img")) if (img.complete && !img.naturalWidth) without(img);

addEventListener("hashchange", fromAddress);
document.addEventListener("htmx:load", bind);
bind();
