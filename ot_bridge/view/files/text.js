"use strict";
// Texts and elements. The content of traces is always set as text (textContent), never as markup.

const UNITS = [["ns", 1, [0]], ["µs", 1e3, [2, 1, 0]], ["ms", 1e6, [2, 1, 0]], ["s", 1e9, [2, 1]]];

/** The same as `duration` in numbers.py: three digits and a unit; from a minute on two units. */
function duration(ns) {
  if (ns < 0) return "-" + duration(-ns);
  for (const [unit, size, places] of UNITS)
    for (const place of places) {
      const digits = Math.floor((ns * 10 ** place + Math.floor(size / 2)) / size);
      if (digits < (unit === "s" ? Math.min(1000, 60 * 10 ** place) : 1000)) return `${digits / 10 ** place} ${unit}`;
    }
  const both = (small, large, less) =>
    `${Math.floor(small / 60)} ${large}` + (small % 60 ? ` ${small % 60} ${less}` : "");
  const seconds = Math.floor((ns + 5e8) / 1e9);
  return seconds < 3600 ? both(seconds, "min", "s") : both(Math.floor((seconds + 30) / 60), "h", "min");
}

/** The key of a row: the span id, or a different key if a server span shares its client's span id. */
const keyOf = (span) => span.key || span.id;

/** Makes an element. what: a text, or a list of elements and texts. Attributes `on…` are event handlers. */
function el(tag, attributes = {}, what = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, visible(value));
  }
  for (const each of Array.isArray(what) ? what : [what])
    if (each != null) made.append(typeof each === "object" ? each : document.createTextNode(visible(each)));
  return made;
}

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Text with control and bidirectional characters, and lone surrogates, as escapes. */
function visible(text) {
  return String(text).replace(HIDDEN, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

function plural(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** The state of the page. It is kept in the address, so that "reload" and "back" work. */
function state() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

/** Changes the address. back: whether "back" returns to the old address. */
function go(changes, back = false) {
  const next = new URLSearchParams(location.hash.slice(1));
  for (const [key, value] of Object.entries(changes))
    if (value === null || value === "" || value === false) next.delete(key);
    else next.set(key, value);
  if (back) location.hash = next;
  else history.replaceState(null, "", "#" + next);
}
