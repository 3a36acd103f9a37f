// The camera: started and stopped, chosen, and pictures of it, small ones to be sent and full ones to be kept.

const LONGER_SIDE = 960, QUALITY = 0.8;  // of the pictures that are sent
const WANTED = {width: {ideal: 1920}, height: {ideal: 1080}, frameRate: {ideal: 30}};
const REASONS = {
  NotAllowedError: "The browser was not allowed to use the camera. Allow it for this page (the camera sign in the address bar), and start again.",
  NotFoundError: "No camera was found. Plug one in, and start again.",
  NotReadableError: "The camera cannot be used; another program may be using it. Close that, and start again.",
  OverconstrainedError: "This camera is no longer there; start again.",
};

export class Camera {
  /** video: where it is shown; which: a select element, filled with the cameras there are. */
  constructor(video, which) {
    this.video = video;
    this.which = which;
    this.small = document.createElement("canvas");
    this.onended = () => {};
  }

  get width() { return this.video.videoWidth; }
  get height() { return this.video.videoHeight; }
  get ready() { return this.stream != null && this.width > 0; }

  /** Throws an Error with a sentence. */
  async start() {
    if (!navigator.mediaDevices) {
      throw new Error("Browsers give the camera to secure pages only: open this one as http://localhost (through ssh -L, if the server is elsewhere), or start the server with --certificate.");
    }
    const device = this.which.value ? {deviceId: {exact: this.which.value}} : {};
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({audio: false, video: {...WANTED, ...device}});
    } catch (error) {
      throw new Error(REASONS[error.name] || `The camera cannot be used: ${error.message}.`);
    }
    const [track] = this.stream.getVideoTracks();
    track.addEventListener("ended", () => this.stream && this.onended());
    this.video.srcObject = this.stream;
    await this.video.play();
    await this.list(track.getSettings().deviceId);
  }

  stop() {
    for (const track of this.stream?.getTracks() || []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  /** Fill the choice of cameras; their names are known once one of them was allowed. */
  async list(used) {
    const found = (await navigator.mediaDevices.enumerateDevices()).filter(device => device.kind === "videoinput");
    this.which.replaceChildren(...found.map((device, at) => new Option(device.label || `Camera ${at + 1}`, device.deviceId, false, device.deviceId === used)));
  }

  /** The present picture: `small`, a JPEG (Blob), and `full` (ImageBitmap), null unless it is wanted. */
  async grab(keep) {
    const full = keep ? await createImageBitmap(this.video) : null;
    const scale = Math.min(1, LONGER_SIDE / Math.max(this.width, this.height));
    this.small.width = Math.round(this.width * scale);
    this.small.height = Math.round(this.height * scale);
    this.small.getContext("2d", {alpha: false}).drawImage(full || this.video, 0, 0, this.small.width, this.small.height);
    return {small: await new Promise(done => this.small.toBlob(done, "image/jpeg", QUALITY)), full};
  }
}
