// Loaded as a blocking script in the head: the theme is set before the first paint.
type Choice = "auto" | "light" | "dark";
const KEY = "ensemble.theme";
const NEXT: Record<Choice, Choice> = { auto: "light", light: "dark", dark: "auto" };
const LABEL: Record<Choice, string> = { auto: "as the system", light: "light", dark: "dark" };
const ICON: Record<Choice, string> = { auto: "auto", light: "sun", dark: "moon" };
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function remembered(): Choice {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "auto";
  } catch {
    return "auto";
  }
}

let choice = remembered();

function apply(): void {
  const theme = choice === "auto" ? (prefersDark.matches ? "dark" : "light") : choice;
  document.documentElement.dataset.theme = theme;
}

function showOn(button: HTMLElement): void {
  const label = `Theme: ${LABEL[choice]}. Switch to ${LABEL[NEXT[choice]]}`;
  button.setAttribute("aria-label", label);
  button.title = label;
  button.querySelector("use")?.setAttribute("href", `${document.body.dataset.icons ?? ""}#${ICON[choice]}`);
}

apply();
prefersDark.addEventListener("change", apply);
document.addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll<HTMLElement>("[data-testid=theme-toggle]")) {
    showOn(button);
    button.addEventListener("click", () => {
      choice = NEXT[choice];
      try {
        localStorage.setItem(KEY, choice);
      } catch {
        // Storage may be forbidden; the choice then lasts as long as the page.
      }
      apply();
      showOn(button);
    });
  }
});

export {};
