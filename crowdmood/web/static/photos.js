// Photos: send an album piece by piece, watch it being ranked, and remove it.
import {send, notice} from "/static/crowdmood.js";

const STEPS = {look: "Looking through", scan: "Reading faces", features: "Light and colours"};
const PREVIEWS = 60, AT_ONCE = 2, EVERY_MS = 700;
const wait = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
const photos = count => count === 1 ? "1 photo" : `${count} photos`;

/** Ask until an album is done; tell(sentence, share or null). Returns its run, null where it was stopped. Throws what went wrong. */
async function ranked(album, tell) {
  for (;;) {
    const state = await send("GET", `/api/photos/albums/${album}`);
    if (state.status === "done") return state.run;
    if (state.status === "failed") throw new Error(state.error);
    if (state.status === "open") return null;
    if (state.status === "waiting") tell("Waiting for another album to be done …", null);
    else tell(state.total ? `${STEPS[state.step] || "Reading"} … ${state.done} of ${state.total}` : "Starting …", state.total ? state.done / state.total : null);
    await wait(EVERY_MS);
  }
}

const form = document.getElementById("send-photos");
if (form) {
  const part = id => document.getElementById(id);
  const list = part("sent"), state = part("sent-state"), bar = part("sent-progress"), rank = form.querySelector("[type=submit]"), stop = part("stop-ranking");
  let album = null, beginning = null, waiting = [], under = 0, here = 0, refused = 0, ranking = false, named = false;

  const tell = (sentence, share) => {
    if (state.textContent !== sentence) state.textContent = sentence;
    part("sent-bar").hidden = share === undefined;
    if (share === null) bar.removeAttribute("value"); else if (share !== undefined) bar.value = share;
  };
  const told = () => {
    const left = waiting.length + under, all = left + here + refused;
    const words = [`${photos(here)} here`, ...(refused ? [`${refused} refused`] : [])].join(", ");
    tell(left ? `${words}, ${left} on the way` : words, left ? (all - left) / all : undefined);
    rank.disabled = left > 0 || !here || ranking;
    rank.textContent = here ? `Rank ${photos(here)}` : "Rank them";
  };

  const begin = () => beginning ??= send("POST", "/api/photos/albums", {})
    .then(made => album = made.album).catch(error => { beginning = null; throw error; });

  const shown = file => {
    const item = document.createElement("li");
    item.append(file.name);
    item.title = file.name;
    if (list.childElementCount < PREVIEWS && file.type.startsWith("image/")) {
      const image = document.createElement("img");
      image.alt = "";
      image.addEventListener("load", () => URL.revokeObjectURL(image.src));
      image.addEventListener("error", () => image.remove());
      image.src = URL.createObjectURL(file);
      item.append(image);
    }
    list.append(item);
    return item;
  };

  const add = files => {
    if (ranking) return notice("This album is being ranked; wait until it is done.");
    for (const file of files) waiting.push([file, shown(file)]);
    list.hidden = part("rank-them").hidden = false;
    told();
    while (under < AT_ONCE && waiting.length) next();
  };

  async function next() {
    const [file, item] = waiting.shift();
    under++;
    try {
      await begin();
      if (file.size > +form.dataset.limit) throw new Error(`${file.name} is larger than the ${form.dataset.limitText} that are taken here.`);
      await sent(file);
      item.className = "here";
      here++;
    } catch (error) {
      item.className = "refused";
      item.title = error.message;
      refused++;
      notice(error.message, true);
    }
    under--;
    told();
    if (waiting.length) next();
  }

  async function sent(file) {
    for (let again = 0; ; again++) {
      try {
        return await send("POST", `/api/photos/albums/${album}/photos?name=${encodeURIComponent(file.name.slice(-200))}`, file, {"Content-Type": "application/octet-stream"});
      } catch (error) {
        if (again === 5 || ![0, 429].includes(error.status)) throw error;
        await wait(1000 * 2 ** again);
      }
    }
  }

  form.addEventListener("submit", async event => {
    event.preventDefault();
    ranking = true;
    rank.disabled = true;
    stop.hidden = false;
    try {
      const name = part("album-name").value.trim();
      if (name && !named) await send("PATCH", `/api/photos/albums/${album}`, {name});
      await send("POST", `/api/photos/albums/${album}/ranking`);
      named = true;
      const run = await ranked(album, tell);
      if (run) return location.assign(`/photos/${run}`);
    } catch (error) {
      notice(error.message, true);
    }
    ranking = false;
    stop.hidden = true;
    told();
  });
  stop.addEventListener("click", () => send("DELETE", `/api/photos/albums/${album}/ranking`).catch(error => notice(error.message)));

  const drop = form.querySelector(".drop"), input = part("pictures");
  input.addEventListener("change", () => { add([...input.files]); input.value = ""; });
  for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, event => { event.preventDefault(); drop.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, event => { event.preventDefault(); drop.classList.remove("over"); });
  drop.addEventListener("drop", event => add([...event.dataTransfer.files]));
  addEventListener("beforeunload", event => { if (waiting.length + under) event.preventDefault(); });
}

for (const item of document.querySelectorAll(".open-album")) {
  const state = item.querySelector(".state"), rank = item.querySelector("[data-do=rank]"), album = item.dataset.album;
  const watch = async () => {
    rank.disabled = true;
    try {
      const run = await ranked(album, sentence => { if (state.textContent !== sentence) state.textContent = sentence; });
      if (run) return location.assign(`/photos/${run}`);
      state.textContent = "";
    } catch (error) {
      state.textContent = error.message;
    }
    rank.disabled = false;
  };
  if (["waiting", "reading"].includes(item.dataset.status)) watch();
  rank.addEventListener("click", () => send("POST", `/api/photos/albums/${album}/ranking`).then(watch).catch(error => notice(error.message, true)));
  item.querySelector("[data-do=remove]").addEventListener("click", async () => {
    if (!confirm("Remove this album with its photos? This cannot be undone.")) return;
    try {
      await send("DELETE", `/api/photos/albums/${album}`);
      item.remove();
    } catch (error) {
      notice(error.message, true);
    }
  });
}

const boxes = document.getElementById("show-boxes");
if (boxes) {
  const show = () => document.body.classList.toggle("boxes-on", boxes.checked);
  boxes.addEventListener("change", show);
  show();
}

const dialog = document.getElementById("ask-remove");
if (dialog) {
  document.getElementById("remove").addEventListener("click", () => dialog.showModal());
  document.getElementById("really").addEventListener("click", async () => {
    try {
      await send("DELETE", `/api/photos/runs/${dialog.dataset.run}`);
      location.assign("/photos");
    } catch (error) {
      dialog.close();
      notice(error.message, true);
    }
  });
}
