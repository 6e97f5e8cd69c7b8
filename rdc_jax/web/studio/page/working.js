// What the page is waiting for: the line over the stage with its per cent, and Cancel.

import * as calls from "./calls.js";

const POLL = 300;  // ms between two questions how far a job is
const get = (id) => document.getElementById(id);
const key = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (n) => n.toString(36)).join("-");

export class Working {
  // changed(): called whenever work begins or ends.
  constructor(changed) {
    this.changed = changed;
    this.items = [];  // what runs now, the latest last
    this.pending = false;  // whether a change will soon become a request
  }

  busy() {
    return this.pending || this.items.length > 0;
  }

  expect(pending) {
    this.pending = pending;
    this.show();
    this.changed();
  }

  // Runs task(asked, signal) and shows `text`; asked.job lets the server tell how far it is.
  // Throws calls.Stopped after stop().
  async run(text, task, { cancel = true, group = "" } = {}) {
    const stop = new AbortController();
    const item = { text, group, share: null, stop: cancel ? stop : null, job: key() };
    this.items.push(item);
    this.show();
    this.changed();
    const poll = setInterval(() => this.ask(item), POLL);
    try {
      return await task({ job: item.job }, stop.signal);
    } finally {
      clearInterval(poll);
      this.items = this.items.filter((other) => other !== item);
      this.show();
      this.changed();
    }
  }

  // Stops everything that can be stopped, or one group. The server ends at its next window or tile.
  stop(group = null) {
    for (const item of this.items) {
      if (!item.stop || (group !== null && item.group !== group)) continue;
      item.stop.abort();
      calls.stop({ job: item.job }).catch(() => {});
    }
  }

  async ask(item) {
    if (!item.stop || item.asking) return;
    item.asking = true;
    try {
      const { stage, share } = await calls.progress({ job: item.job });
      item.share = stage === "waiting" ? null : share;
      this.show();
    } catch { /* the request itself will fail and say why */ }
    item.asking = false;
  }

  show() {
    const item = this.items.at(-1), known = item && item.share !== null;
    get("busy").classList.toggle("on", this.busy());
    get("look").setAttribute("aria-busy", String(this.busy()));
    get("doing").textContent = item ? item.text : "Working";
    get("share").hidden = get("percent").hidden = !known;
    if (known) {
      get("share").value = item.share;
      get("percent").textContent = `${Math.floor(100 * item.share)} %`;
    }
    get("cancel").hidden = !item || !item.stop;
  }
}
