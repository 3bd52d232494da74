// Words, glyphs and times. Nothing here touches the document.

// Good to bad. Each has a glyph beside its colour: colour alone says nothing to one reader in twelve.
export const STANDINGS = [
  { word: "healthy", glyph: "✓", says: "runs what it should, healthy" },
  { word: "waiting", glyph: "…", says: "assigned, not begun" },
  { word: "progressing", glyph: "↻", says: "applied, not healthy yet" },
  { word: "held", glyph: "‖", says: "held by the agent's own budget" },
  { word: "drifted", glyph: "≠", says: "changed in the cluster" },
  { word: "unknown", glyph: "?", says: "not heard from" },
  { word: "degraded", glyph: "!", says: "unhealthy past its deadline" },
  { word: "failed", glyph: "✕", says: "could not be applied" },
];
export const BY_WORD = Object.fromEntries(STANDINGS.map((s, n) => [s.word, { ...s, order: n }]));
export const LETTERS = { r: "removed", h: "healthy", w: "waiting", p: "progressing", l: "held", d: "drifted", u: "unknown", g: "degraded", f: "failed" };

export const COMMIT_STATES = {
  fetching: ["↓", "is being fetched"], rendering: ["↻", "is being rendered"], deciding: ["↻", "waits for rollout"],
  delivering: ["↻", "is on its way"], healthy: ["✓", "healthy everywhere"], unchanged: ["=", "no cluster changes"], dropped: ["‖", "was held; never sent"],
  held: ["‖", "held by the guard"], failed: ["✕", "did not render"], superseded: ["↷", "overtaken by a newer commit"],
};

export function glyph(word) { return (BY_WORD[word] ?? { glyph: "·" }).glyph; }

// Ages go by the hub's clock; `skew` is what live.js measured between it and this browser.
let skew = 0;
export function setHubClock(ms) { skew = ms - Date.now(); }
export function hubNow() { return Date.now() + skew; }

export function duration(ms) {
  if (ms == null) return "–";
  const s = Math.max(0, ms) / 1000;
  if (s < 1) return `${Math.round(ms)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s < 600 && Math.round(s % 60) ? ` ${Math.round(s % 60)} s` : ""}`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} days`;
}
// As `duration`, in whole seconds: what ticks should not flicker.
export function whole(ms) { return ms < 60000 ? `${Math.round(ms / 1000)} s` : duration(ms); }
export function ago(ms) {
  if (!ms) return "never";
  const gone = hubNow() - ms;
  return gone < 1500 ? "just now" : `${whole(gone)} ago`;
}
export function moment(ms) { return ms ? new Date(ms).toLocaleString() : ""; }
export function many(count, noun) { return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`; }

// Only these schemes become links, whatever a repository or a cluster says.
export function safeLink(url) {
  try {
    const u = new URL(url);
    return u.protocol === "https:" || u.protocol === "http:" ? u.href : null;
  } catch { return null; }
}
// A commit's page at the usual Git hosts; null when the address is not a web address.
export function commitLink(url, sha) {
  const base = safeLink(url);
  return base ? `${base.replace(/\.git$/, "").replace(/\/$/, "")}/commit/${encodeURIComponent(sha)}` : null;
}
// As kubectl writes it: Deployment.apps shop/web.
export function objectName(id) {
  const o = objectWords(id);
  const kind = o.group ? `${o.kind}.${o.group}` : o.kind;
  return o.namespace ? `${kind} ${o.namespace}/${o.name}` : `${kind} ${o.name}`;
}
export function objectWords(id) {
  const [group, kind, namespace, ...name] = id.split("/");
  return { group, kind: kind || "?", namespace: namespace || "", name: name.join("/") };
}
