// Which CodeMirror language a file gets: by its name, else by what Pygments makes of its beginning.
import { LanguageDescription, type LanguageSupport } from "@codemirror/language";
import { languages } from "@codemirror/language-data";
import { detectLanguage } from "./api";

export interface Language {
  name: string;
  support: LanguageSupport | null;
}

const PLAIN: Language = { name: "Plain text", support: null };
const detected = new Map<string, Promise<Language>>();

export async function languageFor(path: string, content: string): Promise<Language> {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const known = LanguageDescription.matchFilename(languages, name);
  if (known) return load(known);
  if (content.trim() === "" || /\.(txt|log|csv)$/i.test(name)) return PLAIN;
  let answer = detected.get(path);
  if (!answer) {
    answer = detect(name, content);
    detected.set(path, answer);
  }
  return answer;
}

async function detect(path: string, content: string): Promise<Language> {
  const found = await detectLanguage(path, content).catch(() => null);
  if (!found) return PLAIN;
  const match =
    LanguageDescription.matchLanguageName(languages, found.language, false) ??
    LanguageDescription.matchFilename(languages, `x.${found.extension}`);
  return match ? { ...(await load(match)), name: found.language } : { name: found.language, support: null };
}

async function load(description: LanguageDescription): Promise<Language> {
  try {
    return { name: description.name, support: await description.load() };
  } catch {
    // The chunk did not arrive: the text is there all the same.
    return { name: description.name, support: null };
  }
}
