// A page that is served while a run goes on: the ledger's changes come as events, and nothing goes back but "stop".
const REFRESH_MS = 400;
let connected = true, left = false, refreshing = 0;

function showLive() {
  if (!DATA.live) return;
  const now = DATA.live, state = left ? "left" : connected ? (now.stopping ? "stopping" : now.state) : "away";
  byId("live").hidden = false;
  if (byId("live-state").textContent !== say(`live_${state}`)) byId("live-state").textContent = say(`live_${state}`);
  const told = [now.total === null ? say("live_there", { there: count(now.there) }) : say("live_there_of", { there: count(now.there), total: count(now.total) })];
  if (now.in_flight) told.push(say("live_in_flight", { number: count(now.in_flight) }));
  if (now.queued) told.push(say("live_to_fetch", { number: count(now.queued) }));
  if (now.state === "on") told.push(say("live_pace", { number: count(now.pace) }));
  if (now.left_s !== null) told.push(say("live_time_left", { time: span(now.left_s) }));
  if (now.exit_code !== null) told.push(say("live_exit", { code: now.exit_code }));
  byId("live-counts").textContent = told.join(" · ");
  const part = Math.round(100 * Math.min(1, now.there / Math.max(1, now.total ?? now.seen)));
  byId("live-done").style.width = `${part}%`;
  byId("live-bar").setAttribute("aria-valuenow", part);
  byId("live-waiting").textContent = now.waiting ?? "";
  byId("stop").hidden = left || now.state !== "on" || !now.may_stop;
  byId("stop").disabled = now.stopping || !connected;
}

// Changes come faster than anybody can look: they are shown together, and a list that is open stays so.
function refresh() {
  if (refreshing) return;
  refreshing = setTimeout(() => {
    refreshing = 0;
    if (realms().length && !realms().includes(chosen.simulated)) [chosen.simulated] = realms();
    if (document.activeElement?.tagName !== "SELECT") offer();
    showNames();
    showFigures();
    showPictures();
    if (!byId("panel-problems").hidden) showProblems();
    showCharts();
  }, REFRESH_MS);
}

async function askToStop() {
  byId("stop").disabled = true;
  const answer = await fetch("stop", { method: "POST" }).catch(() => null);
  toast(say(answer?.ok ? "stop_asked" : "stop_failed"));
  if (!answer?.ok) byId("stop").disabled = false;
}

function listenToRun() {
  if (!DATA.live) return;
  const source = new EventSource(`events?since=${DATA.live.since}`);
  source.addEventListener("open", () => { connected = true; showLive(); });
  source.addEventListener("error", () => { connected = false; showLive(); });
  source.addEventListener("rows", (event) => { for (const row of JSON.parse(event.data)) rows.set(row.id, row); refresh(); });
  source.addEventListener("figures", (event) => { Object.assign(DATA, JSON.parse(event.data)); showLive(); refresh(); });
  source.addEventListener("live", (event) => {
    const before = runIsOn();
    DATA.live = JSON.parse(event.data);
    showLive();
    if (runIsOn() !== before) refresh();
  });
  source.addEventListener("left", () => { source.close(); left = true; showLive(); });
  byId("stop").addEventListener("click", askToStop);
}
