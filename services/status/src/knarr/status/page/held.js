// What the guard holds: what would go, where, and what to do. Deletions first and loud; approving asks for more than a click.
import { html, useRef, useState } from "./kit.js";
import { command } from "./ask.js";
import { useAnswer } from "./state.js";
import { many } from "./words.js";
import { Ago, CommitName, Copy, Names, Objects, OutLink, Wrong } from "./parts.js";

export function HeldPanel() {
  const state = useAnswer("revisions", { state: "held", limit: 50 }, ["revisions", "decisions"]);
  const items = state.data?.items ?? [];
  if (!items.length) return null;
  return html`<section class="held-panel" aria-labelledby="held-head">
    <h2 id="held-head"><i aria-hidden="true">‖</i> Held before anything was sent: ${many(items.length, "revision")}</h2>
    ${items.map((r) => html`<${HeldCard} key=${r.revision} r=${r} />`)}
  </section>`;
}

export function HeldCard({ r }) {
  const held = r.held;
  return html`<article class="held-card">
    <h3>${held.headline}</h3>
    <p class="facts">${held.objects ? html`<b class="toll">${many(held.objects, "deletion")}</b> ` : null}
      ${held.kinds.map((k) => html`<span class="chip">${k.count.toLocaleString("en")} × ${k.kind}</span> `)}</p>
    <p class="why">${r.reasons.map((x) => html`<span><b class="code">${x.code}</b> ${x.message} </span>`)}</p>
    <p class="from">From <${CommitName} commit=${r.commit} /> <q>${r.commit?.subject}</q>${r.author ? html` by ${r.author}` : null},
      held <${Ago} ms=${r.held_since_ms} />. <a href=${`/revisions/${r.revision}`}>All about it</a></p>
    ${r.losses.map((loss) => html`<${Loss} loss=${loss} />`)}
    <div class="ways">
      <div><h4>It was a mistake: revert it</h4><${Copy} text=${held.revert} />
        <p class="dim">Nothing was deleted. The revert passes by itself; so does any later commit that brings the objects back.</p></div>
      <div><h4>It is meant: approve exactly this</h4>${held.approve ? html`<${Copy} text=${held.approve} />` : null}
        <${Approve} r=${r} /></div>
    </div>
  </article>`;
}

function Loss({ loss }) {
  const what = loss.app_removed ? "The whole app would go" : `${loss.object_count} of ${loss.objects_before} objects would go`;
  return html`<details class="loss" open=${loss.objects.length <= 20}><summary>${what} in ${many(loss.clusters.length, "cluster")}</summary>
    <div class="two"><div><h5>What</h5><${Objects} ids=${loss.objects} total=${loss.object_count} shown=${15} /></div>
    <div><h5>Where</h5><${Names} names=${loss.clusters} /></div></div></details>`;
}

function Approve({ r }) {
  const dialog = useRef(null);
  const fresh = { name: "", token: "", reason: "", evidence: "", problem: null, busy: false, done: false };
  const [state, set] = useState(fresh);
  const open = () => { set({ ...fresh, evidence: r.held.evidence }); dialog.current.showModal(); };
  const close = () => { dialog.current.close(); set(fresh); };
  const submit = async (e) => {
    e.preventDefault();
    set({ ...state, busy: true, problem: null });
    try {
      await command(`revisions/${r.revision}/approve`, state.token, { actor: "page", reason: state.reason, evidence: state.evidence });
      set({ ...state, token: "", busy: false, done: true });
    } catch (problem) { set({ ...state, busy: false, problem }); }
  };
  return html`<button type="button" class="danger" onClick=${open}>Approve…</button>
    <dialog ref=${dialog} onClose=${close} aria-labelledby=${`approve-${r.short}`}>
      <form onSubmit=${submit}>
        <h3 id=${`approve-${r.short}`}>Approve ${many(r.held.objects, "deletion")} in ${many(r.held.clusters || r.clusters.length, "cluster")}?</h3>
        <p>${r.held.headline}. Revision <code>${r.short}</code> and nothing else is approved.</p>
        ${state.done ? html`<p class="good">Approved. Rollout sends it now.</p><p><button type="button" onClick=${close}>Close</button></p>` : html`
        <label>Type the app's name, <b>${r.app}</b><input value=${state.name} autocomplete="off" spellcheck="false" onInput=${(e) => set({ ...state, name: e.target.value })} /></label>
        <label>Why (kept in the audit)<input value=${state.reason} maxlength="500" onInput=${(e) => set({ ...state, reason: e.target.value })} /></label>
        <label>API token<input type="password" value=${state.token} autocomplete="off" onInput=${(e) => set({ ...state, token: e.target.value })} /></label>
        ${state.problem ? html`<${Wrong} problem=${state.problem} />` : null}
        <p class="buttons"><button type="button" onClick=${close}>Keep holding</button>
        <button type="submit" class="danger" disabled=${state.name !== r.app || !state.token || state.busy}>${state.busy ? "Asking rollout…" : "Delete these objects"}</button></p>`}
      </form>
    </dialog>`;
}

export function RevisionView({ revision }) {
  const state = useAnswer(`revisions/${revision}`, {}, ["revisions", "decisions"]);
  if (!state.data) return state.problem ? html`<${Wrong} problem=${state.problem} />` : html`<p class="dim loading">Reading…</p>`;
  const r = state.data;
  return html`<h1>${r.app} <span class="dim">revision</span> <code>${r.short}</code></h1>
    <p class="lead">State: <b>${r.state}</b>, decided <${Ago} ms=${r.decided_at_ms} />, from <${CommitName} commit=${r.commit} />
      <q>${r.commit?.subject}</q>. App: <a href=${`/apps/${r.app}`}>${r.app}</a>.
      <${OutLink} url=${r.url} sha=${r.commit?.sha} text=" At the Git host" />
      ${r.approval ? html` Approved by ${r.approval.actor}${r.approval.reason ? html`: <q>${r.approval.reason}</q>` : null}.` : null}</p>
    ${r.waits ? html`<p class="lead">${r.waits}.</p>` : null}
    ${r.state === "held" ? html`<section class="held-panel"><${HeldCard} r=${r} /></section>` : null}
    <section class="card"><h2>Bundles</h2>${r.bundles.map((b) => html`<details open=${r.bundles.length === 1}>
      <summary><code>${b.short}</code>: ${many(b.object_count, "object")} for ${many(b.cluster_count, "cluster")}</summary>
      <div class="two"><div><h5>Objects</h5>${b.objects ? html`<${Objects} ids=${b.objects} total=${b.object_count} shown=${60} />` : null}</div>
      <div><h5>Clusters</h5><${Names} names=${b.clusters} /></div></div></details>`)}
    ${r.bundles.length ? null : html`<p class="dim">A removal: there is nothing to run.</p>`}</section>`;
}
