// Two runs side by side. Matching spans are on one line, so that folding, selecting and scrolling act on both.

class Comparison extends Waterfall {
  constructor(trace, known) { super(trace, known, page.names, "compare"); }

  take(trace) {
    const [before, after] = trace.pair;
    const spans = trace.rows.map(([one, other, depth, up]) => {
      const left = one === null ? null : before.spans[one], right = other === null ? null : after.spans[other];
      return { ...(right || left), left, right, depth, up, id: `${one}-${other}`,
        status: left?.status === "error" || right?.status === "error" ? "error" : "unset" };
    });
    super.take({ ...trace, spans, duration: Math.max(before?.duration || 0, after?.duration || 0), started: "" });
  }

  only_in(span) {
    return span.left && span.right ? "" : "only " + page.names[span.left ? 0 : 1];
  }

  delta(span) {
    if (!span.left || !span.right) return this.only_in(span);
    const more = span.right.duration - span.left.duration;
    const share = span.left.duration ? ` (${more >= 0 ? "+" : ""}${Math.round((100 * more) / span.left.duration) || 0} %)` : "";
    return `${more >= 0 ? "+" : ""}${(more / 1e6).toFixed(Math.abs(more) < 1e7 ? 2 : 0)} ms${share}`;
  }

  cells(span, colour) {
    const bare = () => el("div", { class: "track" });
    const cell = (what) => el("div", { class: "cell", role: "gridcell" }, [what]);
    return [
      ...[span.left, span.right].map((each) => cell(each ? this.track(each, colour) : bare())),
      el("div", { class: "cell delta" + (this.only_in(span) ? " warn" : ""), role: "gridcell" }, this.delta(span)),
    ];
  }

  open(at, focus = false) {
    const span = this.spans[this.rows[at]];
    this.details.hidden = false;
    this.details.replaceChildren(
      el("p", {}, "Δ " + this.delta(span)),
      ...[span.left, span.right].flatMap((each, side) =>
        each ? [el("h2", {}, page.names[side]), ...detailsOf(this.trace.pair[side], each, this)] : []));
    if (focus) { this.details.scrollTop = 0; this.details.focus(); }
  }

  about() {
    return page.names.map((name, side) => {
      const trace = this.trace.pair[side];
      return trace ? `${name}: ${duration(trace.duration)}, ${plural(trace.spans.length, "span")}` : `${name}: no such trace`;
    });
  }
}

/** The differences that `compare` prints. Each line links to its row. */
function differences(lines) {
  if (!lines?.length) return null;
  return el("ul", { class: "differences", "aria-label": "Differences", tabindex: 0 }, lines.map(([text, trace, span]) =>
    el("li", {}, [trace ? el("button", { onclick: () => go({ trace, span, list: "" }, true) }, text.slice(0, 300)) : text.slice(0, 300)])));
}
