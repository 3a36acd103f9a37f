// The line to the server: pictures go out at a steady rate as long as answers come back, and each answer finds its picture again.

// Pictures on their way. A slow network would only make more of them wait; but where a busy server drops them, the one that it looks
// at next shall be a new one.
const MOST_UNANSWERED = 3, MOST_WHERE_DROPPED = 15, MOST_KEPT = 6;
const MOST_TRIES = 5, REST_MS = 1000;

export class Line {
  /** on: open(), answer(answer, sent, full), trouble(sentence, final), keep(): whether full pictures are wanted. */
  constructor(address, camera, on) {
    this.address = location.origin.replace(/^http/, "ws") + address;
    this.camera = camera;
    this.on = on;
    this.rate = 5;
  }

  start(rate) {
    this.rate = rate;
    this.running = true;
    this.tries = 0;
    this._open();
    this._tick();
  }

  stop() {
    this.running = false;
    clearTimeout(this.timer);
    clearTimeout(this.again);
    this._forget(Infinity);
    this.socket?.close();
    this.socket = null;
  }

  /** Send a setting, now or never: it is sent again when the line is opened. */
  tell(setting) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(setting));
  }

  _open() {
    const socket = this.socket = new WebSocket(this.address);
    this.sent = new Map();
    this.count = this.dropped = 0;
    this.most = MOST_UNANSWERED;
    socket.addEventListener("open", () => socket === this.socket && this.on.open());
    socket.addEventListener("message", event => socket === this.socket && this._answer(JSON.parse(event.data)));
    socket.addEventListener("close", event => socket === this.socket && this._closed(event));
  }

  _closed(event) {
    this._forget(Infinity);
    if (!this.running) return;
    if (event.reason) return this.on.trouble(event.reason.replace(/^./, letter => letter.toUpperCase()) + ".", true);
    if (++this.tries > MOST_TRIES) return this.on.trouble("The server cannot be reached, or you are no longer signed in: load the page again.", true);
    this.on.trouble("The connection broke off; trying again…", false);
    this.again = setTimeout(() => this.running && this._open(), REST_MS * this.tries);
  }

  /** Send a picture if the line is free, and do so again after a while. */
  async _tick() {
    const began = performance.now(), socket = this.socket;
    if (socket?.readyState === WebSocket.OPEN && !socket.bufferedAmount && this.sent.size < this.most && this.camera.ready) {
      try {
        const {small, full} = await this.camera.grab(this.on.keep());
        if (socket === this.socket && small) {
          this.sent.set(this.count++, {at: began, full});
          socket.send(small);
          this._drop(this.sent.get(this.count - 1 - MOST_KEPT));
        } else {
          full?.close();
        }
      } catch { /* the camera was taken away between two pictures: it says so itself */ }
    }
    if (!this.running) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this._tick(), Math.max(0, 1000 / this.rate - (performance.now() - began)));
  }

  _answer(answer) {
    if (!("picture" in answer)) return this.on.trouble(answer.error, false);
    const sent = this.sent.get(answer.picture);
    this._forget(answer.picture);
    if (answer.error) return this.on.trouble(answer.error.replace(/^./, letter => letter.toUpperCase()) + ".", false);
    this.most = answer.pace.dropped > this.dropped ? MOST_WHERE_DROPPED : MOST_UNANSWERED;
    this.dropped = answer.pace.dropped;
    if (this.tries) this.on.trouble("", false);
    this.tries = 0;
    if (sent) this.on.answer(answer, sent, sent.full);
    sent?.full?.close();
  }

  /** Full pictures are large: the oldest on their way is let go. */
  _drop(sent) {
    sent?.full?.close();
    if (sent) sent.full = null;
  }

  /** The pictures up to this one are answered, or dropped. The last one's full picture is closed by who uses it. */
  _forget(last) {
    for (const [number, {full}] of this.sent || []) {
      if (number > last) continue;
      if (number !== last) full?.close();
      this.sent.delete(number);
    }
  }
}
