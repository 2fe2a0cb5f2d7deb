// The landing page: a new session at once, or one that begins with the visitor's files.
import { ApiError, createSession, type NewFile } from "./api";
import { need } from "./dom";
import { onDrop, readFiles } from "./files";
import { toast } from "./notices";

// Something to change: an empty page teaches nothing.
const STARTER: NewFile = {
  path: "main.py",
  content: `def greet(name):
    return "Hello, " + name


for person in ["Ada", "Grace", "Barbara"]:
    print(greet(person))
`,
};

const button = need<HTMLButtonElement>("#new-session");
const picker = need<HTMLInputElement>("#file-picker");

async function begin(files: NewFile[]): Promise<void> {
  if (button.disabled) return;
  button.disabled = true;
  document.body.toggleAttribute("data-busy", true);
  try {
    const created = await createSession(files);
    // Whoever begins a session is its host; the links to share come from its page.
    location.assign(`/s/${created.id}#${created.tokens.host}`);
  } catch (error) {
    toast(error instanceof ApiError ? error.message : String(error), "error");
    button.disabled = false;
    document.body.removeAttribute("data-busy");
  }
}

async function beginWith(files: NewFile[]): Promise<void> {
  if (files.length > 0) await begin(files);
}

button.addEventListener("click", () => void begin([STARTER]));
need("#choose-files").addEventListener("click", () => picker.click());
picker.addEventListener("change", async () => {
  await beginWith(await readFiles(picker.files));
  picker.value = "";
});
onDrop((files) => void beginWith(files));
// Back from a session: the page may come out of the browser's cache as it was left.
addEventListener("pageshow", () => {
  button.disabled = false;
  document.body.removeAttribute("data-busy");
});
