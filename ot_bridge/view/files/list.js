// The list of traces, newest first.

class List {
  /** traces: summaries by id; open(id) shows one. */
  constructor(traces, open) {
    this.traces = traces;
    this.shown = [];
    const head = el("div", { class: "head", role: "row", "aria-rowindex": 1 },
      ["Time", "Trace", "Services", "Spans", "Errors", "Duration"].map((name) =>
        el("div", { class: "cell", role: "columnheader" }, name)));
    this.grid = new Grid({
      role: "grid", label: "Traces", kind: "list", head,
      draw: (at, row) => this.draw(this.shown[at], row),
      enter: (at) => open(this.shown[at].id),
    });
    this.filter();
  }

  close() { this.grid.close(); }

  /** Shows the traces that match the search in the address. The selected trace stays selected. */
  filter() {
    const { q = "", errors, min = "" } = state();
    const wanted = q.toLowerCase(), least = parseFloat(min) * 1e6 || 0;
    const kept = this.shown[this.grid.selected]?.id;
    this.shown = [...this.traces.values()]
      .filter((each) => (!errors || each.errors) && each.duration >= least
        && (!wanted || [each.name, each.id, ...each.services].join("\n").toLowerCase().includes(wanted)))
      .sort((one, other) => other.at - one.at || (one.id < other.id ? -1 : 1));
    this.grid.set(this.shown.length, Math.max(0, this.shown.findIndex((each) => each.id === kept)));
  }

  draw(trace, row) {
    const bad = trace.errors ? el("span", { class: "bad" }, `✖ ${trace.errors}`) : "0";
    const cells = [trace.started.slice(0, 23), trace.name.slice(0, 300), trace.services.join(", ").slice(0, 300),
      String(trace.spans), bad, duration(trace.duration)];
    row.append(...cells.map((what) => el("div", { class: "cell", role: "gridcell" }, [what])));
  }

  key(name) { return this.grid.key(name); }
}
