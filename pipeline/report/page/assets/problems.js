// What needs attention: the same trouble together, its remedy said once.
const SHOWN_PROBLEMS = 20;
const PROBLEMS = ["bought", "unknown", "lost", "missed", "spoiled", "passing", "unfit", "moderated", "failed"];

function problemOf(row) {
  if (!row.open || (row.state === "bought" && runIsOn())) return null;
  if (row.state !== "failed") return PROBLEMS.includes(row.state) ? row.state : null;
  if (row.error_kind === "unfit_row") return "unfit";
  if (row.passing) return "passing";
  return row.error_kind === "moderated" ? "moderated" : "failed";
}

// The commands that settle a job, where any does.
function commandsOf(row, kind) {
  const words = { unknown: ["--billed", "--not-billed"], lost: ["--billed"], missed: ["--billed"], spoiled: ["--billed"] }[kind] ?? [];
  return words.map((word) => commandLine(`fluxbatch ledger resolve ${row.key.slice(0, 12)} ${word}${DATA.options}`));
}

// Advice, with what is typed in it set apart and never broken.
function advice(kind) {
  const parts = say(`advice_${kind}`).split(/(--[\w-]+|fluxbatch \w+)/);
  return make("p", {}, ...parts.map((part, place) => (place % 2 ? make("code", { class: "option" }, part) : part)));
}

function problemLine(row, kind) {
  return make("li", {},
    make("span", { class: "which" }, say("problem_row", { index: count(row.index) })),
    make("div", { class: "what" },
      make("span", { class: "prompt" }, row.prompt ?? batchName(row)),
      make("span", { class: "why" }, row.error_message ?? say(`problem_${kind}`)),
      ...commandsOf(row, kind)),
    make("button", { type: "button", class: "link", on: { click: () => look(row) } }, say("look")));
}

function problemCard(kind, members) {
  const list = make("ul"), more = make("div", { class: "more" });
  let told = 0;
  const tell = () => {
    list.append(...members.slice(told, told + SHOWN_PROBLEMS).map((row) => problemLine(row, kind)));
    told = Math.min(members.length, told + SHOWN_PROBLEMS);
    const left = members.length - told;
    more.replaceChildren(make("button", { type: "button", class: "link", on: { click: tell } }, say("more", { number: count(Math.min(left, SHOWN_PROBLEMS)) })));
    more.hidden = left === 0;
  };
  tell();
  return make("article", { class: "problem" },
    make("header", {}, make("h2", {}, say(`problem_${kind}`), make("span", { class: "count" }, count(members.length))), advice(kind)), list, more);
}

function showProblems() {
  const groups = Map.groupBy ? Map.groupBy(inRealm(), problemOf) : new Map();
  if (!Map.groupBy) for (const row of inRealm()) groups.set(problemOf(row), [...(groups.get(problemOf(row)) ?? []), row]);
  const kinds = PROBLEMS.filter((kind) => groups.has(kind));
  byId("problems").replaceChildren(...(kinds.length
    ? kinds.map((kind) => problemCard(kind, groups.get(kind).sort(ORDERS.manifest)))
    : [make("p", { class: "empty" }, say("problems_none"))]));
}
