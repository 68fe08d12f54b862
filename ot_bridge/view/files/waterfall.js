// One trace, with one row for each span. The data has parents before children, depths and offsets. Nothing is
// sorted here.

const DEEPEST = 12; // maximum number of levels that are indented

/** The step of an axis: 1, 2 or 5 × 10ⁿ nanoseconds, so that there are at most `most` steps. */
function axisStep(total, most) {
  const rough = Math.max(1, total / Math.max(1, most));
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough * (1 - 1e-9));
}

class Waterfall {
  constructor(trace, known, columns = ["Time"], kind = "") {
    this.known = known; // (trace id) -> whether the trace can be shown
    this.folded = new Set();
    this.query = state().q || "";
    this.only = state().only === "1";
    this.critical = true;
    this.axes = columns.map(() => el("div", { class: "track" }));
    this.axis = this.axes[0];
    const head = el("div", { class: "head", role: "row", "aria-rowindex": 1 }, [
      el("div", { class: "cell", role: "columnheader" }, [el("span", { class: "fold" }), "Span"]),
      ...columns.map((name, at) => el("div", { class: "cell", role: "columnheader", "aria-label": name }, [this.axes[at]])),
      ...(kind ? [el("div", { class: "cell delta", role: "columnheader" }, "Δ")] : []),
    ]);
    this.grid = new Grid({
      role: "treegrid", label: "Spans", kind: ("waterfall " + kind).trim(), head,
      draw: (at, row) => this.draw(at, row),
      select: (at) => { go({ span: keyOf(this.spans[this.rows[at]]) }); if (this.details.childNodes.length) this.open(at); },
      enter: (at) => this.open(at, true),
      click: (at, target) => target.classList.contains("fold") && this.toggle(at),
    });
    this.details = el("section", { class: "details", "aria-label": "Details", tabindex: 0, hidden: true });
    this.ticks = new ResizeObserver(() => this.drawAxis());
    this.ticks.observe(this.axis);
    this.take(trace);
  }

  close() { this.grid.close(); this.ticks.disconnect(); }

  /** Shows the changed trace. The selection, the folded rows and the scroll position stay. */
  take(trace) {
    const was = this.selectedKey() || state().span;
    this.trace = trace;
    this.spans = trace.spans;
    this.total = Math.max(1, trace.duration);
    this.services = new Map();
    this.parents = new Set();
    for (const span of this.spans) {
      const service = span.service || "";
      if (!this.services.has(service)) this.services.set(service, this.services.size % 10);
      if (span.up >= 0) this.parents.add(span.up);
    }
    this.texts = null;
    this.find(this.query, was);
    this.drawAxis();
  }

  selectedKey() {
    const span = this.rows && this.spans[this.rows[this.grid.selected]];
    return span ? keyOf(span) : "";
  }

  /** The spans that have rows: all except those below a folded span, or only the hits and their ancestors. */
  layout(keep = this.selectedKey()) {
    let shown = null;
    if (this.only && this.query) {
      shown = new Set();
      for (const hit of this.hits)
        for (let at = hit; at >= 0 && !shown.has(at); at = this.spans[at].up) shown.add(at);
    }
    this.rows = [];
    let skip = Infinity;
    this.spans.forEach((span, at) => {
      if (span.depth > skip) return;
      skip = this.folded.has(keyOf(span)) ? span.depth : Infinity;
      if (!shown || shown.has(at)) this.rows.push(at);
    });
    const selected = this.rows.findIndex((at) => keyOf(this.spans[at]) === keep);
    this.grid.set(this.rows.length, selected < 0 ? 0 : selected);
  }

  toggle(at, fold) {
    const index = this.rows[at], key = keyOf(this.spans[index]);
    if (!this.parents.has(index)) return false;
    const closed = this.folded.has(key);
    if (fold === closed) return false;
    if (closed) this.folded.delete(key); else this.folded.add(key);
    this.layout(key);
    return true;
  }

  /** The text of a span in which the search looks: all its texts. */
  text(at) {
    this.texts ??= [];
    const span = this.spans[at];
    return (this.texts[at] ??= [
      span.name, span.service, span.id, span.message, ...(span.attributes || []).flat(),
      ...(span.events || []).flatMap((event) => [event[1], ...event[2].flat()]),
    ].join("\n").toLowerCase());
  }

  find(query, keep) {
    this.query = query;
    const wanted = query.toLowerCase();
    this.hits = wanted ? this.spans.flatMap((_, at) => (this.text(at).includes(wanted) ? [at] : [])) : [];
    this.isHit = new Set(this.hits);
    this.layout(keep);
    this.counted?.();
  }

  /** Selects the next (or previous) of these spans after the selected one, and unfolds the spans above it. */
  next(spans, step) {
    if (!spans.length) return;
    const here = this.rows[this.grid.selected] ?? -1;
    const after = step > 0 ? spans.find((at) => at > here) : spans.findLast((at) => at < here);
    this.reveal(after ?? (step > 0 ? spans[0] : spans.at(-1)));
  }

  reveal(index) {
    for (let at = this.spans[index].up; at >= 0; at = this.spans[at].up) this.folded.delete(keyOf(this.spans[at]));
    if (!(this.only && this.isHit.has(index))) this.only = this.only && this.isHit.has(index);
    this.layout(keyOf(this.spans[index]));
    this.grid.select(this.rows.indexOf(index));
    this.counted?.();
  }

  about() {
    const { started, spans, duration: whole, summary, continues, left_out } = this.trace;
    return [started, plural(spans.length, "span"), duration(whole),
      ...(summary.errors ? [`✖ ${plural(summary.errors, "error")}`] : []),
      ...(continues ? ["continues the caller's"] : []),
      ...(left_out ? [`⚠ ${plural(left_out, "span")} more than are kept were left out`] : [])];
  }

  errors() {
    return this.spans.flatMap((span, at) => (span.status === "error" ? [at] : []));
  }

  open(at, focus = false) {
    const span = this.spans[this.rows[at]];
    this.details.hidden = false;
    this.details.replaceChildren(...detailsOf(this.trace, span, this));
    if (focus) { this.details.scrollTop = 0; this.details.focus(); }
  }

  shut() {
    this.details.hidden = true;
    this.details.replaceChildren();
    this.grid.root.focus();
  }

  key(name) {
    const at = this.grid.selected, index = this.rows[at], span = this.spans[index];
    if (name === "e") this.next(this.errors(), 1);
    else if (name === "n") this.next(this.hits, 1);
    else if (name === "N") this.next(this.hits, -1);
    else if (span && name === "ArrowLeft") {
      if (!this.toggle(at, true) && span.up >= 0) this.grid.select(this.rows.indexOf(span.up));
    } else if (span && name === "ArrowRight") {
      if (!this.toggle(at, false) && this.parents.has(index)) this.grid.select(at + 1);
    } else return this.grid.key(name);
    return true;
  }

  share(ns) { return (100 * ns) / this.total + "%"; }

  drawAxis() {
    const width = this.axis.clientWidth || 300;
    const step = axisStep(this.total, width / 80);
    for (const axis of this.axes) {
      axis.replaceChildren();
      for (let at = 0; at <= this.total && axis.childNodes.length < 100; at += step) {
        const tick = el("span", { class: "tick" }, at ? duration(at) : "0");
        tick.style.left = this.share(at);
        axis.append(tick);
      }
    }
    this.grid.root.style.setProperty("--tick", (width * step) / this.total + "px");
  }

  draw(at, row) {
    const index = this.rows[at], span = this.spans[index];
    const parent = this.parents.has(index), closed = this.folded.has(keyOf(span));
    row.setAttribute("aria-level", span.depth + 1);
    if (parent) row.setAttribute("aria-expanded", String(!closed));
    if (this.isHit.has(index)) row.classList.add("hit");
    const colour = "c" + this.services.get(span.service || "");
    const indent = el("span", { class: "indent" });
    indent.style.setProperty("--depth", Math.min(span.depth, DEEPEST));
    row.append(
      el("div", { class: "cell named", role: "gridcell" }, [
        indent,
        el("span", { class: "fold", "aria-hidden": "true" }, parent ? (closed ? "▸" : "▾") : ""),
        el("span", { class: "swatch " + colour }),
        span.status === "error" ? el("span", { class: "mark bad", role: "img", "aria-label": "error" }, "✖") : null,
        span.warnings ? el("span", { class: "mark warn", role: "img", "aria-label": "warning" }, "⚠") : null,
        el("span", { class: "name" + (span.status === "error" ? " bad" : "") }, (span.name || "").slice(0, 300)),
        el("span", { class: "service" }, `${(span.service || "").slice(0, 100)} ${span.kind}`),
      ]),
      ...this.cells(span, colour),
    );
  }

  cells(span, colour) { return [el("div", { class: "cell", role: "gridcell" }, [this.track(span, colour)])]; }

  track(span, colour) {
    const track = el("div", { class: "track" });
    const put = (kind, from, length) => {
      const made = el("span", { class: kind });
      made.style.left = this.share(from);
      if (length !== undefined) made.style.width = this.share(Math.max(0, length));
      track.append(made);
      return made;
    };
    put("bar " + colour, span.start, span.duration);
    if (this.critical) for (const [from, to] of (span.critical || []).slice(0, 50)) put("path", from, to - from);
    for (const event of (span.events || []).slice(0, 50))
      if (event[0] >= 0 && event[0] <= this.total) put("event", event[0]);
    const time = put("time", Math.max(span.start, span.start + span.duration));
    // A bar is at least 2 px wide. The text beside it begins after that.
    time.style.left = `max(${this.share(Math.max(span.start, span.start + span.duration))}, calc(${this.share(span.start)} + 2px))`;
    time.textContent = duration(span.duration);
    return track;
  }
}
