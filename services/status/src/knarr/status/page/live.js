// The live stream: one connection for all tabs of this browser, and an honest word when it is lost.
//
// The tab that holds the lock keeps the EventSource and passes everything on; when it closes, another takes over.
// `beat` events come every few seconds: without them the picture is stale, whatever the browser believes.
import { setHubClock } from "./words.js";

const STALE_AFTER_MS = 12000;
const listeners = new Set();
const channel = "BroadcastChannel" in window ? new BroadcastChannel("knarr-live") : null;
export const live = { summary: null, heardAt: Date.now(), staleSince: null, connected: false, unreadSeconds: 0 };

export function onLive(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
function say(kind, data) { for (const l of [...listeners]) l(kind, data); }

function receive(kind, data) {
  live.heardAt = Date.now();
  const wasStale = live.staleSince !== null;
  live.staleSince = null;
  live.connected = true;
  if (kind === "beat") { setHubClock(data.at_ms); live.unreadSeconds = data.reports_unread_seconds; }
  if (kind === "change") { live.summary = data.summary; live.unreadSeconds = data.summary.reports_unread_seconds; }
  say(kind, data);
  if (wasStale && kind !== "reset") say("reset", {});
}

function open() {
  const source = new EventSource("/api/v1/stream");
  for (const kind of ["change", "reset", "beat"]) {
    source.addEventListener(kind, (e) => {
      const data = JSON.parse(e.data);
      receive(kind, data);
      channel?.postMessage([kind, data]);
    });
  }
  // A server that answers with an error ends an EventSource for good: open a new one, with jitter.
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return;
    source.close();
    setTimeout(open, 1000 + Math.random() * 3000);
  });
}

export function startLive() {
  channel?.addEventListener("message", (e) => receive(...e.data));
  if (channel && navigator.locks) navigator.locks.request("knarr-live", () => { open(); return new Promise(() => {}); });
  else open();
  setInterval(() => {
    const stale = Date.now() - live.heardAt > STALE_AFTER_MS;
    if (stale && live.staleSince === null) { live.staleSince = live.heardAt; live.connected = false; }
    say("tick", null);
  }, 1000);
}
