// The Markdown that models answer in, as nodes: paragraphs, headings, lists, code. Text enters as text nodes only;
// links and HTML of the model's stay letters. What names a line of the session becomes a way there.
import { h } from "./dom";
import type { Place, Places } from "./places";

export type GoTo = (place: Place) => void;

const FENCE = /^\s*(```+|~~~+)\s*([\w+#.-]*)\s*$/;
const ITEM = /^(\s*)([-*+]|\d{1,3}[.)])\s+(.*)$/;
const HEADING = /^#{1,6}\s+(.*)$/;
// `src/a.py:12`, `a.py:12-14`; "line 12", "lines 3 to 5".
const REFERENCE =
  /([\w./-]*[\w-]\.\w+):(\d{1,7})(?:[-–]\d{1,7})?|\blines? (\d{1,7})(?:(?:\s?[-–]\s?| to | and )\d{1,7})?/g;

export function markdown(text: string, places: Places, go: GoTo): Node[] {
  const lines = text.split("\n");
  const out: Node[] = [];
  let paragraph: string[] = [];
  let list = null as HTMLElement | null;
  const inline = (line: string) => spans(line, places, go);
  const close = () => {
    if (paragraph.length > 0) out.push(h("p", {}, ...inline(paragraph.join("\n"))));
    paragraph = [];
  };
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const fence = FENCE.exec(line);
    if (fence) {
      close();
      list = null;
      const code: string[] = [];
      while (++at < lines.length && lines[at]?.trim() !== fence[1]) code.push(lines[at] ?? "");
      out.push(h("pre", { tabindex: "0" }, h("code", {}, code.join("\n"))));
      continue;
    }
    const item = ITEM.exec(line);
    const heading = HEADING.exec(line);
    if (item) {
      close();
      const kind = /\d/.test(item[2] ?? "") ? "OL" : "UL";
      if (list?.tagName !== kind) {
        const first = Number.parseInt(item[2] ?? "1", 10);
        list = kind === "OL" ? h("ol", { start: first }) : h("ul");
        out.push(list);
      }
      list.append(h("li", {}, ...inline(item[3] ?? "")));
    } else if (heading) {
      close();
      list = null;
      out.push(h("p", {}, h("strong", {}, ...inline(heading[1] ?? ""))));
    } else if (line.trim() === "") {
      close();
    } else if (list && /^\s/.test(line) && paragraph.length === 0) {
      list.lastElementChild?.append(" ", ...inline(line.trim()));
    } else {
      list = null;
      paragraph.push(line);
    }
  }
  close();
  return out;
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
