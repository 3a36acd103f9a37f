// The list of recordings: files are sent in pieces and go on after a reload or a restart of the server; analyses tell how far they are.
import {notice, send} from "/static/crowdmood.js";

const SMALL = 2 ** 20, QUICK_MS = 700, PATIENCE_MS = 15 * 60e3;  // pieces grow while they take less than QUICK_MS
const KEPT = "crowdmood-uploads";  // in localStorage: file -> id of its upload, so that the same file goes on where it stopped
const form = document.getElementById("send");
const element = (name, content = "", attributes = {}) => Object.assign(document.createElement(name), {textContent: content}, attributes);

document.getElementById("context")?.addEventListener("change", event => {
  for (const law of document.querySelectorAll("[data-law]")) law.hidden = law.dataset.law !== event.target.value;
});

function bytes(count) {
  const [unit, factor] = [["GB", 1e9], ["MB", 1e6], ["kB", 1e3], ["bytes", 1]].find(([, factor]) => count >= factor) || ["bytes", 1];
  return `${Number((count / factor).toPrecision(3))} ${unit}`;
}

function about(seconds) {
  if (seconds < 90) return `${Math.max(5, 5 * Math.round(seconds / 5))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} hours`;
}

const remembered = () => { try { return JSON.parse(localStorage.getItem(KEPT)) || {}; } catch { return {}; } };
function remember(file, id) {
  const known = remembered(), key = `${file.name}|${file.size}|${file.lastModified}`;
  if (id) known[key] = id; else delete known[key];
  try { localStorage.setItem(KEPT, JSON.stringify(known)); } catch { /* a browser that keeps nothing: then a reload begins anew */ }
}

/** The upload of this file that was begun earlier from this browser, or null. */
async function begun(file) {
  const id = remembered()[`${file.name}|${file.size}|${file.lastModified}`];
  if (!id) return null;
  try {
    const upload = await send("GET", `/api/uploads/${id}`);
    return upload.size_bytes === file.size && !upload.whole ? upload : null;
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

/** A file that was chosen, as a line of the list. */
class Chosen {
  constructor(file) {
    Object.assign(this, {file, upload: null, stopped: false});
    this.line = element("li");
    this.says = element("span", bytes(file.size), {className: "says"});
    this.bar = element("progress", "", {max: file.size, value: 0, hidden: true});
    this.bar.setAttribute("aria-label", `Upload of ${file.name}`);
    this.leave = element("button", "Leave out", {type: "button", className: "button"});
    this.leave.addEventListener("click", () => this.cancel());
    const actions = element("span", "", {className: "actions"});
    actions.append(this.leave);
    this.line.append(element("span", file.name, {className: "name"}), this.says, this.bar, actions);
  }

  async cancel() {
    this.stopped = true;
    remember(this.file, null);
    this.line.remove();
    show();
    if (this.upload) await send("DELETE", `/api/uploads/${this.upload.id}`).catch(error => error.status === 404 || notice(error.message));
  }

  /** Send all of it; true when it is there. */
  async go(analysis) {
    this.bar.hidden = false;
    this.leave.textContent = "Cancel";
    this.leave.setAttribute("aria-label", `Cancel the upload of ${this.file.name}`);
    try {
      this.upload = await begun(this.file) || await send("POST", "/api/uploads", {name: this.file.name, size_bytes: this.file.size, analysis});
      if (this.stopped) return this.cancel();
      remember(this.file, this.upload.id);
      hide();
      await this.pieces();
      remember(this.file, null);
      if (this.upload.problem) notice(this.upload.problem, true);
      this.line.remove();
    } catch (error) {
      if (this.stopped) return;
      if (error.status === 415) remember(this.file, null);
      this.says.textContent = error.message;
      this.says.className = "says bad";
      this.bar.hidden = true;
      this.leave.textContent = "Close";
      this.upload = null;
      notice(error.message);
    }
  }

  async pieces() {
    let piece = SMALL, began = performance.now(), first = this.upload.received;
    while (!this.upload.whole) {
      const offset = this.upload.received, end = Math.min(offset + piece, this.file.size), then = performance.now();
      this.upload = await this.piece(offset, this.file.slice(offset, end));
      if (performance.now() - then < QUICK_MS) piece = Math.min(2 * piece, this.upload.piece_bytes);
      const per_ms = (this.upload.received - first) / (performance.now() - began), left = (this.file.size - this.upload.received) / per_ms / 1000;
      this.bar.value = this.upload.received;
      this.says.textContent = `${Math.floor(100 * this.upload.received / this.file.size)} % of ${bytes(this.file.size)} sent`
        + (left > 1 && isFinite(left) ? ` · about ${about(left)} left` : "");
    }
  }

  /** Send a piece, patiently: the server may be away for a while, or know already what it was sent. */
  async piece(offset, content, began = performance.now()) {
    for (let pause = 500; ; pause = Math.min(2 * pause, 8000)) {
      try {
        return await send("PATCH", `/api/uploads/${this.upload.id}`, content, {"Upload-Offset": String(offset), "Content-Type": "application/octet-stream"});
      } catch (error) {
        if (this.stopped) throw error;
        if (error.status === 409) {
          const known = await send("GET", `/api/uploads/${this.upload.id}`).catch(() => null);
          if (known && (known.received !== offset || known.whole)) return known;
        } else if (![0, 429, 500, 502, 503, 504].includes(error.status)) throw error;
        if (performance.now() - began > PATIENCE_MS) throw error;
        this.says.textContent = `${error.message} Trying again …`;
        await new Promise(done => setTimeout(done, pause));
        if (this.stopped) throw error;
      }
    }
  }
}

let chosen = [], sending = Promise.resolve();

function show() {
  chosen = chosen.filter(one => one.line.isConnected);
  const waiting = chosen.filter(one => one.bar.hidden && !one.says.classList.contains("bad"));
  document.getElementById("ask").hidden = !waiting.length;
  const all = waiting.reduce((sum, one) => sum + one.file.size, 0);
  document.getElementById("what").textContent = waiting.length === 1 ? `1 file, ${bytes(all)}` : `${waiting.length} files, ${bytes(all)}`;
}

/** What this page is sending stands above the list, and not in it too. */
function hide() {
  const mine = chosen.filter(one => one.line.isConnected && one.upload && !one.upload.whole).map(one => one.upload.id);
  for (const line of document.querySelectorAll("#rows [data-upload]")) line.hidden = mine.includes(line.dataset.upload);
}

function choose(files) {
  const limit = Number(form.dataset.limit);
  for (const file of files) {
    if (file.size > limit) { notice(`${file.name} has ${bytes(file.size)}, and at most ${form.dataset.limitText} are taken here.`, true); continue; }
    if (!file.size) { notice(`${file.name} is empty, or a folder; choose films.`, true); continue; }
    const one = new Chosen(file);
    chosen.push(one);
    document.getElementById("chosen").append(one.line);
  }
  show();
  if (!document.getElementById("ask").hidden) document.getElementById("context").focus();
}

function analysis() {
  const given = Object.fromEntries([...new FormData(form)].filter(([name, value]) => name !== "files" && typeof value === "string" && value));
  for (const name of ["start_s", "end_s"]) if (name in given) given[name] = given[name].split(":").reduce((sum, part) => 60 * sum + Number(part), 0);
  if ("sample_fps" in given && given.sample_fps !== "all") given.sample_fps = Number(given.sample_fps);
  if ("aggregate_only" in given) given.aggregate_only = true;
  return given;
}

function start(asked) {
  const mine = chosen.filter(one => one.bar.hidden && !one.says.classList.contains("bad"));
  for (const one of mine) {
    one.bar.hidden = false;
    one.says.textContent = "waits for the one before";
  }
  show();
  sending = sending.then(async () => {
    for (const one of mine) if (!one.stopped) await one.go(asked);
    show();
    refresh();
  });
}

if (form) {
  const drop = form.querySelector(".drop"), input = document.getElementById("files");
  input.addEventListener("change", () => { choose([...input.files]); input.value = ""; });
  for (const name of ["dragenter", "dragover"]) document.addEventListener(name, event => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", event => { if (!event.relatedTarget) drop.classList.remove("over"); });
  document.addEventListener("drop", event => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    drop.classList.remove("over");
    choose([...event.dataTransfer.files]);
  });
  form.addEventListener("submit", event => { event.preventDefault(); start(analysis()); });
}

// Progress of analyses. A tab that is not looked at needs no stream; browsers open only six at a time to a server.

const refresh = () => { if (document.getElementById("rows")) htmx.trigger("#rows", "refresh"); };
let events = null, lost = false, place = null;

// The list is replaced whole when a status changes: who was at a line with the keyboard stays at it.
document.addEventListener("htmx:beforeSwap", () => place = document.activeElement?.closest("#rows li")?.id);
document.addEventListener("htmx:afterSettle", () => {
  hide();
  if (place && document.activeElement === document.body) document.getElementById(place)?.querySelector("button, a")?.focus({preventScroll: true});
});

function follow() {
  if (document.hidden || !document.getElementById("rows")) { events?.close(); events = null; return; }
  if (events) return;
  events = new EventSource("/api/analyses/events");
  events.addEventListener("open", () => { if (lost) refresh(); lost = false; });
  events.addEventListener("error", () => { lost = true; if (events?.readyState === EventSource.CLOSED) { events = null; setTimeout(follow, 3000); } });
  events.addEventListener("list", refresh);
  events.addEventListener("analysis", event => tell(JSON.parse(event.data)));
}

function tell(state) {
  const line = document.querySelector(`[data-upload="${state.upload}"]`), says = line?.querySelector(".says"), bar = line?.querySelector("progress");
  if (says) says.textContent = state.says;
  if (bar && state.percent !== null) bar.value = state.percent;
  const name = line?.querySelector("h3")?.textContent.trim();
  if (state.status === "done" && name) notice(`${name} is analyzed.`);
  if (state.status === "failed" && name) notice(state.error.startsWith(name) ? state.error : `${name}: ${state.error}`, true);
}

document.addEventListener("visibilitychange", () => { const hidden = !events; follow(); if (hidden && events) refresh(); });
addEventListener("pagehide", () => events?.close());
follow();
