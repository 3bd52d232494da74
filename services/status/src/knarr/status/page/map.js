// The heat map: every cluster as a cell of one canvas, grouped by stage. Only cells that change are drawn again.
// One tab stop; arrow keys move, Enter opens. The table under it says the same in words.
import { html, useEffect, useRef, useState } from "./kit.js";
import { ask } from "./ask.js";
import { onLive } from "./live.js";
import { go } from "./state.js";
import { BY_WORD, LETTERS } from "./words.js";

const HEAD = 22, BETWEEN = 18;
const WORD_ORDER = ["dev", "development", "test", "qa", "staging", "stage", "canary", "preprod", "prod", "production"];
const stageOrder = (s) => (s === "" ? 99 : WORD_ORDER.includes(s) ? WORD_ORDER.indexOf(s) : 50);

class Picture {
  constructor(canvas) { this.canvas = canvas; this.cells = []; this.at = new Map(); this.chosen = -1; }

  load(map) {
    const cells = map.names.map((name, n) => ({ name, stage: map.stages[map.stage[n]], word: LETTERS[map.standing[n]] }));
    cells.sort((a, b) => stageOrder(a.stage) - stageOrder(b.stage) || a.stage.localeCompare(b.stage) || a.name.localeCompare(b.name, "en", { numeric: true }));
    this.cells = cells;
    this.at = new Map(cells.map((c, n) => [c.name, n]));
    this.layout();
  }
  // False: a cell is new or moved to another stage, so the whole map must be read again.
  update(changes) {
    const dirty = [];
    for (const [name, stage, letter] of changes) {
      const n = this.at.get(name);
      if (n === undefined || this.cells[n].stage !== stage) return false;
      if (this.cells[n].word !== LETTERS[letter]) { this.cells[n].word = LETTERS[letter]; dirty.push(n); }
    }
    const g = this.canvas.getContext("2d");
    for (const n of dirty) this.drawCell(g, n);
    return true;
  }
  layout() {
    const width = this.canvas.parentElement.clientWidth, count = this.cells.length;
    // A small fleet has room for names; a large one for glyphs.
    this.named = count <= 60;
    this.size = this.named ? 30 : count <= 400 ? 24 : count <= 2500 ? 14 : 7;
    this.gap = this.size >= 14 ? 2 : 1;
    const step = this.size + this.gap;
    this.wide = this.named ? Math.min(180, Math.max(90, ...this.cells.map((c) => c.name.length * 7.4 + 34))) : this.size;
    const columns = Math.max(1, Math.floor((width + this.gap) / (this.wide + this.gap)));
    let y = 0, n = 0;
    this.heads = [];
    while (n < count) {
      const stage = this.cells[n].stage;
      let end = n;
      while (end < count && this.cells[end].stage === stage) end++;
      this.heads.push({ stage, y, count: end - n });
      y += HEAD;
      for (let k = n; k < end; k++) { this.cells[k].x = ((k - n) % columns) * (this.wide + this.gap); this.cells[k].y = y + Math.floor((k - n) / columns) * step; }
      y += Math.ceil((end - n) / columns) * step + BETWEEN;
      n = end;
    }
    this.columns = columns;
    const height = Math.max(1, y - BETWEEN), scale = devicePixelRatio || 1;
    this.canvas.width = width * scale; this.canvas.height = height * scale;
    this.canvas.style.width = `${width}px`; this.canvas.style.height = `${height}px`;
    this.draw();
  }
  draw() {
    const g = this.canvas.getContext("2d"), scale = devicePixelRatio || 1, style = getComputedStyle(this.canvas);
    g.setTransform(scale, 0, 0, scale, 0, 0);
    this.colours = Object.fromEntries(Object.keys(BY_WORD).map((w) => [w, style.getPropertyValue(`--s-${w}`).trim()]));
    this.ink = style.color; this.focus = style.getPropertyValue("--focus"); this.ground = style.getPropertyValue("--paper");
    g.clearRect(0, 0, this.canvas.width, this.canvas.height);
    g.font = "600 13px system-ui, sans-serif"; g.fillStyle = this.ink; g.textBaseline = "middle"; g.textAlign = "left";
    for (const head of this.heads) g.fillText(`${head.stage || "without a stage"}  ·  ${head.count.toLocaleString("en")}`, 0, head.y + 9);
    for (let n = 0; n < this.cells.length; n++) this.drawCell(g, n);
  }
  drawCell(g, n) {
    const c = this.cells[n], s = this.size, w = this.wide, scale = devicePixelRatio || 1;
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(c.x, c.y, w, s);
    g.fillStyle = this.colours[c.word] || "#888";
    g.fillRect(c.x, c.y, w, s);
    if (this.named) {
      g.fillStyle = "#fff"; g.textAlign = "left"; g.textBaseline = "middle"; g.font = "700 14px system-ui, sans-serif";
      g.fillText(BY_WORD[c.word]?.glyph ?? "", c.x + 9, c.y + s / 2 + 0.5);
      g.font = "500 13px system-ui, sans-serif"; g.fillText(c.name, c.x + 27, c.y + s / 2 + 0.5, w - 32);
    } else if (s >= 14 || c.word !== "healthy") {
      g.fillStyle = "#fff"; g.textAlign = "center"; g.textBaseline = "middle";
      g.font = `700 ${Math.max(7, Math.round(s * 0.7))}px system-ui, sans-serif`;
      g.fillText(BY_WORD[c.word]?.glyph ?? "", c.x + s / 2, c.y + s / 2 + 0.5);
    }
    if (n === this.chosen) { g.strokeStyle = this.focus; g.lineWidth = 2; g.strokeRect(c.x + 1, c.y + 1, w - 2, s - 2); }
  }
  choose(n) {
    const old = this.chosen, g = this.canvas.getContext("2d");
    this.chosen = n;
    if (this.cells[old]) this.drawCell(g, old);
    if (this.cells[n]) this.drawCell(g, n);
  }
  under(x, y) { return this.cells.findIndex((c) => x >= c.x && x < c.x + this.wide && y >= c.y && y < c.y + this.size); }
  cellTo(key) {
    const n = this.chosen, last = this.cells.length - 1;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns }[key];
    if (key === "Home") return 0;
    if (key === "End") return last;
    return step === undefined ? null : Math.min(last, Math.max(0, (n < 0 ? 0 : n) + (n < 0 ? 0 : step)));
  }
}

export function FleetMap({ app, by }) {
  const canvas = useRef(null), picture = useRef(null);
  const [said, say] = useState("");
  const [empty, setEmpty] = useState(false);
  useEffect(() => {
    const p = (picture.current = new Picture(canvas.current)), abort = new AbortController();
    let timer = null, last = 0;
    const own = Boolean(app || by); // cells of the stream speak of all apps and of the usual stages
    const read = async () => {
      timer = null; last = Date.now();
      try {
        const map = await ask("map", { app, by }, abort.signal);
        if (!abort.signal.aborted) { p.load(map); setEmpty(map.names.length === 0); }
      } catch { /* the stale banner tells */ }
    };
    const soon = () => { timer ??= setTimeout(read, Math.max(0, last + 1000 - Date.now())); };
    read();
    const off = onLive((kind, data) => {
      if (kind === "reset") return soon();
      if (kind !== "change" || !data.topics.includes("clusters")) return;
      if (own || data.cells === null || !p.update(data.cells)) soon();
    });
    const resized = new ResizeObserver(() => { if (p.cells.length) p.layout(); });
    resized.observe(canvas.current.parentElement);
    const dark = matchMedia("(prefers-color-scheme: dark)"), redraw = () => p.cells.length && p.draw();
    dark.addEventListener("change", redraw);
    return () => { abort.abort(); off(); clearTimeout(timer); resized.disconnect(); dark.removeEventListener("change", redraw); };
  }, [app, by]);
  const describe = (n) => { const c = picture.current.cells[n]; say(c ? `${c.name}: ${c.word}` : ""); };
  const onKey = (e) => {
    const p = picture.current;
    if (e.key === "Enter" && p.chosen >= 0) return go(`/clusters/${p.cells[p.chosen].name}`);
    const n = p.cellTo(e.key);
    if (n !== null && p.cells.length) { e.preventDefault(); p.choose(n); describe(n); }
  };
  const onMove = (e) => {
    const n = picture.current.under(e.offsetX, e.offsetY);
    canvas.current.classList.toggle("over", n >= 0);
    picture.current.choose(n); describe(n);
  };
  const onClick = (e) => {
    const n = picture.current.under(e.offsetX, e.offsetY);
    if (n >= 0) go(`/clusters/${picture.current.cells[n].name}`);
  };
  return html`<div class="map">
    <div class="canvas"><canvas ref=${canvas} tabindex="0" role="application" onKeyDown=${onKey} onMouseMove=${onMove} onClick=${onClick}
      onMouseLeave=${() => { picture.current.choose(-1); say(""); }}
      aria-label="Map of all clusters. Arrow keys move from cluster to cluster, Enter opens one. The table below has the same in words."></canvas></div>
    ${empty ? html`<p class="dim">No cluster has reported yet, and the fleet names none.</p>` : null}
    <p class="said" aria-live="polite">${said || " "}</p>
  </div>`;
}
