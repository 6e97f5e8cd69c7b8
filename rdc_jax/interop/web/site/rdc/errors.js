/** A file that cannot be decoded, or a wrong argument. The message is one line for the user. */
export class RdcError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "RdcError";
  }
}
