// Dark or light: the system's, until the reader chooses; the choice is remembered.

const NAME = "neuroscan.theme";
const root = document.documentElement;

export function applyTheme() {
  const chosen = stored();
  if (chosen) root.dataset.theme = chosen;
}

export function isDark() {
  if (root.dataset.theme) return root.dataset.theme === "dark";
  return !matchMedia("(prefers-color-scheme: light)").matches;
}

export function toggleTheme() {
  root.dataset.theme = isDark() ? "light" : "dark";
  try {
    localStorage.setItem(NAME, root.dataset.theme);
  } catch {
    // The choice then lasts as long as the page.
  }
}

function stored() {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}
