// What there is, what is chosen of it, and who is told when that changes.
const DATA = read("data");
const rows = new Map(DATA.rows.map((row) => [row.id, row]));
const modelTitle = (name) => DATA.models[name]?.title ?? name ?? "";
const batchName = (each) => (each.edition ? `${each.manifest} / ${each.edition}` : each.manifest);

const chosen = { simulated: false, text: "", state: "", model: "", ratio: "", batch: "", order: "manifest" };
let shown = [];

const realms = () => [false, true].filter((realm) => DATA.counts.some((each) => each.simulated === realm));
const ofRealm = (lines) => lines.filter((each) => Boolean(each.simulated) === chosen.simulated);
const inRealm = () => ofRealm([...rows.values()]);
const stateOf = (row) => (row.verdict === "wrong_shape" && row.state === "stored" ? "wrong_shape" : row.state);
const STATES = ["stored", "wrong_shape", "bought", "buying", "planned", "failed", "unknown", "lost", "missed", "spoiled"];
const MOODS = { stored: "good", wrong_shape: "warn", bought: "warn", unknown: "warn", buying: "calm", planned: "calm" };
const chip = (row) => make("span", { class: `chip ${MOODS[stateOf(row)] ?? "bad"}` }, say(`state_${stateOf(row)}`));

// The words a row is found by, made once.
const found = new WeakMap();
function haystack(row) {
  if (!found.has(row)) {
    const parts = [row.prompt, row.file, row.error_message, row.model, batchName(row)];
    found.set(row, parts.filter((part) => part !== undefined).join("\n").toLowerCase());
  }
  return found.get(row);
}

const ORDERS = {
  manifest: (a, b) => a.manifest.localeCompare(b.manifest) || (a.edition ?? "").localeCompare(b.edition ?? "") || a.index - b.index || a.id - b.id,
  newest: (a, b) => (b.stored_at ?? 0) - (a.stored_at ?? 0) || b.id - a.id,
  oldest_url: (a, b) => (b.url_age_s ?? -1) - (a.url_age_s ?? -1) || a.id - b.id,
};

// Digests are found by how they begin; a digit or two of one would be in all of them.
const named = (row, word) => word === row.seed || (word.length >= 6 && [row.key, row.sha256].some((digest) => digest?.startsWith(word)));

// While a run is on, what is paid and not here is on its way, and no trouble.
const runIsOn = () => DATA.live?.state === "on";

function choose() {
  const words = chosen.text.toLowerCase().split(/\s+/).filter(Boolean);
  shown = inRealm().filter((row) =>
    (!chosen.state || stateOf(row) === chosen.state) && (!chosen.model || row.model === chosen.model)
    && (!chosen.ratio || row.ratio === chosen.ratio) && (!chosen.batch || batchName(row) === chosen.batch)
    && words.every((word) => haystack(row).includes(word) || named(row, word)));
  shown.sort(ORDERS[chosen.order]);
}

function options(select, values, value) {
  select.replaceChildren(...values.map(([key, text]) => make("option", { value: key }, text)));
  select.value = values.some(([key]) => key === value) ? value : values[0][0];
  return select.value;
}

function tally(key) {
  const counts = new Map();
  for (const row of inRealm()) if (key(row)) counts.set(key(row), (counts.get(key(row)) ?? 0) + 1);
  return counts;
}

function choice(name, key, text, order) {
  const counts = tally(key), names = [...counts.keys()].sort(order ?? ((a, b) => a.localeCompare(b, "en", { numeric: true })));
  const values = [["", say("any")], ...names.map((each) => [each, `${text(each)} (${count(counts.get(each))})`])];
  chosen[name] = options(byId(`filter-${name}`), values, chosen[name]);
  return names.length;
}

function offer() {
  const places = Object.fromEntries(STATES.map((state, place) => [state, place]));
  choice("state", stateOf, (state) => say(`state_${state}`), (a, b) => places[a] - places[b]);
  choice("model", (row) => row.model, modelTitle);
  choice("ratio", (row) => row.ratio, (ratio) => ratio);
  byId("batch-choice").hidden = choice("batch", batchName, (name) => name) < 2;
  chosen.order = options(byId("filter-order"), Object.keys(ORDERS).map((order) => [order, say(`order_${order}`)]), chosen.order);
  byId("realm-choice").hidden = realms().length < 2;
  options(byId("realm"), [["", say("real_money")], ["simulated", say("make_believe")]], chosen.simulated ? "simulated" : "");
}
