// One request at a time; of the requests made meanwhile, only the newest counts.

const WAIT = 200;  // ms without another change before a request starts
const RANK = { ends: 1, decode: 2, encode: 3 };  // encoding includes decoding

export class Newest {
  // work(kind): "encode", "decode", or "ends" (what the live preview needs). state(pending) tells
  // whether a request waits. stop(): ends the running request, called when a newer one replaces it.
  constructor(work, state, stop) {
    Object.assign(this, { work, state, stop });
    this.running = null;
    this.wanted = null;
  }

  want(kind) {
    if (!this.wanted || RANK[kind] > RANK[this.wanted]) this.wanted = kind;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.run(), WAIT);
    if (this.running && RANK[kind] >= RANK[this.running]) this.stop();
    this.state(true);
  }

  drop() {
    this.wanted = null;
    clearTimeout(this.timer);
    this.state(false);
  }

  // Whether the picture on the stage will be replaced.
  busy() {
    return [this.running, this.wanted].some((kind) => kind === "encode" || kind === "decode");
  }

  // Whether the photo will be encoded again anyway.
  overtaken() {
    return this.wanted === "encode";
  }

  async run() {
    if (this.running || !this.wanted) return;
    try {
      while (this.wanted) {
        this.running = this.wanted;
        this.wanted = null;
        this.state(false);
        await this.work(this.running);
      }
    } finally {
      this.running = null;
      this.state(false);
    }
  }
}
