// A list that is drawn again and again: rows that look the same stay, so that a menu in them stays open.
export interface Row {
  key: string;
  /** The row is made anew when this changes. */
  shape: string;
  make: () => HTMLElement;
  /** What may change at any time without making the row anew. */
  fill?: (row: HTMLElement) => void;
}

export function keepRows(list: HTMLElement, rows: Row[]): void {
  const known = new Map([...list.children].map((row) => [(row as HTMLElement).dataset.key, row as HTMLElement]));
  const focused = document.activeElement;
  const control = list.contains(focused) ? (focused as HTMLElement).dataset.focus : undefined;
  const holder = control ? focused?.closest<HTMLElement>("[data-key]")?.dataset.key : undefined;
  const wanted = rows.map(({ key, shape, make, fill }) => {
    let row = known.get(key);
    if (row?.dataset.shape !== shape) {
      row = make();
      row.dataset.key = key;
      row.dataset.shape = shape;
    }
    fill?.(row);
    return row;
  });
  // A row that stays is not moved: that would take its focus, its place when scrolled, and a click that is half done.
  for (const row of [...list.children]) if (!wanted.includes(row as HTMLElement)) row.remove();
  wanted.forEach((row, index) => {
    if (row !== list.children[index]) list.insertBefore(row, list.children[index] ?? null);
  });
  if (holder === undefined || list.contains(document.activeElement)) return;
  const again = wanted.find((row) => row.dataset.key === holder);
  again?.querySelector<HTMLElement>(`[data-focus="${control}"]`)?.focus();
}
