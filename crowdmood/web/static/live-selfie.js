// The smart selfie: the server says when it is due, the page takes it from the camera's full picture, and keeps it until it is saved.

const get = id => document.getElementById(id);
const HOLD_S = 0.5, MOST_KEPT = 24, QUALITY = 0.95;
const pause = ms => new Promise(done => setTimeout(done, ms));

export class Selfie {
  /** changed: called with what pictures are to be taken of, null for none. */
  constructor(camera, changed) {
    this.camera = camera;
    this.counting = false;
    this.taken = 0;
    for (const id of ["armed", "expression", "least"]) get(id).addEventListener("change", () => { this._shown(); changed(this.wish()); });
    get("sound").addEventListener("change", event => event.target.checked && this._click());  // browsers allow sound after a click only
    get("now").addEventListener("click", () => this._take());
    addEventListener("beforeunload", event => document.querySelector("#taken li:not([data-saved])") && event.preventDefault());
    this._shown();
  }

  get countsDown() { return get("countdown").checked; }

  wish() {
    if (!get("armed").checked) return null;
    return {expression: get("expression").value, least: this._least(), hold_s: HOLD_S};
  }

  /** What the server has said of a picture; full: that picture (ImageBitmap), if it was kept. */
  answer({selfie}, full) {
    get("held").hidden = !selfie;
    if (!selfie) return;
    get("held-bar").value = selfie.held_s;
    get("held-text").textContent = selfie.held_s ? `all ${selfie.expression} for ${selfie.held_s.toFixed(1)} s` : `waiting until all are ${selfie.expression}`;
    if (selfie.due) this._take(full);
  }

  /** The camera is off. */
  rest() { get("held").hidden = true; }

  async _take(full = null) {
    if (this.counting) return;
    if (get("taken").children.length >= MOST_KEPT) {
      get("spoken").textContent = get("held-text").textContent = `${MOST_KEPT} pictures are kept; save or discard some of them first`;
      return;
    }
    const picture = document.createElement("canvas");
    if (full && !this.countsDown) this._paint(picture, full, full.width, full.height);  // before it is closed, that is at once
    else if (!await this._counted()) return;
    else this._paint(picture, this.camera.video, this.camera.width, this.camera.height);
    this._flash();
    const blob = await new Promise(done => picture.toBlob(done, "image/jpeg", QUALITY));
    this._keep(blob, picture.width, picture.height);
  }

  _paint(picture, source, width, height) {
    Object.assign(picture, {width, height});
    picture.getContext("2d", {alpha: false}).drawImage(source, 0, 0);
  }

  /** Count down if that is wished. Returns whether the camera is still there. */
  async _counted() {
    const counter = get("counter");
    this.counting = true;
    for (let left = this.countsDown ? 3 : 0; left && this.camera.ready; left--) {
      counter.hidden = false;
      counter.textContent = left;
      if (get("sound").checked) this._tone(660, 0.08);
      await pause(1000);
    }
    counter.hidden = true;
    this.counting = false;
    return this.camera.ready;
  }

  _keep(blob, width, height) {
    const url = URL.createObjectURL(blob), when = new Date(), item = document.createElement("li");
    const name = `crowdmood-${when.toISOString().slice(0, 19).replaceAll(":", "")}-${++this.taken}.jpg`;
    item.innerHTML = '<img alt=""><p class="facts"></p><div class="row"><a class="button first">Save</a><button class="button" type="button">Discard</button></div>';
    Object.assign(item.querySelector("img"), {src: url, alt: `Picture ${this.taken}, taken at ${when.toLocaleTimeString()}`});
    item.querySelector(".facts").textContent = `${when.toLocaleTimeString()} · ${width} × ${height}`;
    Object.assign(item.querySelector("a"), {href: url, download: name});
    item.querySelector("a").addEventListener("click", event => {
      item.dataset.saved = "";
      event.target.textContent = "Save again";
    });
    item.querySelector("button").addEventListener("click", () => {
      item.remove();
      URL.revokeObjectURL(url);
      get("armed").focus();
    });
    get("taken").prepend(item);
    get("spoken").textContent = `Picture ${this.taken} taken`;
  }

  _flash() {
    const flash = get("flash");
    flash.hidden = true;
    void flash.offsetWidth;  // so that it begins anew
    flash.hidden = false;
    setTimeout(() => flash.hidden = true, 450);
    if (get("sound").checked) this._click();
  }

  _click() {
    this._tone(1200, 0.05);
    this._tone(500, 0.09, 0.06);
  }

  _tone(pitch, seconds, after = 0) {
    this.audio ||= new AudioContext();
    const tone = this.audio.createOscillator(), loudness = this.audio.createGain(), from = this.audio.currentTime + after;
    tone.frequency.value = pitch;
    loudness.gain.setValueAtTime(0.15, from);
    loudness.gain.exponentialRampToValueAtTime(0.001, from + seconds);
    tone.connect(loudness).connect(this.audio.destination);
    tone.start(from);
    tone.stop(from + seconds);
  }

  _shown() {
    get("least-noun").textContent = this._least() > 1 ? "faces" : "face";
    if (!get("armed").checked) get("held").hidden = true;
  }

  _least() { return Math.min(99, Math.max(1, Math.round(Number(get("least").value)) || 1)); }
}
