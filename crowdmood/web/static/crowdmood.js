// What every page needs: requests that prove to come from a page of ours, and a place where sentences are shown.

const meta = document.querySelector("meta[name=csrf]");

/** Send a request. body: an object is sent as JSON, anything else as it is. Returns the answer (JSON where it is JSON, else the Response).
 *  Throws an Error with the server's sentence and `status`, 0 where the server cannot be reached. */
export async function send(method, url, body, headers = {}) {
  let answer = await ask(method, url, body, headers);
  if (answer.status === 403 && await renewed()) answer = await ask(method, url, body, headers);  // the server was started again
  const json = (answer.headers.get("content-type") || "").startsWith("application/json");
  if (answer.status === 401) location.assign("/login?next=" + encodeURIComponent(location.pathname + location.search));
  if (!answer.ok) throw failed(json ? (await answer.json()).error : answer.statusText, answer.status);
  return json ? answer.json() : answer;
}

/** Show a sentence for a while; `lasting` until it is closed. */
export function notice(sentence, lasting = false) {
  const place = document.getElementById("notices"), made = document.createElement("p"), close = document.createElement("button");
  made.append(sentence, close);
  close.className = "close";
  close.setAttribute("aria-label", "Close");
  close.textContent = "×";
  close.addEventListener("click", () => made.remove());
  place.append(made);
  if (!lasting) setTimeout(() => made.remove(), 10000);
}

async function ask(method, url, body, headers) {
  const plain = body && Object.getPrototypeOf(body) === Object.prototype;
  try {
    return await fetch(url, {
      method, body: plain ? JSON.stringify(body) : body, credentials: "same-origin",
      headers: {Accept: "application/json", "X-CSRF-Token": meta.content, ...(plain && {"Content-Type": "application/json"}), ...headers},
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw failed("The server cannot be reached.", 0);
  }
}

function failed(sentence, status) {
  return Object.assign(new Error(sentence), {status});
}

/** Whether this page has another proof now than before. */
async function renewed() {
  const answer = await fetch("/login/session", {credentials: "same-origin"});
  const session = answer.ok ? await answer.json() : null;
  if (!session || session.csrf === meta.content) return false;
  meta.content = session.csrf;
  for (const field of document.querySelectorAll("input[name=csrf]")) field.value = session.csrf;
  return true;
}

document.addEventListener("htmx:configRequest", event => event.detail.headers["X-CSRF-Token"] = meta.content);
document.addEventListener("htmx:sendError", () => notice("The server cannot be reached."));
document.addEventListener("htmx:responseError", event => {
  const {status, responseText} = event.detail.xhr;
  if (status === 401) return location.assign("/login?next=" + encodeURIComponent(location.pathname));
  let sentence = "That did not work.";
  try { sentence = JSON.parse(responseText).error; } catch { /* not a sentence of ours */ }
  notice(sentence, true);
});

// The login page: the token may stand behind the # of the address, which is never sent; and whoever came by a link from elsewhere
// may be signed in already, for browsers send no cookie with that.
const login = document.querySelector("form[data-login]");
if (login) {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", location.pathname + location.search);
    login.elements.token.value = token;
    login.submit();
  } else {
    const session = await (await fetch("/login/session", {credentials: "same-origin"})).json();
    if (session.signed_in) location.replace(login.dataset.login);
  }
}
