// Money and ages as drawings, each with the same numbers as a table.
const MOST_DAYS = 62;

function table(columns, lines) {
  const cell = (tag) => (value, place) => make(tag, { class: columns[place][1] ? "number" : undefined, scope: tag === "th" ? "col" : undefined }, value);
  return make("div", { class: "scroll", tabindex: "0" }, make("table", {},
    make("thead", {}, make("tr", {}, ...columns.map(([title], place) => cell("th")(title, place)))),
    make("tbody", {}, ...lines.map((line) => make("tr", {}, ...line.map(cell("td")))))));
}

function figure(title, parts, full = false) {
  return make("figure", { class: full ? "full" : undefined }, make("figcaption", {}, title), ...parts);
}
const tabled = (columns, lines) => make("details", {}, make("summary", {}, say("as_table")), table(columns, lines));

function legend(entries) {
  const sign = (kind) => draw("svg", { width: 16, height: 10, "aria-hidden": "true" },
    kind.startsWith("line") ? draw("path", { class: kind, d: "M0 5H16" }) : draw("rect", { class: kind, width: 10, height: 10, x: 3, rx: 2 }));
  return make("ul", { class: "legend" }, ...entries.map(([kind, text]) => make("li", {}, sign(kind), text)));
}

// Round steps that reach a largest value in three to six of them.
function steps(most) {
  const rough = Math.max(most, 1) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const marks = [];
  for (let value = 0; value < most + step; value += step) marks.push(value);
  return marks;
}
const money = (micro) => { const value = micro / 1e6; return `$${value >= 1e3 ? count(Math.round(value)) : decimal(value, value === 0 ? 0 : value < 0.1 ? 3 : value < 100 ? 2 : 0)}`; };

// A frame with a scale at its left; what is in it gets functions for its places.
function plot(label, width, height, most, scale, inside) {
  const left = 54, bottom = 26, top = 8, marks = steps(most), peak = marks.at(-1) || 1;
  const y = (value) => top + (height - top - bottom) * (1 - value / peak);
  const rules = marks.flatMap((mark) => [
    draw("line", { class: "rule", x1: left, x2: width, y1: y(mark), y2: y(mark) }),
    draw("text", { x: left - 8, y: y(mark) + 4, "text-anchor": "end" }, scale(mark)),
  ]);
  return draw("svg", { class: "plot", role: "img", "aria-label": label, viewBox: `0 0 ${width} ${height}`, height },
    ...rules, ...inside({ left, right: width, y, foot: height - 8 }));
}

// The days with money, or the months where there are many of those.
function periods() {
  const lines = ofRealm(DATA.money), days = new Set(lines.map((line) => line.day)), monthly = days.size > MOST_DAYS;
  const found = new Map();
  for (const line of lines) {
    const name = monthly ? line.day.slice(0, 7) : line.day;
    if (!found.has(name)) found.set(name, { name, models: new Map(), spent: 0, unknown: 0, official: 0, pictures: 0 });
    const period = found.get(name), price = DATA.models[line.model]?.official_microusd ?? 0;
    period.models.set(line.model, (period.models.get(line.model) ?? 0) + line.spent_microusd);
    period.spent += line.spent_microusd;
    period.unknown += line.unknown_microusd;
    period.official += price * line.pictures;
    period.pictures += line.pictures;
  }
  return { monthly, all: [...found.values()].sort((a, b) => a.name.localeCompare(b.name)) };
}

const models = () => [...new Set(ofRealm(DATA.money).map((line) => line.model))].sort();
const series = (model) => `s${Math.min(4, models().indexOf(model) + 1)}`;
const dated = (name) => name.slice(name.length > 7 ? 5 : 2);

function labels(all, x, foot, width) {
  const every = Math.ceil(all.length / Math.max(1, Math.floor(width / 64)));
  return all.map((period, place) => (place % every ? null : draw("text", { x: x(place), y: foot, "text-anchor": "middle" }, dated(period.name))));
}

function budgetLine() {
  const caps = ofRealm(DATA.budgets), batches = caps.filter((each) => each.kind === "batch");
  const whole = caps.find((each) => each.kind === "total");
  const only = new Set(inRealm().map(batchName)).size === 1 && batches.length === 1 ? batches[0] : undefined;
  return (DATA.run ? undefined : only ?? (DATA.manifest ? undefined : whole))?.cap_microusd;
}

function totalChart({ monthly, all }, width) {
  let spent = 0, list = 0;
  const sums = all.map((period) => ({ name: period.name, spent: (spent += period.spent), official: (list += period.official) }));
  const cap = budgetLine(), most = Math.max(spent, list, cap ?? 0);
  const drawing = plot(`${say("chart_total")}: ${usd(spent)}`, width, 240, most, money, ({ left, right, y, foot }) => {
    const x = (place) => (sums.length > 1 ? left + 20 + ((right - left - 40) * place) / (sums.length - 1) : (left + right) / 2);
    const path = (key) => (sums.length > 1 ? sums : [sums[0], sums[0]]).map((sum, place) => {
      const across = sums.length > 1 ? x(place) : place ? right : left;
      return `${place ? "L" : "M"}${across.toFixed(1)} ${y(sum[key]).toFixed(1)}`;
    }).join("");
    const [start, end] = sums.length > 1 ? [x(0), x(sums.length - 1)] : [left, right];
    return [
      draw("path", { class: "area-paid", d: `${path("spent")}L${end} ${y(0)}L${start} ${y(0)}Z` }),
      draw("path", { class: "line-official", d: path("official") }),
      cap !== undefined ? draw("path", { class: "line-budget", d: `M${left} ${y(cap)}H${right}` }) : null,
      draw("path", { class: "line-paid", d: path("spent") }),
      ...labels(sums, x, foot, right - left),
    ];
  });
  const keys = [["line-paid", `${say("paid")} ${usd(spent)}`], ["line-official", `${say("official")} ${usd(list)}`]];
  if (cap !== undefined) keys.push(["line-budget", `${say("budget")} ${usd(cap)}`]);
  const lines = sums.map((sum) => [sum.name, usd(sum.spent), usd(sum.official)]);
  return figure(say("chart_total"), [legend(keys), drawing, tabled([[say(monthly ? "month" : "day")], [say("so_far"), 1], [say("official"), 1]], lines)]);
}

function dayChart({ monthly, all }, width) {
  const title = say(monthly ? "chart_months" : "chart_days"), most = Math.max(...all.map((each) => each.spent + each.unknown));
  const drawing = plot(title, width, 240, most, money, ({ left, right, y, foot }) => {
    const room = (right - left) / all.length, wide = Math.min(56, room * 0.68), x = (place) => left + room * (place + 0.5);
    return [...all.flatMap((period, place) => {
      let under = 0;
      const bar = (kind, value, text) => {
        if (!value) return null;
        const made = draw("rect", { class: kind, x: x(place) - wide / 2, width: wide, y: y(under + value), height: Math.max(0.5, y(under) - y(under + value)) }, draw("title", {}, `${period.name}: ${text} ${usd(value)}`));
        under += value;
        return made;
      };
      return [...models().map((model) => bar(series(model), period.models.get(model), modelTitle(model))), bar("hatch", period.unknown, say("unknown_money"))];
    }), ...labels(all, x, foot, right - left)];
  });
  const keys = [...models().map((model) => [series(model), modelTitle(model)]), ...(all.some((each) => each.unknown) ? [["hatch", say("unknown_money")]] : [])];
  const columns = [[say(monthly ? "month" : "day")], [say("pictures"), 1], ...models().map((model) => [modelTitle(model), 1]), [say("unknown_money"), 1], [say("official"), 1]];
  const lines = all.map((each) => [each.name, count(each.pictures), ...models().map((model) => usd(each.models.get(model) ?? 0)), usd(each.unknown), usd(each.official)]);
  return figure(title, [legend(keys), drawing, tabled(columns, lines)]);
}

function modelChart(width) {
  const all = models().map((model) => {
    const lines = ofRealm(DATA.money).filter((line) => line.model === model), sum = (key) => lines.reduce((total, line) => total + line[key], 0);
    const pictures = sum("pictures"), price = DATA.models[model]?.official_microusd;
    return { model, pictures, spent: sum("spent_microusd"), unknown: sum("unknown_microusd"), official: price ? price * pictures : 0 };
  });
  const most = Math.max(...all.map((each) => Math.max(each.spent + each.unknown, each.official)), 1), high = 62;
  const drawing = draw("svg", { class: "plot", role: "img", "aria-label": say("chart_models"), viewBox: `0 0 ${width} ${all.length * high}`, height: all.length * high }, ...all.flatMap((each, place) => {
    const top = place * high, across = (value) => (value / most) * width;
    return [
      draw("text", { class: "strong", x: 0, y: top + 16 }, modelTitle(each.model)),
      draw("text", { x: width, y: top + 16, "text-anchor": "end" }, each.official ? say("price_official", { paid: usd(each.spent), official: usd(each.official) }) : usd(each.spent)),
      draw("rect", { class: series(each.model), y: top + 26, height: 18, width: across(each.spent), rx: 3 }),
      draw("rect", { class: "hatch", y: top + 26, height: 18, x: across(each.spent), width: across(each.unknown) }),
      each.official ? draw("rect", { class: "ghost", x: 0.75, y: top + 26.75, height: 16.5, width: Math.max(0, across(each.official) - 1.5), rx: 3 }) : null,
    ];
  }));
  const columns = [[say("fact_model")], [say("pictures"), 1], [say("paid"), 1], [say("unknown_money"), 1], [say("official"), 1]];
  return figure(say("chart_models"), [drawing, tabled(columns, all.map((each) => [modelTitle(each.model), count(each.pictures), usd(each.spent), usd(each.unknown), each.official ? usd(each.official) : "–"]))]);
}

function ageChart(width) {
  const bars = ofRealm(DATA.ages), name = ({ from_s: from, to_s: to }) => (to === null ? say("age_over", { from }) : from ? say("age_between", { from, to }) : say("age_under", { to }));
  if (!bars.length) return figure(say("chart_ages"), [make("p", { class: "soft" }, say("no_ages"))]);
  const most = Math.max(...bars.map((bar) => bar.pictures)), whole = (value) => (Number.isInteger(value) ? count(value) : "");
  const drawing = plot(say("chart_ages"), width, 240, most, whole, ({ left, right, y, foot }) => {
    const room = (right - left) / bars.length;
    return bars.flatMap((bar, place) => [
      draw("rect", { class: "s1", x: left + room * place + 2, width: room - 4, y: y(bar.pictures), height: Math.max(0, y(0) - y(bar.pictures)), rx: 2 }, draw("title", {}, `${name(bar)}: ${count(bar.pictures)}`)),
      draw("text", { x: left + room * place + 2, y: foot, "text-anchor": "start" }, bar.to_s === null ? `${bar.from_s}+` : bar.from_s),
    ]);
  });
  return figure(say("chart_ages"), [drawing, tabled([[say("age")], [say("pictures"), 1]], bars.map((bar) => [name(bar), count(bar.pictures)]))]);
}

function budgetChart() {
  const lines = ofRealm(DATA.budgets);
  if (!lines.length) return [];
  return [figure(say("budgets"), lines.map((line) => {
    const used = line.spent_microusd + line.unknown_microusd, share = (value) => `${Math.min(100, (100 * value) / Math.max(1, line.cap_microusd))}%`;
    const text = say("budget_used", { used: usd(used), cap: usd(line.cap_microusd) });
    return make("div", { class: "budget" }, make("span", {}, say(`budget_${line.kind}`, line)), make("span", {}, text),
      draw("svg", { role: "img", "aria-label": text }, draw("rect", { class: "track", width: "100%", height: 10, rx: 5 }),
        draw("rect", { class: "hatch", width: share(used), height: 10, rx: 5 }), draw("rect", { class: "s1", width: share(line.spent_microusd), height: 10, rx: 5 })));
  }), true)];
}

function runTable() {
  const columns = [[say("run")], [say("fact_manifest")], [say("begun")], [say("lasted"), 1], [say("exit_code"), 1]];
  const lines = ofRealm(DATA.runs).map((run) => [make("code", {}, run.run_id), batchName(run), time(run.started_at),
    run.ended_at ? span(run.ended_at - run.started_at) : "–", run.exit_code === null ? say("run_open") : String(run.exit_code)]);
  return figure(say("chart_runs"), [table(columns, lines)], true);
}

function showCharts() {
  const box = byId("charts");
  if (byId("panel-money").hidden) return;
  const columns = box.clientWidth >= 860 ? 2 : 1, width = Math.floor((box.clientWidth - 18 * (columns - 1)) / columns) - 42;
  box.classList.toggle("two", columns === 2);
  const spent = periods();
  const drawn = spent.all.length ? [totalChart(spent, width), dayChart(spent, width), modelChart(width)] : [figure(say("chart_total"), [make("p", { class: "soft" }, say("no_money"))])];
  const open = [...box.querySelectorAll("details")].map((each) => each.open);
  box.replaceChildren(...budgetChart(), ...drawn, ageChart(width), runTable());
  box.querySelectorAll("details").forEach((each, place) => { each.open = open[place] ?? false; });
}
