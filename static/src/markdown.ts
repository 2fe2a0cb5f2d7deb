// The Markdown that models answer in, as nodes: paragraphs, headings, lists, code. Text enters as text nodes only;
// links and HTML of the model's stay letters. What names a line of the session becomes a way there.
import { h } from "./dom";
import type { Place, Places } from "./places";

export type GoTo = (place: Place) => void;

/** The same source is always the same node: what grows at its end needs to make no more than its last block anew. */
export interface Block {
  source: string;
  node: (places: Places, go: GoTo) => HTMLElement;
}

const FENCE = /^\s*(```+|~~~+)\s*([\w+#.-]*)\s*$/;
const ITEM = /^(\s*)([-*+]|\d{1,3}[.)])\s+(.*)$/;
const HEADING = /^#{1,6}\s+(.*)$/;
// `src/a.py:12`, `a.py:12-14`; "line 12", "lines 3 to 5".
const REFERENCE =
  /([\w./-]*[\w-]\.\w+):(\d{1,7})(?:[-–]\d{1,7})?|\blines? (\d{1,7})(?:(?:\s?[-–]\s?| to | and )\d{1,7})?/g;

export function blocks(text: string): Block[] {
  const lines = text.split("\n");
  const out: Block[] = [];
  for (let at = 0; at < lines.length; ) {
    const line = lines[at] ?? "";
    if (line.trim() === "") {
      at++;
      continue;
    }
    const fence = FENCE.exec(line)?.[1];
    const end = fence ? endOfCode(lines, at, fence) : ITEM.test(line) ? endOfList(lines, at) : endOfText(lines, at);
    const held = lines.slice(at, end);
    const node = fence ? code(held, fence) : ITEM.test(line) ? list(held) : paragraph(held);
    out.push({ source: held.join("\n"), node });
    at = end;
  }
  return out;
}

/** Behind the closing fence, or all that there is so far. */
function endOfCode(lines: string[], begin: number, fence: string): number {
  const close = lines.findIndex((line, at) => at > begin && line.trim() === fence);
  return close === -1 ? lines.length : close + 1;
}

/** Items of one kind, with what is indented below them; empty lines may lie between. */
function endOfList(lines: string[], begin: number): number {
  const kind = listKind(lines[begin] ?? "");
  let end = begin + 1;
  for (let at = end; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (line.trim() === "") continue;
    const item = ITEM.test(line);
    if (FENCE.test(line) || (item ? listKind(line) !== kind : !/^\s/.test(line))) break;
    end = at + 1;
  }
  return end;
}

function endOfText(lines: string[], begin: number): number {
  if (HEADING.test(lines[begin] ?? "")) return begin + 1;
  const ends = (line: string) => line.trim() === "" || FENCE.test(line) || ITEM.test(line) || HEADING.test(line);
  const end = lines.findIndex((line, at) => at > begin && ends(line));
  return end === -1 ? lines.length : end;
}

function listKind(line: string): "ol" | "ul" {
  return /\d/.test(ITEM.exec(line)?.[2] ?? "") ? "ol" : "ul";
}

function code(lines: string[], fence: string): Block["node"] {
  const closed = lines.length > 1 && lines.at(-1)?.trim() === fence;
  const text = lines.slice(1, closed ? -1 : undefined).join("\n");
  return () => h("pre", { tabindex: "0" }, h("code", {}, text));
}

function list(lines: string[]): Block["node"] {
  return (places, go) => {
    const kind = listKind(lines[0] ?? "");
    const first = Number.parseInt(ITEM.exec(lines[0] ?? "")?.[2] ?? "", 10);
    const element = kind === "ol" ? h("ol", { start: first }) : h("ul");
    for (const line of lines) {
      const item = ITEM.exec(line);
      if (item) element.append(h("li", {}, ...spans(item[3] ?? "", places, go)));
      else if (line.trim() !== "") element.lastElementChild?.append(" ", ...spans(line.trim(), places, go));
    }
    return element;
  };
}

function paragraph(lines: string[]): Block["node"] {
  const heading = HEADING.exec(lines[0] ?? "");
  if (heading) return (places, go) => h("p", {}, h("strong", {}, ...spans(heading[1] ?? "", places, go)));
  return (places, go) => h("p", {}, ...spans(lines.join("\n"), places, go));
}

/** What stands within a line: code, bold, and names of places. */
function spans(text: string, places: Places, go: GoTo): Node[] {
  const out: Node[] = [];
  for (const part of text.split(/(`+[^`]+`+|\*\*[^*\n]+\*\*)/)) {
    if (part.startsWith("`") && part.endsWith("`") && part.length > 2) out.push(quote(part, places, go));
    else if (part.startsWith("**") && part.endsWith("**") && part.length > 4)
      out.push(h("strong", {}, ...references(part.slice(2, -2), places, go)));
    else out.push(...references(part, places, go));
  }
  return out;
}

function quote(part: string, places: Places, go: GoTo): Node {
  const said = part.replace(/^`+\s?|\s?`+$/g, "");
  const named = [...said.matchAll(REFERENCE)].find((match) => match[0] === said);
  const place = (named && placeOf(named, places)) ?? places.quoted(said);
  const code = h("code", {}, said);
  return place ? way(place, code, go) : code;
}

function references(text: string, places: Places, go: GoTo): Node[] {
  const out: Node[] = [];
  let from = 0;
  for (const match of text.matchAll(REFERENCE)) {
    const place = placeOf(match, places);
    if (!place) continue;
    out.push(document.createTextNode(text.slice(from, match.index)), way(place, document.createTextNode(match[0]), go));
    from = match.index + match[0].length;
  }
  out.push(document.createTextNode(text.slice(from)));
  return out;
}

function placeOf(match: RegExpMatchArray, places: Places): Place | null {
  return places.line(match[1] ?? null, Number(match[2] ?? match[3]));
}

function way(place: Place, shown: Node, go: GoTo): Node {
  const path = place.file === "" ? "" : `Line ${place.line}`;
  return h("button", { type: "button", class: "link way", title: path, onclick: () => go(place) }, shown);
}
