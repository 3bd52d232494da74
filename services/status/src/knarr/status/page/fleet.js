// The fleet at a glance: held first, then counts, then the map, then commits and sources, then the table.
import { html } from "./kit.js";
import { live } from "./live.js";
import { useAnswer, usePlace, useTick } from "./state.js";
import { STANDINGS, many } from "./words.js";
import { Ago, Answered, Bar, CommitName, CountWords, Failures, Mark, OutLink } from "./parts.js";
import { HeldPanel } from "./held.js";
import { CommitList } from "./commits.js";
import { ClusterTable } from "./clusters.js";
import { FleetMap } from "./map.js";

export function FleetView() {
  const { query } = usePlace();
  const first = useAnswer("summary", {}, []);
  useTick();
  const summary = live.summary ?? first.data;
  if (!summary) return html`<${Answered} state=${first}>${() => null}<//>`;
  const stages = summary.stages.map((s) => s.stage), apps = summary.apps.map((a) => a.app);
  // A large fleet's map takes the whole width, so that what follows stays near.
  const large = summary.clusters.total > 400;
  const map = html`<section class="card" aria-labelledby="map-head"><h2 id="map-head">Clusters${query.app ? html` <span class="dim">for ${query.app}</span>` : null}</h2>
    <${FleetMap} app=${query.app} />
    <ul class="legend">${STANDINGS.map((s) => html`<li title=${s.says}><${Mark} word=${s.word} /></li>`)}</ul></section>`;
  return html`<h1 class="sr">Fleet</h1><${HeldPanel} />
    <section class="stages" aria-label="Stages">
      <article class="stage all"><h2>All <b>${summary.clusters.total.toLocaleString("en")}</b></h2><${Bar} standings=${summary.clusters.standings} />
        <${CountWords} standings=${summary.clusters.standings} href=${(w) => `/?standing=${w}#clusters`} /></article>
      ${summary.stages.map((s) => html`<article class="stage" key=${s.stage}><h2>${s.stage || "without a stage"} <b>${s.clusters.toLocaleString("en")}</b></h2><${Bar} standings=${s.standings} />
        <${CountWords} standings=${s.standings} href=${(w) => `/?stage=${encodeURIComponent(s.stage)}&standing=${w}#clusters`} /></article>`)}
    </section>
    ${large ? map : null}
    <div class="columns">
      <section class="card" aria-labelledby="commits-head"><h2 id="commits-head">Commits <a class="more" href="/commits">all</a></h2><${CommitList} limit=${6} /></section>
      <div class="side">
        ${large ? null : map}
        <${Sources} />
        <section class="card" aria-labelledby="apps-head"><h2 id="apps-head">Apps <a class="more" href="/apps">all</a></h2>
          <ul class="app-list">${summary.apps.slice(0, 12).map((a) => html`<li key=${a.app}><a href=${`/apps/${a.app}`}>${a.app}</a><${Bar} standings=${a.standings} />
            <span class="dim number">${a.standings.healthy}/${a.clusters}</span></li>`)}</ul>
          ${summary.apps.length > 12 ? html`<p class="dim">and ${many(summary.apps.length - 12, "more app")}</p>` : null}</section>
      </div>
    </div>
    <section class="card" id="clusters" aria-labelledby="clusters-head"><h2 id="clusters-head">Clusters in words</h2><${ClusterTable} stages=${stages} apps=${apps} /></section>`;
}

function Sources() {
  const state = useAnswer("sources", { limit: 100 }, ["sources", "commits"]);
  return html`<section class="card" aria-labelledby="sources-head"><h2 id="sources-head">Sources</h2><${Answered} state=${state}>${(data) => html`<ul class="sources">${data.items.map((s) => html`<li key=${s.source} class=${s.reachable === false ? "broken" : ""}>
      <b>${s.source}</b> ${s.reachable === false ? html`<span class="bad"><i aria-hidden="true">✕</i> cannot be read since <${Ago} ms=${s.since_ms} /></span>` : html`<span class="dim"><i aria-hidden="true">✓</i> ${many(s.apps, "app")}</span>`}
      ${s.commit ? html`<div>at <${CommitName} commit=${s.commit} /> ${s.commit.subject}</div>` : null}
      <div class="small dim"><${OutLink} url=${s.url} text=${s.url} /> ${s.ref}</div>
      ${s.failure ? html`<${Failures} failures=${[s.failure]} />` : null}<${Failures} failures=${s.failures} /></li>`)}</ul>
      ${data.items.length ? null : html`<p class="dim">No source has been seen yet.</p>`}`}<//></section>`;
}
