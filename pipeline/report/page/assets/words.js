// The page's words and numbers, in the language that is on.
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const WORDS = read("words");

// What is remembered from one visit to the next; a page opened from a file may be refused that.
const memory = {
  get(name) { try { return localStorage.getItem(`fluxbatch-${name}`); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(`fluxbatch-${name}`, value); } catch { /* then it is forgotten */ } },
};

let language = memory.get("language") ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
if (language !== "zh") language = "en";

function say(name, values = {}) {
  return WORDS[name][language].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

const count = (value) => new Intl.NumberFormat(language).format(value);
const decimal = (value, places) => value.toLocaleString(language, { minimumFractionDigits: places, maximumFractionDigits: places });

// Micro-dollars as everywhere else in the program: three decimals, and as many more as exactness needs.
function usd(micro) {
  const amount = Math.abs(micro), digits = String(amount % 1e6).padStart(6, "0");
  const kept = Math.max(3, digits.replace(/0+$/, "").length);
  return `${micro < 0 ? "-" : ""}$${Math.floor(amount / 1e6)}.${digits.slice(0, kept)}`;
}

const time = (seconds) => new Date(seconds * 1000).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });

function bytes(size) {
  return size < 1e6 ? `${count(Math.ceil(size / 1000))} kB` : `${decimal(size / 1e6, 1)} MB`;
}

function span(seconds) {
  if (seconds < 90) return say("seconds", { value: decimal(seconds, seconds < 10 ? 1 : 0) });
  const minutes = Math.round(seconds / 60), hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")} h` : `${minutes} min`;
}

function speak() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const each of document.querySelectorAll("[data-word]")) each.textContent = say(each.dataset.word);
  for (const each of document.querySelectorAll("[data-label]")) each.setAttribute("aria-label", say(each.dataset.label));
  for (const each of document.querySelectorAll("[data-placeholder]")) each.placeholder = say(each.dataset.placeholder);
}
