// Ranges of a text that stay on their characters while the text changes around them.
import * as Y from "yjs";

export interface Sticky {
  from: Y.RelativePosition;
  to: Y.RelativePosition;
}

export interface Span {
  from: number;
  to: number;
}

/** Holds the range so that what is written at either end is still inside it. */
export function stick(text: Y.Text, { from, to }: Span): Sticky {
  const within = (index: number) => Math.max(0, Math.min(index, text.length));
  return {
    from: Y.createRelativePositionFromTypeIndex(text, within(from), -1),
    to: Y.createRelativePositionFromTypeIndex(text, within(to), 0),
  };
}

/** Where the range lies now, or null if its text is gone. */
export function locate(text: Y.Text, sticky: Sticky): Span | null {
  const from = position(text, sticky.from);
  const to = position(text, sticky.to);
  return from === null || to === null ? null : { from: Math.min(from, to), to: Math.max(from, to) };
}

/** The index of a relative position, or null if it is of another text. */
export function position(text: Y.Text, relative: Y.RelativePosition): number | null {
  if (!text.doc) return null;
  const absolute = Y.createAbsolutePositionFromRelativePosition(relative, text.doc);
  return absolute && absolute.type === text ? absolute.index : null;
}
