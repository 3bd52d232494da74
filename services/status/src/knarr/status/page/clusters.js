// Clusters: the filtered, paged table that says in words what the map shows, and one cluster in full.
import { html, useEffect, useState } from "./kit.js";
import { ask } from "./ask.js";
import { setFilters, useAnswer, usePlace, useTick } from "./state.js";
import { STANDINGS, ago, duration, hubNow, moment, glyph, objectName, whole } from "./words.js";
import { Ago, Answered, CommitName, CountWords, Failures, Mark, Origin, Pager, Wrong } from "./parts.js";

const PAGE = 50;

export function ClusterTable({ stages, apps }) {
  const { query } = usePlace();
  const { q, stage, standing, app } = query;
  const [token, setToken] = useState(null);
  useEffect(() => setToken(null), [q, stage, standing, app]);
  const parameters = { q, standing, app, stage: stage === "none" ? undefined : stage, limit: PAGE, continue: token, expand: "apps" };
  const state = useAnswer("clusters", parameters, ["clusters"]);
  useTick();
  return html`<form class="filters" role="search" onSubmit=${(e) => e.preventDefault()}>
      <label>Name <input type="search" value=${q ?? ""} placeholder="part of a name" onInput=${(e) => setFilters({ q: e.target.value })} /></label>
      <label>Stage <select value=${stage ?? ""} onChange=${(e) => setFilters({ stage: e.target.value })}><option value="">all</option>${stages.map((s) => html`<option value=${s}>${s || "(none)"}</option>`)}</select></label>
      <label>Standing <select value=${standing ?? ""} onChange=${(e) => setFilters({ standing: e.target.value })}>
        <option value="">all</option><option value="failed,degraded,unknown,drifted,held">in trouble</option>${STANDINGS.map((s) => html`<option value=${s.word}>${s.word}</option>`)}</select></label>
      <label>App <select value=${app ?? ""} onChange=${(e) => setFilters({ app: e.target.value })}><option value="">all</option>${apps.map((a) => html`<option value=${a}>${a}</option>`)}</select></label>
      ${q || stage || standing || app ? html`<button type="button" onClick=${() => setFilters({ q: "", stage: "", standing: "", app: "" })}>Clear</button>` : null}
    </form>
    <${Answered} state=${state}>${(data) => html`<div class="scroll"><table class="clusters">
      <thead><tr><th>Cluster</th><th>Stage</th><th>Standing</th><th>Apps</th><th>Kubernetes</th><th>Heard</th></tr></thead>
      <tbody>${data.items.map((c) => html`<tr key=${c.name}><th scope="row"><a href=${`/clusters/${c.name}`}>${c.name}</a>${c.member ? null : html` <small class="dim" title="The fleet's newest commit does not name it">detached</small>`}</th>
        <td>${c.stage || html`<span class="dim">–</span>`}</td><td><${Mark} word=${c.standing} /></td>
        <td class="apps">${c.placements.map((p) => html`<span class="app s-text-${p.standing}" title=${`${p.app}: ${p.standing}${p.message ? `. ${p.message}` : ""}`}><i aria-hidden="true">${glyph(p.standing)}</i><a href=${`/apps/${p.app}`}>${p.app}</a>${p.commit ? html`<code>${p.commit.short}</code>` : null}<span class="sr">${p.standing}</span></span>`)}
          ${c.placements.length ? null : html`<span class="dim">none</span>`}</td>
        <td>${c.kubernetes_version || html`<span class="dim">–</span>`}</td>
        <td class=${c.silent ? "bad" : ""}><time title=${moment(c.heard_at_ms)}>${ago(c.heard_at_ms)}</time></td></tr>`)}</tbody></table></div>
      ${data.items.length ? null : html`<p class="dim">No cluster fits these filters.</p>`}
      <${Pager} pages=${{ next: data.metadata.continue, deep: token !== null }} onNext=${() => setToken(data.metadata.continue)} onFirst=${() => setToken(null)} />`}<//>`;
}

export function ClusterView({ name }) {
  const state = useAnswer(`clusters/${name}`, {}, ["clusters"]);
  useTick();
  return html`<${Answered} state=${state}>${(c) => html`
    <h1>${c.name} <${Mark} word=${c.standing} /></h1>
    ${c.silent ? html`<p class="wrong">Not heard ${c.heard_at_ms ? html`for <b>${duration(hubNow() - c.heard_at_ms)}</b>` : "yet"}. What follows is what it said last; it goes on with its last good state.</p>` : null}
    <dl class="facts-list"><div><dt>Stage</dt><dd>${c.stage || "–"}</dd></div><div><dt>Heard</dt><dd><${Ago} ms=${c.heard_at_ms} /></dd></div>
      <div><dt>Generation</dt><dd>${c.generation_applied} applied, ${c.generation_seen} seen${c.generation_assigned ? html`, ${c.generation_assigned} assigned` : null}</dd></div>
      <div><dt>Kubernetes</dt><dd>${c.kubernetes_version || "–"}</dd></div><div><dt>Agent</dt><dd>${c.agent_version || "–"}, start ${c.agent_start_number}</dd></div>
      <div><dt>UID</dt><dd><code>${c.uid || "–"}</code></dd></div>
      <div><dt>Labels</dt><dd>${Object.entries(c.labels).map(([k, v]) => html`<code class="chip">${k}=${v}</code> `)}</dd></div></dl>
    <${Failures} failures=${c.failures} />
    <section class="card"><h2>Apps</h2><${Placements} rows=${c.placements} first="app" /></section>
    <section class="card"><h2>Events</h2><${Events} parameters=${{ cluster: name, limit: 20 }} /></section>`}<//>`;
}

// One row per app and cluster, each with the sentence that answers why.
export function Placements({ rows, first }) {
  const where = first === "app" ? "apps" : "clusters";
  return html`<div class="scroll"><table><thead><tr><th>${first === "app" ? "App" : "Cluster"}</th><th>Standing</th><th>Commit</th><th>What it says</th><th class="number">Objects</th><th></th></tr></thead>
    <tbody>${rows.map((p) => html`<tr key=${`${p.cluster}/${p.app}`}><th scope="row"><a href=${`/${where}/${p[first]}`}>${p[first]}</a></th>
      <td><${Mark} word=${p.standing} /></td>
      <td><${CommitName} commit=${p.commit} />${p.digest !== p.assigned_digest && p.assigned_digest ? html` <small class="dim">another is assigned</small>` : null}</td>
      <td class="says">${p.message || (p.standing === "healthy" ? html`<span class="dim" title=${moment(p.healthy_at_ms)}>for ${whole(hubNow() - p.healthy_at_ms)}</span>` : p.state === "unreported" ? html`<span class="dim">no report yet</span>` : p.standing === "unknown" ? html`<span class="dim">was ${p.state} when last heard</span>` : null)}
        <${Failures} failures=${p.failures} />
        ${p.unhealthy.map((u) => html`<div class="small"><code>${objectName(u.object)}</code> ${u.status}: ${u.message}<${Origin} of=${u} /></div>`)}
        ${p.drift.map((d) => html`<div class="small">${d.deleted ? "deleted" : "changed"} <code>${objectName(d.object)}</code><${Origin} of=${d} />${d.manager ? html` by ${d.manager}` : null}, ${d.healed ? "healed" : "not healed"}${d.fight ? ", again and again: a fight" : ""}</div>`)}</td>
      <td class="number">${p.object_count}</td><td><${Why} cluster=${p.cluster} app=${p.app} /></td></tr>`)}</tbody></table></div>
    ${rows.length ? null : html`<p class="dim">None.</p>`}`;
}

function Why({ cluster, app }) {
  const [told, tell] = useState(null);
  const why = async () => { try { tell(await ask("explain", { cluster, app })); } catch (problem) { tell({ problem }); } };
  if (told?.problem) return html`<${Wrong} problem=${told.problem} />`;
  if (told) return html`<div class="explained" role="status">${told.sentence} ${told.code ? html`<b class="code">${told.code}</b>` : null}${told.next_step ? html`<div class="next">${told.next_step}</div>` : null}</div>`;
  return html`<button type="button" class="link" onClick=${why} aria-label=${`Why is ${app} in ${cluster} so?`}>why?</button>`;
}

export function Events({ parameters }) {
  const state = useAnswer("events", parameters, ["events"]);
  useTick();
  return html`<${Answered} state=${state}>${(data) => data.items.length ? html`<ul class="events">${data.items.map((e) => html`<li key=${e.event_id} class="e-${e.kind}">
    <time title=${moment(e.at_ms)}>${ago(e.at_ms)}</time> <span class="kind">${e.kind}</span> ${e.code ? html`<b class="code">${e.code}</b> ` : null}${e.message}
    ${e.cluster ? html` <a href=${`/clusters/${e.cluster}`}>${e.cluster}</a>` : null}${e.app ? html` <a href=${`/apps/${e.app}`}>${e.app}</a>` : null}</li>`)}</ul>` : html`<p class="dim">Nothing worth telling happened.</p>`}<//>`;
}
export { CountWords };
