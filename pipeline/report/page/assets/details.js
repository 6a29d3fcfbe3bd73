// One picture, large, with everything that is known of it.
let looked = null;

const official = (row) => DATA.models[row.model]?.official_microusd;
const shape = (row) => {
  const [wide, high] = row.width ? [row.width, row.height] : (row.ratio ?? "1:1").split(":").map(Number);
  return Math.min(3, Math.max(1 / 3, (wide || 1) / (high || 1)));
};

// Where a row's picture is looked for, the lightest first.
function places(row, large = false) {
  const small = [DATA.embedded?.[row.sha256], row.thumbnail && `${DATA.thumbnails}/${row.sha256}.webp`];
  return (large ? [row.picture, ...small] : [...small, row.picture]).filter(Boolean);
}

// An image that tries one place after the other, and says when none is left.
function image(row, large, gone) {
  const waiting = places(row, large);
  const made = make("img", { alt: row.prompt ?? "", decoding: "async", draggable: "false" });
  const next = () => (waiting.length ? (made.src = waiting.shift()) : gone(made));
  made.addEventListener("error", next);
  next();
  return made;
}

// Text as a YAML string: JSON, without the characters that YAML takes for line ends.
const yaml = (text) => JSON.stringify(text).replace(/[\u007f-\u009f\u2028\u2029\ufeff]/g, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`);

function manifestRow(row) {
  const parts = [`prompt: ${yaml(row.prompt.replace(/[{}]/g, "$&$&"))}`];
  if (row.ratio) parts.push(`ratio: ${yaml(row.ratio)}`);
  parts.push(`model: ${row.model}`);
  if (row.seed !== undefined) parts.push(`seed: ${row.seed}`);
  if (row.format_asked) parts.push(`format: ${row.format_asked}`);
  if (row.safety_tolerance !== undefined) parts.push(`safety_tolerance: ${row.safety_tolerance}`);
  if (row.prompt_upsampling !== undefined) parts.push(`prompt_upsampling: ${row.prompt_upsampling}`);
  return `  - {${parts.join(", ")}}\n`;
}

function price(row) {
  if (row.unknown_microusd) return say("price_unknown", { money: usd(row.unknown_microusd) });
  if (!row.spent_microusd) return say(row.duplicate || row.state === "stored" ? "price_shared" : "price_none");
  const paid = usd(row.spent_microusd);
  return official(row) ? say("price_official", { paid, official: usd(official(row)) }) : paid;
}

function facts(row) {
  const parameters = [row.format_asked, row.safety_tolerance !== undefined && say("parameter_tolerance", { value: row.safety_tolerance }), row.prompt_upsampling && say("parameter_upsampling")];
  const all = [
    ["state", chip(row)],
    ["model", row.model && modelTitle(row.model)],
    ["ratio", row.ratio],
    ["size", row.width && `${row.width} × ${row.height}, ${bytes(row.bytes)}`],
    ["seed", row.seed],
    ["parameters", parameters.filter(Boolean).join(", ")],
    ["inputs", row.inputs],
    ["price", price(row)],
    ["provider", row.provider],
    ["attempts", count(row.attempts)],
    ["age", row.url_age_s !== undefined && row.state === "stored" && say("seconds", { value: decimal(row.url_age_s, 1) })],
    ["stored", row.stored_at && time(row.stored_at)],
    ["manifest", batchName(row)],
    ["row", count(row.index)],
    ["file", row.file],
    ["digest", row.sha256 && make("code", {}, row.sha256)],
    ["key", make("code", {}, row.key)],
    ["request", row.request_id && make("code", {}, row.request_id)],
  ];
  return make("dl", {}, ...all.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", {}, say(`fact_${name}`)), make("dd", {}, value)]));
}

function trouble(row) {
  const kind = problemOf(row);
  if (!kind) return null;
  return make("div", { class: "trouble" },
    make("div", {}, make("h3", {}, say("reason")), make("p", { class: "text" }, row.error_message ?? say(`problem_${kind}`))),
    make("div", {}, make("h3", {}, say("what_to_do")), advice(kind)),
    ...commandsOf(row, kind));
}

// What was edited, small, in its order; a copy that is gone leaves no hole.
function inputs(row) {
  const images = (row.input_pictures ?? []).map((digest) => {
    const made = make("img", { alt: "", decoding: "async", draggable: "false" });
    made.addEventListener("error", () => made.remove());
    made.src = DATA.embedded?.[digest] ?? `${DATA.thumbnails}/${digest}.webp`;
    return made;
  });
  return images.length ? make("div", {}, make("h3", {}, say("fact_inputs")), make("div", { class: "inputs" }, ...images)) : null;
}

function look(row) {
  looked = row;
  const blank = (text) => make("div", { class: "blank" }, chip(row), make("p", {}, text));
  const stage = byId("stage");
  stage.replaceChildren(places(row).length ? image(row, true, (made) => made.replaceWith(blank(say("no_picture_file")))) : blank(row.error_message ?? ""));
  const large = stage.querySelector("img");
  if (large && row.width) { large.width = row.width; large.height = row.height; }
  byId("details-title").textContent = say("details", { index: count(row.index) });
  byId("facts").replaceChildren(...[
    row.prompt && make("div", {}, make("h3", {}, say("prompt")), make("p", { class: "text" }, row.prompt)),
    make("div", { class: "buttons" },
      row.prompt && copyButton("copy_row", () => manifestRow(row), "main"),
      row.prompt && copyButton("copy_prompt", () => row.prompt),
      row.picture && make("a", { class: "quiet", href: row.picture, target: "_blank", rel: "noopener" }, say("open_file"))),
    inputs(row),
    trouble(row),
    facts(row),
  ].filter(Boolean));
  byId("facts").scrollTop = 0;
  const place = shown.indexOf(row);
  byId("previous").disabled = place <= 0;
  byId("next").disabled = place < 0 || place >= shown.length - 1;
  if (!byId("details").open) byId("details").showModal();
}

function step(by) {
  const place = shown.indexOf(looked);
  const row = place < 0 ? undefined : shown[place + by];
  if (row) look(row);
}

function listenToDetails() {
  const dialog = byId("details");
  byId("close").addEventListener("click", () => dialog.close());
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
  });
  dialog.addEventListener("close", () => {
    const row = looked;
    looked = null;
    if (!byId("panel-pictures").hidden) grid.focus(shown.indexOf(row));
  });
}
