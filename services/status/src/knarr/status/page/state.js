// Hooks: the address as state, questions that ask again when their topic changes, and the clock's tick.
import { useEffect, useRef, useState } from "./kit.js";
import { ask } from "./ask.js";
import { onLive } from "./live.js";

const watchers = new Set();
function moved() { for (const w of [...watchers]) w(); }
window.addEventListener("popstate", moved);

export function go(path) {
  if (path === location.pathname + location.search) return;
  history.pushState(null, "", path);
  moved();
  if (!path.startsWith("?")) window.scrollTo(0, 0);
}
// Filters live in the address, so that a link shows what its sender saw.
export function setFilters(changes) {
  const query = new URLSearchParams(location.search);
  for (const [k, v] of Object.entries(changes)) v ? query.set(k, v) : query.delete(k);
  history.replaceState(null, "", location.pathname + (query.size ? `?${query}` : ""));
  moved();
}
export function usePlace() {
  const [, again] = useState(0);
  useEffect(() => {
    const w = () => again((n) => n + 1);
    watchers.add(w);
    return () => watchers.delete(w);
  }, []);
  return { path: location.pathname, query: Object.fromEntries(new URLSearchParams(location.search)) };
}
// Plain left clicks on our own links stay in the page.
export function followLinks(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (link.origin !== location.origin || link.target || link.pathname.startsWith("/api/")) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

// Asks now, and again (at most once a second) when one of `topics` changes. The last good answer stays while asking.
export function useAnswer(path, parameters, topics) {
  const [state, set] = useState({ data: null, problem: null });
  const key = path + JSON.stringify(parameters ?? {});
  const shown = useRef(null);
  useEffect(() => {
    const abort = new AbortController();
    let timer = null, last = 0, asking = false, again = false;
    const load = async () => {
      timer = null; asking = true; last = Date.now();
      try {
        const data = await ask(path, parameters, abort.signal);
        shown.current = key;
        if (!abort.signal.aborted) set({ data, problem: null });
      } catch (problem) {
        if (!abort.signal.aborted) set((s) => ({ data: shown.current === key ? s.data : null, problem }));
      }
      asking = false;
      if (again && !abort.signal.aborted) { again = false; soon(); }
    };
    const soon = () => {
      if (asking) { again = true; return; }
      timer ??= setTimeout(load, Math.max(0, last + 1000 - Date.now()));
    };
    load();
    const off = onLive((kind, data) => {
      if (kind === "reset" || (kind === "change" && topics.some((t) => data.topics.includes(t)))) soon();
    });
    return () => { abort.abort(); off(); clearTimeout(timer); };
  }, [key]);
  return state;
}
export function useTick() {
  const [, again] = useState(0);
  useEffect(() => onLive((kind) => { if (kind !== "beat") again((n) => n + 1); }), []);
}
