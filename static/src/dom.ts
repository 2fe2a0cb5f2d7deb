// Small helpers around the DOM. Text only ever enters as text nodes.
import { zip } from "./zip";

type Value = string | number | boolean | null | undefined | ((event: Event) => void);
type Child = Node | string | null | undefined | false;

/** An element with attributes (or `onclick`-like listeners) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child): child is Node | string => child != null && child !== false));
  return element;
}

/** New children that take the focus from nobody: it stays with the same control, else goes to the element itself. */
export function renew(element: HTMLElement, children: Node[]): void {
  const held = document.activeElement;
  const had = held instanceof HTMLElement && held !== element && element.contains(held);
  element.replaceChildren(...children);
  if (!had) return;
  const same = (each: HTMLElement) => each.tagName === held.tagName && each.textContent === held.textContent;
  const again = held.isConnected
    ? held
    : [...element.querySelectorAll<HTMLElement>("button, summary, [tabindex]")].find(same);
  (again ?? element).focus({ preventScroll: true });
}

/** An icon of the sprite; decorative, so its button needs a label of its own. */
export function icon(name: string): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${document.body.dataset.icons ?? ""}#${name}`);
  svg.append(use);
  return svg;
}

/** The element that the template must hold. */
export function need<T extends HTMLElement = HTMLElement>(selector: string): T {
  const element = document.querySelector<T>(selector);
  if (!element) throw new Error(`The page lacks ${selector}.`);
  return element;
}

export function setIcon(element: Element, name: string): void {
  element.querySelector(".icon")?.replaceWith(icon(name));
}

/** Colours come from other people's browsers: anything but #rrggbb is replaced. */
export function safeColor(color: unknown): string {
  return typeof color === "string" && /^#[0-9a-f]{6}$/i.test(color) ? color : "#6b7280";
}

/** Black or white, whichever reads better on the colour (WCAG relative luminance). */
export function inkOn(color: string): string {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const channel = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#111111" : "#ffffff";
}

export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : [words[0]];
  return (
    letters
      .map((word) => [...(word ?? "")][0] ?? "")
      .join("")
      .toUpperCase() || "?"
  );
}

export function avatar(name: string, color: string): HTMLSpanElement {
  const shown = safeColor(color);
  const element = h("span", { class: "avatar", "aria-hidden": "true", "data-initials": initials(name) });
  element.style.backgroundColor = shown;
  element.style.color = inkOn(shown);
  return element;
}

export const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

/** A shortcut as this platform writes it: `mod("K")` is ⌘K or Ctrl+K. */
export function mod(key: string): string {
  return isMac ? `⌘${key}` : `Ctrl+${key}`;
}

/** Saves text as a file of this name. */
export function downloadText(name: string, text: string): void {
  download(name, new Blob([text], { type: "text/plain;charset=utf-8" }));
}

/** Saves files as they are, several of them in one archive. */
export function downloadFiles(name: string, files: { path: string; content: string }[]): void {
  const [only] = files;
  if (only && files.length === 1) downloadText(only.path.slice(only.path.lastIndexOf("/") + 1), only.content);
  else download(`${name}.zip`, new Blob([zip(files)], { type: "application/zip" }));
}

function download(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
