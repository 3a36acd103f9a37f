// What was seen, shown: boxes over the picture, a list of faces, the last minute, and how fast it goes.

const SECONDS = 60;
const percent = share => `${Math.round(100 * share)}\u202f%`;
const called = face => `${face.number ? `${face.number} ` : ""}${face.expression}`;
const sure = face => face.expression !== "uncertain";

/** A canvas as sharp as the screen, cleared; returns its context and its size in CSS pixels. */
function fresh(canvas) {
  const sharp = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = Math.round(width * sharp);
  canvas.height = Math.round(height * sharp);
  const context = canvas.getContext("2d");
  context.scale(sharp, sharp);
  return {context, width, height};
}

export class Boxes {
  constructor(canvas, facts) {
    this.canvas = canvas;
    this.facts = facts;
  }

  clear() { fresh(this.canvas); }

  show({faces, width: across, height: down}, mirrored) {
    const {context, width, height} = fresh(this.canvas);
    const scale = Math.min(width / across, height / down), left = (width - across * scale) / 2, top = (height - down * scale) / 2;
    const placed = faces.map(face => {
      const [x1, y1, x2, y2] = face.box;
      return {face, x: left + (mirrored ? across - x2 : x1) * scale, y: top + y1 * scale, across: (x2 - x1) * scale, down: (y2 - y1) * scale};
    }).sort((one, other) => one.down - other.down);  // the largest faces are the nearest: on top
    for (const box of placed) this._box(context, box);
    context.font = `600 13px ${getComputedStyle(document.body).fontFamily}`;
    context.textBaseline = "middle";
    const taken = [];
    for (const box of placed.reverse()) this._label(context, box, taken, width, height);
  }

  _box(context, {face, x, y, across, down}) {
    context.setLineDash(sure(face) ? [] : [7, 5]);
    for (const [line, ink] of [[5, "#1B2029aa"], [3, this.facts.colours[face.expression]]]) {
      context.lineWidth = line;
      context.strokeStyle = ink;
      context.strokeRect(x, y, across, down);
    }
  }

  /** The fullest text that has room above or below its box, and lies on no other. */
  _label(context, {face, x, y, down}, taken, width, height) {
    const texts = [called(face), String(face.number ?? "")];
    if (sure(face)) texts.unshift(`${called(face)} ${percent(face.probability[face.expression])}`);
    for (const text of texts.filter(Boolean)) {
      const long = context.measureText(text).width + 12, from = Math.max(0, Math.min(x - 2, width - long));
      for (const high of [y - 24, y + down + 3]) {
        const meets = taken.some(other => from < other.to && other.from < from + long && high < other.high + 22 && other.high < high + 22);
        if (meets || high < 0 || high + 22 > height) continue;
        taken.push({from, to: from + long, high});
        context.fillStyle = this.facts.colours[face.expression];
        context.fillRect(from, high, long, 22);
        context.fillStyle = this.facts.inks[face.expression];
        return context.fillText(text, from + 6, high + 11.5);
      }
    }
  }
}

export class FaceList {
  constructor(list, facts) {
    this.list = list;
    this.facts = facts;
  }

  /** faces: those with a number first, in its order; rows are used again, so that nothing flickers. */
  show(faces) {
    const ordered = [...faces].sort((one, other) => (one.number ?? Infinity) - (other.number ?? Infinity));
    while (this.list.children.length > ordered.length) this.list.lastElementChild.remove();
    while (this.list.children.length < ordered.length) this.list.append(this._row());
    ordered.forEach((face, at) => this._fill(this.list.children[at], face));
  }

  _row() {
    const row = document.createElement("li");
    row.innerHTML = '<div class="who"><b></b><span class="chip"></span><span class="what"></span><span class="how"></span></div><div class="bar" role="img"></div>';
    row.querySelector(".bar").append(...this.facts.order.map(name => {
      const part = document.createElement("i");
      part.style.background = this.facts.colours[name];
      return part;
    }));
    return row;
  }

  _fill(row, face) {
    row.querySelector("b").textContent = face.number ?? "new";
    row.querySelector(".chip").style.background = this.facts.colours[face.expression];
    row.querySelector(".what").textContent = face.expression;
    row.querySelector(".how").textContent = sure(face) ? percent(face.probability[face.expression]) : "";
    const bar = row.querySelector(".bar");
    bar.classList.toggle("unread", !sure(face));
    this.facts.order.forEach((name, at) => bar.children[at].style.width = `${100 * face.probability[name]}%`);
    const told = this.facts.order.filter(name => face.probability[name] >= 0.05).sort((one, other) => face.probability[other] - face.probability[one]);
    bar.setAttribute("aria-label", told.map(name => `${name} ${percent(face.probability[name])}`).join(", "));
    bar.title = bar.getAttribute("aria-label");
  }
}

export class Graph {
  constructor(canvas, list, facts) {
    this.canvas = canvas;
    this.list = list;
    this.facts = facts;
    this.seconds = new Map();  // of this page's clock: sums of probabilities, and how many pictures
  }

  add({mix, running}) {
    const now = performance.now() / 1000, second = Math.floor(now);
    if (mix) {
      const sum = this.seconds.get(second) || {count: 0, mix: {}};
      sum.count += 1;
      for (const name of this.facts.order) sum.mix[name] = (sum.mix[name] || 0) + mix[name];
      this.seconds.set(second, sum);
    }
    for (const old of this.seconds.keys()) if (old < second - SECONDS - 1) this.seconds.delete(old);
    for (const item of this.list.children) item.querySelector("b").textContent = running.mix ? percent(running.mix[item.dataset.name]) : "–";
    this._draw(now);
  }

  _draw(now) {
    const {context, width, height} = fresh(this.canvas), style = getComputedStyle(this.canvas), floor = height - 18;
    const x = second => width * (1 - (now - second) / SECONDS);
    context.fillStyle = style.getPropertyValue("--hatch");
    context.fillRect(0, 0, width, floor);
    for (const [second, {count, mix}] of this.seconds) {
      const from = Math.round(Math.max(0, x(second))), to = Math.round(Math.min(width, x(second + 1)));  // whole pixels: no seams
      let sum = 0;
      for (const name of this.facts.order) {
        const low = Math.round(floor * (1 - sum)), high = Math.round(floor * (1 - (sum += mix[name] / count)));
        context.fillStyle = this.facts.colours[name];
        context.fillRect(from, high, to - from, low - high);
      }
    }
    context.fillStyle = style.getPropertyValue("--muted");
    context.font = `12px ${style.fontFamily}`;
    for (const [ago, align] of [[60, "left"], [30, "center"], [0, "right"]]) {
      context.textAlign = align;
      context.fillText(ago ? `${ago} s ago` : "now", width * (1 - ago / SECONDS), height - 3);
    }
  }
}

export class Pace {
  constructor(text) {
    this.text = text;
    this.answers = [];
  }

  begin() {
    this.answers = [];
    this.text.textContent = "Getting ready…";
  }

  end() { this.text.textContent = "The camera is off."; }

  /** sent: when its picture was taken, of this page's clock. */
  answer(sent, {faces, read}) {
    const now = performance.now();
    this.answers.push({now, took: now - sent});
    while (this.answers[0].now < now - 3000) this.answers.shift();
    if (this.answers.length < 3) return;
    const rate = 1000 * (this.answers.length - 1) / (now - this.answers[0].now);
    const latency = this.answers.map(({took}) => took).sort((one, other) => one - other)[this.answers.length >> 1];
    const unread = faces.length - read;
    this.text.textContent = `${rate.toFixed(1)} pictures a second · ${Math.round(latency)} ms behind · ${faces.length} `
      + `${faces.length === 1 ? "face" : "faces"}${unread ? `, ${unread} uncertain` : ""}`;
    Object.assign(this.text.dataset, {rate: rate.toFixed(2), latency: Math.round(latency)});
  }
}
