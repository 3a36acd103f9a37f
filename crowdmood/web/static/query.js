// The page SQL: the editor's keys, examples, names that are written into the query, and which recordings are asked.

const query = document.getElementById("query"), run = document.getElementById("run"), answer = document.getElementById("answer");
const form = document.getElementById("editor");

const choose = () => { for (const field of document.querySelectorAll("[data-run]")) field.value = run.value; };
run.addEventListener("change", choose);
choose();

query.addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  }
});

document.addEventListener("click", event => {
  const example = event.target.closest("[data-query]"), name = event.target.closest("[data-insert]");
  if (example) {
    query.value = example.dataset.query;
    form.requestSubmit();
  } else if (name) {
    query.setRangeText(name.dataset.insert, query.selectionStart, query.selectionEnd, "end");
    query.focus();
  }
});

// A link of ours that brings a query has it answered at once; one from elsewhere only fills it in.
if (new URLSearchParams(location.search).has("query") && document.referrer.startsWith(location.origin + "/")) addEventListener("load", () => form.requestSubmit());

document.addEventListener("htmx:load", event => {
  choose();
  const report = event.target.matches?.("form.report") ? event.target : null;
  if (report) (report.querySelector("input:not([type=hidden])") || report.querySelector(".first")).focus();
});
document.addEventListener("htmx:beforeRequest", event => { if (event.detail.target === answer) answer.setAttribute("aria-busy", "true"); });
document.addEventListener("htmx:afterRequest", event => {
  if (event.detail.target !== answer) return;
  answer.removeAttribute("aria-busy");
  if (event.detail.successful) answer.scrollIntoView({block: "nearest"});
});
