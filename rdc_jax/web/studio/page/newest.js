// One request at a time; of the requests made meanwhile, only the newest counts.

const WAIT = 200;  // ms without another change before a request starts

export class Newest {
  // work(again): encodes first if `again` is true, then decodes. It may check with `overtaken()`
  // whether a newer request waits. state(busy) is called when a request comes and when all are done.
  constructor(work, state) {
    this.work = work;
    this.state = state;
    this.running = false;
    this.wanted = null;  // null, "decode" or "encode"
  }

  want(kind) {
    if (this.wanted !== "encode") this.wanted = kind;  // encoding includes decoding
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.run(), WAIT);
    if (!this.running) this.state(true);
  }

  drop() {
    this.wanted = null;
    clearTimeout(this.timer);
  }

  busy() {
    return this.running || this.wanted !== null;
  }

  overtaken() {
    return this.wanted === "encode";
  }

  async run() {
    if (this.running || !this.wanted) return;
    this.running = true;
    try {
      while (this.wanted) {
        const kind = this.wanted;
        this.wanted = null;
        await this.work(kind === "encode");
      }
    } finally {
      this.running = false;
      this.state(false);
    }
  }
}
