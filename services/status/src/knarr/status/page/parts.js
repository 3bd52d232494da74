// Small parts that several views share.
import { html, useState } from "./kit.js";
import { ago, glyph, moment, many, safeLink, commitLink, STANDINGS, BY_WORD, objectWords } from "./words.js";

export function Mark({ word, text }) {
  return html`<span class="mark s-${word}"><i aria-hidden="true">${glyph(word)}</i>${text ?? word}</span>`;
}
export function Ago({ ms }) { return html`<time title=${moment(ms)}>${ago(ms)}</time>`; }

// Counts as a bar and as words; each word is a link that filters.
export function Bar({ standings }) {
  const all = Object.values(standings).reduce((a, b) => a + b, 0);
  return html`<div class="bar" aria-hidden="true">${STANDINGS.filter((s) => standings[s.word]).map((s) =>
    html`<span class="s-${s.word}" style=${{ flexGrow: standings[s.word] / Math.max(1, all) }}></span>`)}</div>`;
}
export function CountWords({ standings, href }) {
  return html`<ul class="counts">${[...STANDINGS].reverse().filter((s) => standings[s.word]).map((s) => {
    const inner = html`<${Mark} word=${s.word} text=${`${standings[s.word].toLocaleString("en")} ${s.word}`} />`;
    return html`<li>${href ? html`<a href=${href(s.word)}>${inner}</a>` : inner}</li>`;
  })}</ul>`;
}
export function CommitName({ commit, url }) {
  if (!commit) return html`<span class="dim">–</span>`;
  return html`<a class="sha" href=${`/commits/${commit.source}/${commit.sha}`} title=${`${commit.source} ${commit.sha}`}>${commit.short}</a>`;
}
export function OutLink({ url, sha, text }) {
  const href = sha ? commitLink(url, sha) : safeLink(url);
  return href ? html`<a href=${href} target="_blank" rel="noopener noreferrer">${text}</a>` : null;
}
// File and line in Git, where they are known.
export function Origin({ of }) {
  return of.origin ? html` <code class="dim">${of.origin}</code>` : null;
}
export function Failures({ failures }) {
  if (!failures?.length) return null;
  return html`<ul class="failures">${failures.map((f) => html`<li>
    <b class="code">${f.code}</b> ${f.message}
    <${Origin} of=${f} />
    ${f.next_step ? html`<div class="next">${f.next_step}</div>` : null}</li>`)}</ul>`;
}
export function Wrong({ problem }) {
  return html`<div class="wrong" role="alert"><b class="code">${problem.code || "No answer"}</b> ${problem.message}
    ${problem.nextStep ? html`<div class="next">${problem.nextStep}</div>` : null}</div>`;
}
// What a question gives before and instead of its answer.
export function Answered({ state, children }) {
  if (state.data) return html`${state.problem ? html`<${Wrong} problem=${state.problem} />` : null}${children(state.data)}`;
  if (state.problem) return html`<${Wrong} problem=${state.problem} />`;
  return html`<p class="dim loading">Reading…</p>`;
}
export function Copy({ text }) {
  const [done, set] = useState(false);
  const copy = async () => { await navigator.clipboard.writeText(text); set(true); setTimeout(() => set(false), 1500); };
  return html`<span class="copy"><code>${text}</code><button type="button" onClick=${copy}
    aria-label=${`Copy: ${text}`}>${done ? "copied" : "copy"}</button></span>`;
}
// Objects grouped by kind, as a person would say it.
export function Objects({ ids, total, shown = 12 }) {
  const [all, setAll] = useState(false);
  const list = all ? ids : ids.slice(0, shown);
  return html`<ul class="objects">${list.map((id) => {
    const o = objectWords(id);
    return html`<li><b>${o.kind}</b> ${o.namespace ? html`<span class="dim">${o.namespace}/</span>` : null}${o.name}</li>`;
  })}${!all && ids.length > shown ? html`<li><button type="button" class="link" onClick=${() => setAll(true)}>and ${ids.length - shown} more</button></li>` : null}
  ${all && total > ids.length ? html`<li class="dim">and ${many(total - ids.length, "more object")}</li>` : null}</ul>`;
}
export function Names({ names, shown = 24 }) {
  const [all, setAll] = useState(false);
  const list = all ? names : names.slice(0, shown);
  return html`<span class="names">${list.map((n) => html`<a href=${`/clusters/${n}`}>${n}</a> `)}${
    !all && names.length > shown ? html`<button type="button" class="link" onClick=${() => setAll(true)}>and ${names.length - shown} more</button>` : null}</span>`;
}
export function Pager({ pages, onNext, onFirst }) {
  if (!pages.next && !pages.deep) return null;
  return html`<nav class="pager" aria-label="Pages">${pages.deep ? html`<button type="button" onClick=${onFirst}>First page</button>` : null}
    ${pages.next ? html`<button type="button" onClick=${onNext}>Next page</button>` : html`<span class="dim">That is all</span>`}</nav>`;
}
export { BY_WORD };
