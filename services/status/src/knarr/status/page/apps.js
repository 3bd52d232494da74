// Apps: how each stands, stage by stage, and one app in full.
import { html, useState } from "./kit.js";
import { setFilters, useAnswer, usePlace } from "./state.js";
import { STANDINGS, many } from "./words.js";
import { Ago, Answered, Bar, CommitName, CountWords, Failures, Pager } from "./parts.js";
import { HeldCard } from "./held.js";
import { Placements } from "./clusters.js";

export function AppsView() {
  const state = useAnswer("apps", { limit: 200 }, ["apps", "clusters", "decisions"]);
  return html`<h1>Apps</h1><section class="card"><${Answered} state=${state}>${(data) => html`<div class="scroll"><table>
    <thead><tr><th>App</th><th>Commit</th><th class="wide">Clusters</th><th>Rollout</th></tr></thead>
    <tbody>${data.items.filter((a) => !a.gone || a.clusters).map((a) => html`<tr key=${a.app}><th scope="row"><a href=${`/apps/${a.app}`}>${a.app}</a>${a.gone ? html` <small class="dim">gone from Git</small>` : null}<br /><small class="dim">${a.source} ${a.path}</small></th>
      <td><${CommitName} commit=${a.commit} /></td>
      <td><${Bar} standings=${a.standings} /><${CountWords} standings=${a.standings} href=${(w) => `/apps/${a.app}?standing=${w}`} /></td>
      <td>${a.held ? html`<a class="bad" href=${`/revisions/${a.held.revision}`}>${a.held.headline}</a>` : html`<span class="dim">${a.waits || (a.verdict ?? "not decided")}</span>`}
        <${Failures} failures=${a.render_failures.slice(0, 1)} /></td></tr>`)}</tbody></table></div>
    ${data.items.length ? null : html`<p class="dim">No app has been rendered yet.</p>`}`}<//></section>`;
}

export function AppView({ name }) {
  const { query } = usePlace();
  const [token, setToken] = useState(null);
  const state = useAnswer(`apps/${name}`, { standing: query.standing, limit: 100, continue: token }, ["apps", "clusters", "decisions", "revisions"]);
  return html`<${Answered} state=${state}>${(a) => html`
    <h1>${a.app} <span class="dim">in ${many(a.clusters, "cluster")}</span></h1>
    <p class="lead">${a.source} <code>${a.path}</code>, rendered <${Ago} ms=${a.rendered_at_ms} /> from <${CommitName} commit=${a.commit} />.</p>
    ${a.waits ? html`<p class="lead">${a.waits}.</p>` : null}
    ${a.held ? html`<${HeldOf} app=${a} />` : null}
    ${a.render_failures.length ? html`<section class="card bad-card"><h2>The newest commit does not render</h2><p>The last good revision stays.</p><${Failures} failures=${a.render_failures} /></section>` : null}
    <${Failures} failures=${a.decision_failures} />
    <section class="stages">${a.stages.map((s) => html`<article class="stage"><h3>${s.stage || "without a stage"} <span class="dim">${s.clusters}</span></h3><${Bar} standings=${s.standings} /><${CountWords} standings=${s.standings} /></article>`)}</section>
    <section class="card"><h2>Where it runs</h2>
      <p class="filters"><label>Standing <select value=${query.standing ?? ""} onChange=${(e) => { setToken(null); setFilters({ standing: e.target.value }); }}><option value="">all</option>${STANDINGS.map((s) => html`<option value=${s.word}>${s.word}</option>`)}</select></label></p>
      <${Placements} rows=${a.placements} first="cluster" />
      <${Pager} pages=${{ next: a.metadata.continue, deep: token !== null }} onNext=${() => setToken(a.metadata.continue)} onFirst=${() => setToken(null)} /></section>
    <section class="card"><h2>Revisions</h2><div class="scroll"><table><thead><tr><th>Revision</th><th>State</th><th>Commit</th><th>Decided</th></tr></thead>
      <tbody>${a.revisions.map((r) => html`<tr key=${r.revision}><th scope="row"><a href=${`/revisions/${r.revision}`}><code>${r.short}</code></a></th><td class=${r.state === "held" ? "bad" : ""}>${r.state}</td>
        <td><${CommitName} commit=${r.commit} /> ${r.commit?.subject}</td><td><${Ago} ms=${r.decided_at_ms} /></td></tr>`)}</tbody></table></div></section>`}<//>`;
}

function HeldOf({ app }) {
  const state = useAnswer(`revisions/${app.held.revision}`, {}, ["revisions", "decisions"]);
  return state.data ? html`<section class="held-panel"><${HeldCard} r=${state.data} /></section>` : null;
}
