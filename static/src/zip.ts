// A zip archive of text files, stored without compression.
// Format: PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16; names are UTF-8 (general purpose bit 11).

const UTF8 = 1 << 11;
const VERSION = 20;

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let crc = n;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

export function zip(files: { path: string; content: string }[], at = new Date()): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const time = (at.getHours() << 11) | (at.getMinutes() << 5) | (at.getSeconds() >> 1);
  const day = ((at.getFullYear() - 1980) << 9) | ((at.getMonth() + 1) << 5) | at.getDate();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const directory: Uint8Array<ArrayBuffer>[] = [];
  const used = new Set<string>();
  let offset = 0;
  for (const { path, content } of files) {
    const inside = within(path);
    let unique = inside;
    for (let number = 2; used.has(unique); number++) unique = `${inside}.${number}`;
    used.add(unique);
    const name = encoder.encode(unique);
    const data = encoder.encode(content);
    const shared = [VERSION, UTF8, 0, time, day, crc32(data), data.length, data.length, name.length, 0];
    const local = fields([4, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2], [0x04034b50, ...shared]);
    const central = [0x02014b50, VERSION, ...shared, 0, 0, 0, 0, offset];
    directory.push(fields([4, 2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4], central), name);
    parts.push(local, name, data);
    offset += local.length + name.length + data.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const count = files.length;
  return joined([
    ...parts,
    ...directory,
    fields([4, 2, 2, 2, 2, 4, 4, 2], [0x06054b50, 0, 0, count, count, size, offset, 0]),
  ]);
}

/** A path that stays in the folder where the archive is unpacked: whoever names a file may write anything. */
function within(path: string): string {
  const seen = path.replace(/\p{C}/gu, "").replaceAll("\\", "/");
  const parts = seen.split("/").map((part) => part.trim());
  const kept = parts.filter((part, at) => /[^.]/.test(part) && !(at === 0 && /^[A-Za-z]:$/.test(part)));
  return kept.join("/") || "unnamed";
}

function fields(widths: number[], values: number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(widths.reduce((sum, width) => sum + width, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  widths.forEach((width, n) => {
    if (width === 4) view.setUint32(at, values[n] ?? 0, true);
    else view.setUint16(at, values[n] ?? 0, true);
    at += width;
  });
  return bytes;
}

function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** As PNG, zip and `zlib.crc32` have it. */
export function crc32(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] ?? 0);
  return (crc ^ 0xffffffff) >>> 0;
}
