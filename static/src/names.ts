// The name a person has before they choose one, remembered by this browser.
const FIRST = [
  "Quiet",
  "Bright",
  "Gentle",
  "Swift",
  "Brave",
  "Calm",
  "Clever",
  "Merry",
  "Nimble",
  "Patient",
  "Sunny",
  "Witty",
];
const SECOND = ["Otter", "Heron", "Badger", "Finch", "Lynx", "Marten", "Owl", "Puffin", "Seal", "Tern", "Wren", "Hare"];
const KEY = "ensemble.name";

const pick = (from: string[]): string => from[Math.floor(Math.random() * from.length)] ?? "";

export function rememberedName(): string {
  try {
    const known = localStorage.getItem(KEY);
    if (known) return known;
  } catch {
    // Storage may be forbidden; the name then lasts as long as the page.
  }
  const name = `${pick(FIRST)} ${pick(SECOND)}`;
  rememberName(name);
  return name;
}

export function rememberName(name: string): void {
  try {
    localStorage.setItem(KEY, name);
  } catch {
    // See above.
  }
}
