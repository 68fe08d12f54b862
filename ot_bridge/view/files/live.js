// Keeps the viewer's page up to date: asks the viewer once a second, while the page is visible.

const EVERY = 1000; // milliseconds
page.after = 0;
page.paused = false;

function liveTools() {
  const pause = el("button", { "aria-pressed": String(page.paused), onclick: () => {
    page.paused = !page.paused;
    pause.setAttribute("aria-pressed", String(page.paused));
  } }, "Pause");
  return [pause, el("button", { onclick: clearAll }, "Clear"),
    el("a", { href: "/api/download", download: "traces.json" }, "Download")];
}

async function clearAll() {
  await fetch("/api/clear", { method: "POST" });
  await update();
}

/** Gets the changes since the last call. Returns whether there are more at once. */
async function update() {
  const answer = await (await fetch("/api/traces?after=" + page.after)).json();
  if (answer.run !== page.run) { // another viewer responds: only its traces exist
    page.run = answer.run;
    page.stale = true;
    page.traces.clear();
    if (page.after) { page.after = 0; return true; }
  }
  const before = page.traces.size;
  page.after = answer.now;
  page.gone = answer.gone;
  for (const [id, summary] of page.traces) if (summary.serial < answer.first) page.traces.delete(id);
  for (const summary of answer.traces) page.traces.set(summary.id, summary);
  const screen = page.screen;
  if (screen instanceof List && (page.stale || answer.traces.length || page.traces.size !== before)) {
    page.stale = false;
    screen.filter();
    screen.empty();
  }
  if (screen instanceof Waterfall && answer.traces.some((each) => each.id === screen.trace.id)) {
    const trace = await traceOf(screen.trace.id);
    if (trace && page.screen === screen) { screen.take(trace); screen.named(); }
  }
  return answer.more;
}

async function keepUp() {
  let more = false;
  try {
    if (document.visibilityState === "visible" && !page.paused) {
      more = await update();
      if (page.lost) page.message.textContent = "";
      page.lost = false;
    }
  } catch {
    page.lost = true;
    page.message.textContent = "⚠ not connected: the viewer does not answer";
  }
  setTimeout(keepUp, more ? 0 : EVERY);
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && page.live && !page.paused) update().catch(() => {});
});
