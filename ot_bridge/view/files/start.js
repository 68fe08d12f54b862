// The page: chooses the view (the list or one trace), and has the tools, the keys and the updates.

const KEYS = [
  ["↑ ↓ j k", "row above, below"], ["← →", "fold, unfold; parent, first child"], ["Home End PageUp PageDown", "far away"],
  ["Enter", "details, or open the trace"], ["Esc", "back to the row, then to the list"], ["e", "next span with an error"],
  ["/", "find"], ["n N", "next, previous match"], ["?", "this help"],
];

const page = {
  traces: new Map(), // summaries by id
  whole: new Map(), // traces by id, if the page is a file
  live: false,
  screen: null,
  message: el("span", { role: "status", class: "about" }),
};

function known(id) { return page.traces.has(id); }

async function traceOf(id) {
  if (!page.live) return page.whole.get(id);
  const answer = await fetch("/api/trace/" + encodeURIComponent(id));
  return answer.ok ? answer.json() : undefined;
}

/** Draws the view that the address selects. */
async function show() {
  const asked = state().trace;
  const trace = asked ? await traceOf(asked) : undefined;
  if (asked !== state().trace) return; // the address has changed meanwhile
  page.screen?.close();
  if (trace) showTrace(trace);
  else showList(asked ? `The trace ${asked} is not here (any more).` : "");
  performance.mark("drawn");
}

function searchBox(label, input) {
  const box = el("input", { type: "search", id: "find", "aria-label": label, placeholder: label + " (/)" });
  box.value = state().q || "";
  box.addEventListener("input", () => { go({ q: box.value }); input(box.value); });
  return box;
}

function checkBox(label, checked, change) {
  const box = el("input", { type: "checkbox", onchange: () => change(box.checked) });
  box.checked = checked;
  return el("label", {}, [box, label]);
}

function helpButton() { return el("button", { onclick: help, "aria-label": "Help: keys" }, "?"); }

function showTrace(trace) {
  const screen = (page.screen = new (trace.pair ? Comparison : Waterfall)(trace, known));
  const count = el("span", { role: "status", class: "about" });
  const title = el("h1", {}), about = el("span", { class: "about" });
  screen.named = () => {
    const now = screen.trace, name = now.summary.name.slice(0, 200);
    title.textContent = visible(name);
    document.title = visible(name) + " - ot_bridge";
    about.textContent = visible(screen.about().join(" · "));
  };
  screen.named();
  const only = checkBox("only matches", screen.only, (on) => { screen.only = on; go({ only: on ? "1" : "" }); screen.layout(); });
  screen.counted = () => {
    only.firstChild.checked = screen.only;
    const at = screen.hits.indexOf(screen.rows[screen.grid.selected]);
    count.textContent = screen.query ? `${at >= 0 ? at + 1 + " of " : ""}${plural(screen.hits.length, "match").replace("matchs", "matches")}` : "";
  };
  const box = searchBox("Find in the trace", (text) => screen.find(text));
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { screen.next(screen.hits, event.shiftKey ? -1 : 1); event.preventDefault(); }
  });
  document.getElementById("top").replaceChildren(
    el("button", { onclick: () => go({ trace: "", span: "", q: "", list: "1" }, true) }, "‹ All traces"),
    title, about,
    el("div", { class: "tools" }, [box, count, only,
      checkBox("critical path", true, (on) => { screen.critical = on; screen.grid.redraw(); }),
      trace.pair ? null : el("span", { class: "about id" }, trace.id), helpButton(), page.message]),
    ...[differences(page.differences)].filter(Boolean),
  );
  document.getElementById("main").replaceChildren(screen.grid.root, screen.details);
  screen.counted();
  screen.grid.redraw();
  screen.drawAxis();
  if (screen.grid.selected >= 0) screen.grid.show(screen.grid.selected);
  screen.grid.root.focus();
}

const EMPTY = `pip install ot-bridge
export OTEL_EXPORTER_OTLP_ENDPOINT=${location.origin}
python -c 'import ot_bridge; ot_bridge.install("hello").start_span("hello").finish()'`;

function showList(message) {
  document.title = "Traces - ot_bridge";
  const screen = (page.screen = new List(page.traces, (id) => go({ trace: id, q: "", list: "" }, true)));
  const filter = () => { screen.filter(); };
  const least = el("input", { type: "number", min: 0, "aria-label": "Minimum duration in ms", placeholder: "min ms" });
  least.value = state().min || "";
  least.addEventListener("input", () => { go({ min: least.value }); filter(); });
  const tools = [searchBox("Find traces", filter),
    checkBox("errors only", state().errors === "1", (on) => { go({ errors: on ? "1" : "" }); filter(); }), least];
  if (page.live) tools.push(...liveTools());
  screen.about = el("span", { class: "about" });
  document.getElementById("top").replaceChildren(el("h1", {}, "Traces"), screen.about,
    el("div", { class: "tools" }, [...tools, helpButton(), page.message]));
  const empty = el("div", { class: "empty" }, [el("p", {}, "No traces yet. These lines send one here:"), el("pre", {}, EMPTY)]);
  screen.empty = () => {
    screen.about.textContent = [plural(page.traces.size, "trace"), ...(page.gone ? [`${page.gone} older ones were let go`] : [])].join(" · ");
    const bare = !page.traces.size && page.live;
    const wanted = bare ? empty : screen.grid.root;
    if (!wanted.isConnected) document.getElementById("main").replaceChildren(wanted);
  };
  screen.empty();
  if (message) page.message.textContent = message;
  screen.grid.redraw();
  screen.grid.root.focus();
}

function help() {
  const rows = KEYS.map(([keys, what]) => el("tr", {}, [el("th", { scope: "row" }, [el("kbd", {}, keys)]), el("td", {}, what)]));
  const dialog = el("dialog", { "aria-label": "Keys", onclose: () => dialog.remove() }, [
    el("h2", {}, "Keys"), el("table", {}, rows), el("button", { onclick: () => dialog.close() }, "Close")]);
  document.body.append(dialog);
  dialog.showModal();
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || !page.screen) return;
  const at = document.activeElement, screen = page.screen;
  const typing = at && at.matches("input:not([type=checkbox]), textarea, select");
  if (event.key === "Escape") {
    if (screen.details?.contains(at) || (screen.details && !screen.details.hidden)) screen.shut();
    else if (at !== screen.grid.root) screen.grid.root.focus();
    else if (screen.details && page.traces.size > 1) go({ trace: "", span: "", q: "", list: "1" }, true);
    else return;
  } else if (typing) return;
  else if (event.key === "/") document.getElementById("find").focus();
  else if (event.key === "?") help();
  else {
    // Keys that move the selection act only on the element with the focus. Letters act everywhere.
    const free = at === document.body || at === screen.grid.root;
    if (!free && event.key.length > 1) return;
    if (!free && event.key === " ") return;
    if (!screen.key(event.key)) return;
  }
  event.preventDefault();
});

addEventListener("hashchange", show);

function begin() {
  const block = document.getElementById("data");
  page.live = !block;
  if (page.live) return keepUp().then(show);
  const data = JSON.parse(block.textContent);
  page.names = data.names;
  page.differences = data.differences;
  for (const trace of data.traces) {
    page.traces.set(trace.id, trace.summary);
    page.whole.set(trace.id, trace);
  }
  const first = page.traces.keys().next().value;
  if (first !== undefined && !state().trace && !state().list) go({ trace: first });
  return show();
}
