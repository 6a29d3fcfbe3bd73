// Rows of equal height that fill the width, like a contact sheet; only those near the screen are in the document.
const GAP_PX = 12, WORDS_PX = 46;

const grid = {
  lines: [], line: [], built: new Map(), of: new WeakMap(), at: 0, width: 0,

  // Where every tile goes: known before any picture is, so that nothing moves when one comes.
  lay() {
    const box = byId("grid"), width = box.clientWidth;
    if (!width) return;
    this.width = width;
    const aim = width < 600 ? 150 : width < 1400 ? 210 : 240;
    this.lines = [];
    this.line = new Array(shown.length);
    let top = 0, first = 0, shapes = [];
    const close = (end, last) => {
      const sum = shapes.reduce((a, b) => a + b, 0), room = width - GAP_PX * (shapes.length - 1);
      const height = Math.round(last ? Math.min(aim, room / sum) : room / sum);
      let left = 0;
      const tiles = shapes.map((ratio, place) => {
        const wide = !last && place === shapes.length - 1 ? width - left : Math.round(ratio * height);
        const tile = { left, wide };
        left += wide + GAP_PX;
        return tile;
      });
      for (let each = first; each < end; each += 1) this.line[each] = this.lines.length;
      this.lines.push({ top, height, first, tiles });
      top += height + WORDS_PX + GAP_PX;
      first = end;
      shapes = [];
    };
    let sum = 0;
    shown.forEach((row, place) => {
      shapes.push(shape(row));
      sum += shape(row);
      if (sum * aim + GAP_PX * (shapes.length - 1) >= width) { close(place + 1, false); sum = 0; }
    });
    if (shapes.length) close(shown.length, true);
    box.style.height = `${top}px`;
    this.at = Math.min(this.at, Math.max(0, shown.length - 1));
    const focused = document.activeElement?.closest?.(".tile"), row = focused && this.of.get(focused).row;
    for (const [place, tile] of this.built) {
      if (this.fits(place, tile)) tile.setAttribute("aria-setsize", shown.length);
      else { tile.remove(); this.built.delete(place); }
    }
    this.show();
    // What had the focus keeps it, wherever its row is now.
    if (focused && !focused.isConnected) this.built.get(shown.findIndex((each) => each.id === row.id))?.firstChild.focus({ preventScroll: true });
  },

  // Whether a tile that was built is still right where it is.
  fits(place, tile) {
    const line = this.lines[this.line[place]], was = this.of.get(tile), spot = line?.tiles[place - line.first];
    return spot && was.row === shown[place] && was.language === language
      && was.left === spot.left && was.wide === spot.wide && was.top === line.top && was.height === line.height;
  },

  // The first line that ends below a height.
  lineAt(height) {
    let low = 0, high = this.lines.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1, line = this.lines[middle];
      if (line.top + line.height + WORDS_PX < height) low = middle + 1; else high = middle;
    }
    return low;
  },

  show() {
    if (!this.lines.length) return;
    const start = -byId("grid").getBoundingClientRect().top, screen = innerHeight;
    const from = this.lines[this.lineAt(start - screen)].first;
    const last = this.lines[this.lineAt(start + 2 * screen)], to = last.first + last.tiles.length;
    const focused = document.activeElement?.closest?.(".tile");
    for (const [place, tile] of this.built) {
      if ((place < from || place >= to) && tile !== focused) { tile.remove(); this.built.delete(place); }
    }
    const box = byId("grid"), fresh = document.createDocumentFragment();
    for (let place = from; place < to; place += 1) if (!this.built.has(place)) fresh.append(this.build(place));
    if (fresh.childNodes.length) box.append(fresh);
  },

  build(place) {
    const row = shown[place], line = this.lines[this.line[place]], { left, wide } = line.tiles[place - line.first];
    const state = stateOf(row), blank = () => make("span", { class: "blank" }, chip(row), make("span", {}, row.error_message ?? row.prompt ?? ""));
    const frame = make("span", { class: "frame" });
    frame.style.height = `${line.height}px`;
    if (places(row).length) {
      const picture = image(row, false, (made) => made.replaceWith(make("span", { class: "blank" }, make("span", {}, say("no_picture_file")))));
      picture.width = wide;
      picture.height = line.height;
      frame.append(picture);
      if (state !== "stored") frame.append(chip(row));
    } else frame.append(blank());
    const meta = [row.ratio, modelTitle(row.model).replace(/^.*\s/, ""), row.spent_microusd && usd(row.spent_microusd)].filter(Boolean).join(" · ");
    const words = make("span", { class: "words" }, make("span", { class: "prompt" }, row.prompt ?? `${say("fact_row")} ${row.index}`), make("span", { class: "meta" }, meta));
    const button = make("button", { type: "button", tabindex: place === this.at ? "0" : "-1", on: { click: () => look(row), focus: () => this.take(place) } }, frame, words);
    button.setAttribute("aria-label", [row.prompt, say(`state_${state}`), meta].filter(Boolean).join(", "));
    const tile = make("div", { class: "tile", role: "listitem", "aria-posinset": place + 1, "aria-setsize": shown.length, "data-place": place }, button);
    tile.style.transform = `translate(${left}px, ${line.top}px)`;
    tile.style.width = `${wide}px`;
    tile.style.height = `${line.height + WORDS_PX}px`;
    this.built.set(place, tile);
    this.of.set(tile, { row, language, left, wide, top: line.top, height: line.height });
    return tile;
  },

  take(place) {
    this.built.get(this.at)?.firstChild.setAttribute("tabindex", "-1");
    this.at = place;
    this.built.get(place)?.firstChild.setAttribute("tabindex", "0");
  },

  // Move to a tile: on the screen, in the document, and with the focus.
  focus(place) {
    if (place < 0 || place >= shown.length) return;
    const line = this.lines[this.line[place]], bar = byId("filters");
    const above = getComputedStyle(bar).position === "sticky" ? bar.offsetHeight : 0;
    const top = byId("grid").getBoundingClientRect().top + line.top, bottom = top + line.height + WORDS_PX;
    if (top < above) scrollBy(0, top - above - GAP_PX);
    else if (bottom > innerHeight) scrollBy(0, bottom - innerHeight + GAP_PX);
    this.show();
    this.take(place);
    this.built.get(place)?.firstChild.focus({ preventScroll: true });
  },

  // The tile of the next line whose middle is nearest.
  beside(place, by) {
    const own = this.lines[this.line[place]], next = this.lines[this.line[place] + by];
    if (!next) return place;
    const middle = ({ left, wide }) => left + wide / 2, mine = middle(own.tiles[place - own.first]);
    let best = 0;
    next.tiles.forEach((tile, each) => { if (Math.abs(middle(tile) - mine) < Math.abs(middle(next.tiles[best]) - mine)) best = each; });
    return next.first + best;
  },

  key(event) {
    const tile = event.target.closest(".tile");
    if (!tile || event.ctrlKey || event.metaKey || event.altKey) return;
    const place = Number(tile.dataset.place), last = shown.length - 1;
    const to = { ArrowLeft: place - 1, ArrowRight: place + 1, ArrowUp: this.beside(place, -1), ArrowDown: this.beside(place, 1), Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.focus(Math.max(0, Math.min(last, to)));
  },
};
