// How much still fits into the document, so that a paste too large is refused before anything of it is in the text.
import * as Y from "yjs";
import { kilobytes } from "./files";

// Left for what is not typed: deletions, undo, what others write at the same moment.
const RESERVE = 64_000;
// Below this a document is not worth measuring: encoding all of it takes its time.
const SMALL = 32_000;

export class DocumentSize {
  /** At most this much, as the server counts; a measurement and all updates since. */
  #most: number;

  constructor(
    readonly doc: Y.Doc,
    /** ENSEMBLE_MAX_DOCUMENT_BYTES */
    readonly limit: () => number,
  ) {
    this.#most = this.#measure();
    doc.on("update", (update: Uint8Array) => {
      this.#most += update.byteLength;
    });
  }

  /** Why so many more bytes of text cannot be taken, or null. */
  refusal(bytes: number): string | null {
    const limit = this.limit();
    const reserve = Math.min(RESERVE, limit / 16);
    if (this.#most + bytes + reserve <= limit) return null;
    // Updates add up to more than they leave: only a measurement may refuse.
    this.#most = this.#measure();
    if (this.#most + bytes + reserve <= limit) return null;
    const what = bytes > SMALL ? `That is ${kilobytes(bytes)}` : "That is one change more than fits";
    return (
      `${what}; this session's text and history may have ${kilobytes(limit)} (ENSEMBLE_MAX_DOCUMENT_BYTES), ` +
      `${kilobytes(this.#most)} of it are used.`
    );
  }

  #measure(): number {
    return Y.encodeStateAsUpdate(this.doc).byteLength;
  }
}
