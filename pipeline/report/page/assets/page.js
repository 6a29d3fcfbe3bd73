// The page as a whole: what it is called, its figures, its parts, and the keys.
const TABS = ["pictures", "problems", "money"];

function showNames() {
  const title = DATA.manifest ?? (DATA.run ? say("run_named", { run: DATA.run }) : say("all_pictures"));
  byId("title").textContent = title;
  document.title = `${title} · fluxbatch`;
  const about = [say("as_of", { ledger: DATA.ledger, time: time(DATA.made_at) })];
  if (realms().length === 1 && realms()[0]) about.push(say("make_believe"));
  byId("about").textContent = about.join(" · ");
  byId("left-out").hidden = DATA.total <= rows.size;
  byId("left-out").textContent = say("left_out", { shown: count(rows.size), total: count(DATA.total) });
}

function showFigures() {
  const counts = ofRealm(DATA.counts), lines = ofRealm(DATA.money);
  const sum = (all, key) => all.reduce((total, each) => total + each[key], 0);
  const stored = sum(counts.filter((each) => each.state === "stored"), "rows"), open = sum(counts.filter((each) => each.state !== "bought" || !runIsOn()), "open");
  const spent = sum(lines, "spent_microusd"), unknown = sum(lines, "unknown_microusd");
  const priced = lines.filter((line) => DATA.models[line.model]?.official_microusd);
  const list = priced.reduce((total, line) => total + line.pictures * DATA.models[line.model].official_microusd, 0);
  const saved = list - sum(priced, "spent_microusd"), percent = list ? `${decimal((100 * saved) / list, 1)} %` : "";
  const one = (name, value, small, bad = false) => make("div", { class: bad ? "is-bad" : undefined }, make("dt", {}, say(name)), make("dd", {}, make("span", {}, value), make("small", {}, small)));
  byId("figures").replaceChildren(
    one("figure_stored", count(stored), say("figure_of", { number: count(sum(counts, "rows")) })),
    one("figure_spent", usd(spent), unknown ? say(runIsOn() ? "figure_under_way" : "figure_unknown", { money: usd(unknown) }) : say("figure_all_known")),
    one("figure_saved", list ? usd(saved) : "–", list ? say("figure_percent", { percent, money: usd(list) }) : ""),
    one("figure_open", count(open), say(open ? "figure_open_some" : "figure_open_none"), open > 0));
  byId("problem-count").hidden = !open;
  byId("problem-count").textContent = count(open);
}

function showPictures() {
  choose();
  const all = inRealm().length, none = shown.length === 0;
  byId("counted").textContent = say("counted", { shown: count(shown.length), all: count(all) });
  byId("clear").hidden = !(chosen.text || chosen.state || chosen.model || chosen.ratio || chosen.batch);
  byId("nothing").hidden = !none;
  byId("nothing").textContent = say(all ? "none_match" : "none_yet");
  byId("filters").hidden = !all;
  grid.lay();
}

function showAll() {
  speak();
  offer();
  showNames();
  showFigures();
  showPictures();
  showProblems();
  showCharts();
  showLive();
  if (looked && byId("details").open) look(looked);
}

function openTab(name, focus = false) {
  for (const each of TABS) {
    const tab = byId(`tab-${each}`), on = each === name;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
    byId(`panel-${each}`).hidden = !on;
    if (on && focus) tab.focus();
  }
  if (name === "pictures") grid.lay();
  if (name === "problems") showProblems();
  if (name === "money") showCharts();
}

function listenToTabs() {
  for (const name of TABS) byId(`tab-${name}`).addEventListener("click", () => openTab(name));
  document.querySelector(".tabs").addEventListener("keydown", (event) => {
    const at = TABS.findIndex((name) => byId(`tab-${name}`) === event.target);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: TABS.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    openTab(TABS[(to + TABS.length) % TABS.length], true);
  });
}

function listenToFilters() {
  const form = byId("filters");
  byId("search").addEventListener("input", (event) => { chosen.text = event.target.value; showPictures(); });
  for (const name of ["state", "model", "ratio", "batch", "order"]) {
    byId(`filter-${name}`).addEventListener("change", (event) => { chosen[name] = event.target.value; showPictures(); });
  }
  byId("realm").addEventListener("change", (event) => { chosen.simulated = event.target.value !== ""; showAll(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    Object.assign(chosen, { text: "", state: "", model: "", ratio: "", batch: "" });
    byId("search").value = "";
    offer();
    showPictures();
    byId("search").focus();
  });
}

function dark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function listenToSwitches() {
  const theme = memory.get("theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  byId("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    memory.set("theme", document.documentElement.dataset.theme);
  });
  byId("language").addEventListener("click", () => {
    language = language === "en" ? "zh" : "en";
    memory.set("language", language);
    showAll();
  });
}

function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && !typing && !byId("details").open) {
      event.preventDefault();
      openTab("pictures");
      byId("search").focus();
      byId("search").select();
    } else if (event.key === "Escape" && event.target === byId("search") && chosen.text) {
      event.preventDefault();
      byId("search").value = chosen.text = "";
      showPictures();
    }
  });
  byId("grid").addEventListener("keydown", (event) => grid.key(event));
}

function listenToSize() {
  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting || byId("panel-pictures").hidden) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; grid.show(); });
  }, { passive: true });
  let width = document.body.clientWidth;
  new ResizeObserver(() => {
    if (document.body.clientWidth === width) { grid.show(); return; }
    width = document.body.clientWidth;
    grid.lay();
    showCharts();
  }).observe(document.body);
}

chosen.simulated = realms().length > 0 && realms()[0];
listenToSwitches();
listenToTabs();
listenToFilters();
listenToDetails();
listenToKeys();
listenToSize();
showAll();
listenToRun();
document.documentElement.classList.remove("waiting");
