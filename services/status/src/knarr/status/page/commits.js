// Commits: each one's way through the pipeline, and which commit is where.
import { html } from "./kit.js";
import { useAnswer, useTick } from "./state.js";
import { COMMIT_STATES, duration, hubNow, many } from "./words.js";
import { Ago, Answered, CommitName, Failures, Names, OutLink } from "./parts.js";

const SAYS = {
  fetch: "read from Git", snapshot: "stored, waiting for the renderer", render: "rendered to bundles", decide: "judged by rollout",
  deliver: "until the first cluster had it", apply: "until the last cluster had it", healthy: "until the last cluster was healthy",
};

export function CommitList({ limit = 6, source }) {
  const state = useAnswer("commits", { limit, source }, ["commits", "decisions", "revisions", "clusters"]);
  return html`<${Answered} state=${state}>${(data) => data.items.length
    ? html`<ol class="commits">${data.items.map((c) => html`<${CommitLine} key=${`${c.source}${c.number}`} c=${c} />`)}</ol>`
    : html`<p class="dim">No commit has been seen yet.</p>`}<//>`;
}

function CommitLine({ c }) {
  const [sign, says] = COMMIT_STATES[c.state] ?? ["·", c.state];
  const d = c.deliveries;
  return html`<li class="commit c-${c.state}">
    <div class="top"><span class="state"><i aria-hidden="true">${sign}</i> ${says}</span>
      <${CommitName} commit=${c} /> <span class="subject">${c.subject}</span>
      <span class="dim">${c.source === "fleet" ? null : html`${c.source} · `}${c.author} · <${Ago} ms=${c.observed_at_ms} /></span></div>
    <${Timeline} c=${c} />
    <div class="bottom">${c.changed.length ? html`<span>${c.state === "unchanged" ? "renders anew" : "changes"} ${c.changed.map((a) => html`<a href=${`/apps/${a}`}>${a}</a> `)}</span>` : null}
      ${c.gone.length ? html`<span>removes ${c.gone.join(", ")}</span>` : null}
      ${c.failed.map((f) => html`<span class="bad"><a href=${`/apps/${f.app}`}>${f.app}</a> did not render <b class="code">${f.code}</b></span>`)}
      ${c.dropped.length ? html`<span>${c.dropped.join(", ")}: held, then something newer took its place. Nothing was sent.</span>` : null}
      ${c.held.length ? html`<span class="bad">${c.held.join(", ")}: held, nothing sent</span>` : null}
      ${d.total ? html`<span>${d.healthy}/${d.total} healthy${d.superseded ? `, ${d.superseded} overtaken` : ""}</span>` : null}
      ${c.failures.length ? html`<${Failures} failures=${c.failures} />` : null}</div>
  </li>`;
}

// Seven stages; each as wide as it took (never too small to see), with its duration in words.
export function Timeline({ c }) {
  useTick();
  const stages = c.stages.filter((s) => s.started_at_ms !== null);
  const spent = (s) => Math.max(0, (s.ended_at_ms ?? (c.newest && c.state !== "held" && c.state !== "failed" ? hubNow() : s.started_at_ms)) - s.started_at_ms);
  const whole = Math.max(1, stages.reduce((a, s) => a + spent(s), 0));
  const ended = c.stages.every((s) => s.started_at_ms === null || s.ended_at_ms !== null);
  return html`<div class="timeline"><ol>${stages.map((s) => html`<li class="t-${s.stage} ${s.ended_at_ms === null ? "open" : ""}"
      style=${{ flexGrow: Math.max(0.06, spent(s) / whole) }} title=${`${s.stage}: ${SAYS[s.stage]}`}>
      <span class="name">${s.stage}</span> <span class="time">${s.ended_at_ms === null ? "…" : duration(spent(s))}</span></li>`)}</ol>
    <span class="sum">${ended ? duration(whole) : null}</span></div>`;
}

export function CommitsView({ query }) {
  return html`<h1>Commits</h1><section class="card"><${CommitList} limit=${50} source=${query.source} /></section>`;
}

export function CommitView({ source, commit }) {
  const state = useAnswer(`commits/${source}/${commit}`, {}, ["commits", "clusters", "decisions"]);
  return html`<${Answered} state=${state}>${(c) => html`
    <h1><span class="dim">${c.source}</span> <code>${c.short}</code> ${c.subject}</h1>
    <p class="lead">${c.author}, seen <${Ago} ms=${c.observed_at_ms} />, on <code>${c.ref}</code>.
      <${OutLink} url=${c.url} sha=${c.sha} text=" At the Git host" />
      ${c.trace_id ? html` Trace <code>${c.trace_id}</code>.` : null}</p>
    <section class="card"><${Timeline} c=${c} /><${Failures} failures=${c.failures} /></section>
    <section class="card"><h2>Where it is</h2>
    <div class="scroll"><table><thead><tr><th>App</th><th>In this commit</th><th>On it</th><th>Not on it</th></tr></thead>
    <tbody>${c.apps.map((a) => html`<tr><th scope="row"><a href=${`/apps/${a.app}`}>${a.app}</a></th>
      <td>${a.outcome === "revision" ? "changed" : a.outcome}${a.code ? html` <b class="code">${a.code}</b>` : null}
        ${a.verdict === "held" ? html`, <a class="bad" href=${`/revisions/${a.revision}`}>held</a>` : null}</td>
      <td>${a.clusters ? html`<b>${a.on.count}</b> of ${a.clusters}${a.on.count ? html` (${a.on.healthy} healthy)` : null}<br />
        <small><${Names} names=${a.on.clusters} shown=${8} /></small>` : "–"}</td>
      <td>${a.off.count ? html`<b>${a.off.count}</b>: <${Names} names=${a.off.clusters} shown=${12} />${a.off.more ? html` and ${a.off.more} more` : null}` : html`<span class="dim">none</span>`}</td></tr>`)}
    </tbody></table></div>
    ${c.apps.length ? null : html`<p class="dim">${c.state === "rendering" ? "It is being rendered." : "No app."}</p>`}</section>`}<//>`;
}
export { many };
