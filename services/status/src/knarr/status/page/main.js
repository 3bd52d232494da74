// The page's root: header, the view that the address names, and whether what it shows is fresh.
import { html, render, useEffect } from "./kit.js";
import { live, startLive } from "./live.js";
import { followLinks, usePlace, useTick } from "./state.js";
import { ago, duration } from "./words.js";
import { FleetView } from "./fleet.js";
import { AppsView, AppView } from "./apps.js";
import { ClusterView, Events } from "./clusters.js";
import { CommitsView, CommitView } from "./commits.js";
import { RevisionView } from "./held.js";

function view({ path, query }) {
  const parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  const [room, first, second] = parts;
  if (room === "clusters" && first) return [first, html`<${ClusterView} key=${first} name=${first} />`];
  if (room === "apps" && first) return [first, html`<${AppView} key=${first} name=${first} />`];
  if (room === "apps") return ["Apps", html`<${AppsView} />`];
  if (room === "commits" && second) return [second.slice(0, 7), html`<${CommitView} key=${first + second} source=${first} commit=${second} />`];
  if (room === "commits") return ["Commits", html`<${CommitsView} query=${query} />`];
  if (room === "revisions" && first) return ["Revision", html`<${RevisionView} key=${first} revision=${first} />`];
  if (room === "events") return ["Events", html`<h1>Events</h1><section class="card"><${Events} parameters=${{ limit: 200 }} /></section>`];
  return ["Fleet", html`<${FleetView} />`];
}

function Freshness() {
  useTick();
  if (live.staleSince !== null)
    return html`<span class="live stale" role="status">Stale since ${new Date(live.staleSince).toLocaleTimeString()} (${duration(Date.now() - live.staleSince)})</span>`;
  if (live.unreadSeconds > 15)
    return html`<span class="live stale" role="status">The hub has not read its broker for ${duration(live.unreadSeconds * 1000)}</span>`;
  return html`<span class="live ${live.connected ? "on" : ""}" role="status">${live.connected ? "live" : "connecting"}</span>`;
}

function StaleBanner() {
  useTick();
  if (live.staleSince === null) return null;
  return html`<p class="banner" role="alert">The connection to the hub is lost. What you see is as of ${new Date(live.staleSince).toLocaleTimeString()}; it goes on by itself when the hub is back.</p>`;
}

const ROOMS = [["/", "Fleet"], ["/apps", "Apps"], ["/commits", "Commits"], ["/events", "Events"]];

function Page() {
  const place = usePlace();
  const [title, body] = view(place);
  const held = live.summary?.held;
  useEffect(() => { document.title = `${held ? `(${held} held) ` : ""}${title} · Knarr`; }, [title, held]);
  return html`<a class="skip" href="#main">To the content</a>
    <header><a class="brand" href="/"><img src="/assets/knarr.svg" alt="" width="26" height="26" /> Knarr</a>
      <nav aria-label="Rooms">${ROOMS.map(([to, name]) => html`<a href=${to} aria-current=${(to === "/" ? place.path === "/" : place.path.startsWith(to)) ? "page" : undefined}>${name}</a>`)}</nav>
      <${Freshness} /></header>
    <${StaleBanner} />
    <main id="main" tabindex="-1">${body}</main>
    <footer class="dim">Everything here is also in <code>knarr status</code> and at <a href="/api/v1/openapi.yaml">/api/v1</a>. Ages go by the hub's clock.</footer>`;
}

document.addEventListener("click", followLinks);
startLive();
render(html`<${Page} />`, document.getElementById("page"));
export { ago };
