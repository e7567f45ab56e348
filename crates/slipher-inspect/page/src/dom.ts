// Elements from text that is never taken for markup.

type Child = Node | string | null | undefined | false;
type Values = Record<string, string | number | boolean | ((e: any) => void) | undefined>;

export function h<K extends keyof HTMLElementTagNameMap>(
  name: K,
  values: Values = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const e = document.createElement(name);
  for (const [key, v] of Object.entries(values)) {
    if (v === undefined || v === false) continue;
    if (typeof v === "function") e.addEventListener(key, v as EventListener);
    else if (key === "class") e.className = String(v);
    else e.setAttribute(key, v === true ? "" : String(v));
  }
  e.append(...children.filter((c): c is Node | string => c !== null && c !== undefined && c !== false));
  return e;
}

let hide = 0;
export function tell(text: string, bad = false): void {
  const e = document.getElementById("status")!;
  e.textContent = text;
  e.className = bad ? "shown bad" : "shown";
  clearTimeout(hide);
  hide = window.setTimeout(() => (e.className = bad ? "bad" : ""), bad ? 9000 : 2200);
}

// Asking the style makes the browser lay the page out again: once for each theme.
const colours = new Map<string, string>();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => colours.clear());
export const forgetColours = (): void => colours.clear();

export function colour(name: string): string {
  const known = colours.get(name);
  if (known) return known;
  const probe = h("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const c = getComputedStyle(probe).color;
  probe.remove();
  colours.set(name, c);
  return c;
}

export function number(v: unknown, digits = 4): string {
  if (v === null || v === undefined) return "";
  if (typeof v === "bigint") return v.toString();
  if (typeof v !== "number") return String(v);
  if (!Number.isFinite(v)) return "";
  if (Number.isInteger(v)) return String(v);
  const size = Math.abs(v);
  return size >= 1e5 || size < 1e-3 ? v.toExponential(2) : v.toFixed(size < 100 ? digits : 2);
}
