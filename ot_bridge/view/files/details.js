// The details of one span.

const LONG = 1000; // number of characters of a value that are shown before it is unfolded

function valueOf(text) {
  if (text.length <= LONG) return el("td", {}, text);
  const cell = el("td", {}, text.slice(0, LONG) + "… ");
  cell.append(el("button", {
    onclick: () => cell.replaceChildren(document.createTextNode(visible(text))),
  }, `all ${text.length} characters`));
  return cell;
}

function table(label, pairs) {
  if (!pairs.length) return [];
  const rows = pairs.map(([key, value]) =>
    el("tr", {}, [el("th", { scope: "row" }, key.slice(0, LONG)), typeof value === "string" ? valueOf(value) : el("td", {}, [value])]));
  return [el("h3", {}, label), el("table", { "aria-label": label }, rows)];
}

function idOf(text) {
  return el("span", { class: "id" }, text);
}

/** Makes the elements for the details of a span. waterfall: the view in which links select other spans. */
function detailsOf(trace, span, waterfall) {
  const spans = trace.spans;
  const facts = [
    ["service", span.service || "(no service.name)"], ["kind", span.kind],
    ["status", span.status + (span.message ? ": " + span.message : "")],
    ["begins at", duration(span.start)], ["duration", duration(span.duration)], ["self time", duration(span.own)],
    ["trace id", idOf(trace.id)], ["span id", idOf(span.id)],
  ];
  if (span.parent) facts.push(["parent id", idOf(span.parent)]);
  if (span.how === "caller") facts.push(["parent", "in the caller, which is elsewhere"]);
  if (span.state) facts.push(["tracestate", span.state]);
  const dropped = (span.dropped || []).map((count, at) => [count, ["attribute", "event", "link"][at]]);
  for (const [count, word] of dropped) if (count) facts.push(["dropped by the sender", plural(count, word)]);
  const made = [
    el("div", { class: "tools" }, [el("button", { onclick: () => waterfall.shut() }, "Close (Esc)")]),
    el("h2", {}, (span.name || "").slice(0, LONG)),
    ...(span.warnings || []).map((text) => el("p", { class: "warn" }, "⚠ " + text)),
    ...table("Span", facts),
    ...table("Attributes", span.attributes || []),
  ];
  for (const [time, name, attributes] of span.events || [])
    made.push(...table(`Event ${name.slice(0, LONG)} at ${duration(time - span.start)}`, [["offset", duration(time - span.start)], ...attributes]));
  for (const [traceId, spanId, attributes] of span.links || [])
    made.push(...table("Link", [["to", linkTo(traceId, spanId, waterfall, spans)], ...attributes]));
  const [scope, version] = trace.shared[span.scope];
  made.push(...table("Scope", scope ? [["name", scope], ...(version ? [["version", version]] : [])] : []));
  made.push(...table("Resource", trace.shared[span.resource]));
  return made;
}

function linkTo(traceId, spanId, waterfall, spans) {
  const ids = `${traceId}/${spanId}`.slice(0, LONG);
  const here = traceId === waterfall.trace.id ? spans.findIndex((span) => span.id === spanId) : -1;
  if (here >= 0) return el("button", { onclick: () => { waterfall.reveal(here); waterfall.open(waterfall.grid.selected); } }, ids);
  if (!waterfall.known(traceId)) return idOf(ids);
  return el("button", { onclick: () => go({ trace: traceId, span: spanId, q: "" }, true) }, ids);
}
