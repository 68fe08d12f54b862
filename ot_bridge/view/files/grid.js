// A grid that has only its visible rows in the document. The focus stays on the grid. The selected row is the
// grid's active descendant and is always in the document.

const ROW = 26; // the height of a row in pixels; the same as --row in the style
const AROUND = 8; // number of rows drawn above and below the visible ones
const MOST = 84; // maximum number of rows in the document

class Grid {
  /** draw(index, row) fills a row; options: role, label, kind (class), head, select(index), enter(index). */
  constructor(options) {
    this.options = options;
    this.count = 0;
    this.selected = -1;
    this.drawn = new Map();
    this.all = false;
    this.space = el("div", { class: "space", role: "rowgroup" });
    this.root = el("div", {
      class: "grid " + options.kind, role: options.role, tabindex: 0, "aria-label": options.label,
      onscroll: () => this.refresh(),
    }, [options.head ? el("div", { role: "rowgroup" , class: "head-group" }, [options.head]) : null, this.space]);
    this.space.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (!row) return;
      this.select(+row.dataset.at);
      if (!options.click || !options.click(+row.dataset.at, event.target)) options.enter(+row.dataset.at);
    });
    this.watch = new ResizeObserver(() => this.redraw());
    this.watch.observe(this.root);
    this.before = () => { this.all = true; this.redraw(); };
    this.after = () => { this.all = false; this.redraw(); };
    addEventListener("beforeprint", this.before);
    addEventListener("afterprint", this.after);
  }

  close() {
    this.watch.disconnect();
    removeEventListener("beforeprint", this.before);
    removeEventListener("afterprint", this.after);
  }

  /** Shows this number of rows, and selects the one at `selected`. */
  set(count, selected) {
    this.count = count;
    this.selected = Math.min(selected, count - 1);
    this.space.style.height = count * ROW + "px";
    this.root.setAttribute("aria-rowcount", count + (this.options.head ? 1 : 0));
    this.redraw();
  }

  redraw() {
    for (const row of this.drawn.values()) row.remove();
    this.drawn.clear();
    this.refresh();
  }

  /** Draws the rows that have become visible, and removes those that are not visible any more. */
  refresh() {
    const first = Math.max(0, Math.floor(this.root.scrollTop / ROW) - AROUND);
    const inView = Math.ceil(this.root.clientHeight / ROW) + 2 * AROUND;
    const last = Math.min(this.count, this.all ? this.count : first + Math.min(inView, MOST));
    const wanted = (at) => (this.all || (at >= first && at < last)) || at === this.selected;
    for (const [at, row] of this.drawn)
      if (!wanted(at)) { row.remove(); this.drawn.delete(at); }
    for (let at = this.all ? 0 : first; at < last; at++) this.place(at);
    if (this.selected >= 0) this.place(this.selected);
    const id = this.selected >= 0 ? `row${this.selected}` : "";
    if (id) this.root.setAttribute("aria-activedescendant", id);
    else this.root.removeAttribute("aria-activedescendant");
  }

  place(at) {
    if (this.drawn.has(at)) return;
    const row = el("div", {
      class: "row" + (at % 2 ? " odd" : ""), role: "row", id: `row${at}`, "data-at": at,
      "aria-rowindex": at + (this.options.head ? 2 : 1), "aria-selected": String(at === this.selected),
    });
    row.style.top = at * ROW + "px";
    this.options.draw(at, row);
    this.drawn.set(at, row);
    // In the right order in the document, for screen readers.
    let next = null;
    for (const each of this.space.children) if (+each.dataset.at > at) { next = each; break; }
    this.space.insertBefore(row, next);
  }

  select(at, quiet = false) {
    if (!this.count) return;
    at = Math.max(0, Math.min(this.count - 1, at));
    const before = this.drawn.get(this.selected);
    if (before) before.setAttribute("aria-selected", "false");
    this.selected = at;
    this.show(at);
    this.refresh();
    this.drawn.get(at).setAttribute("aria-selected", "true");
    if (!quiet) this.options.select?.(at);
  }

  show(at) {
    const head = this.options.head ? ROW : 0;
    const top = at * ROW, height = this.root.clientHeight - head;
    if (top < this.root.scrollTop) this.root.scrollTop = top;
    else if (top + ROW > this.root.scrollTop + height) this.root.scrollTop = top + ROW - height;
  }

  /** Moves the selection for a key. Returns false if the grid does not use the key. */
  key(name) {
    const page = Math.max(1, Math.floor(this.root.clientHeight / ROW) - 2);
    const to = {
      ArrowDown: this.selected + 1, j: this.selected + 1, ArrowUp: this.selected - 1, k: this.selected - 1,
      Home: 0, End: this.count - 1, PageDown: this.selected + page, PageUp: this.selected - page,
    }[name];
    if (to !== undefined) this.select(to);
    else if (name === "Enter" && this.selected >= 0) this.options.enter(this.selected);
    else return false;
    return true;
  }
}
