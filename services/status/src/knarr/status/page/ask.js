// Questions to /api/v1. A refusal becomes an Error with its number and next step.
const DEADLINE_MS = 15000;

export class Problem extends Error {
  constructor(body, status) {
    super(body.detail || body.title || `HTTP ${status}`);
    this.code = body.code || "";
    this.nextStep = body.next_step || "";
    this.status = status;
  }
}

async function answer(response) {
  const type = response.headers.get("Content-Type") || "";
  const body = type.includes("json") ? await response.json() : {};
  if (!response.ok) throw new Problem(body, response.status);
  return body;
}

export async function ask(path, parameters = {}, signal) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, v]) => v != null && v !== ""));
  const signals = [AbortSignal.timeout(DEADLINE_MS), ...(signal ? [signal] : [])];
  return answer(await fetch(`/api/v1/${path}${query.size ? `?${query}` : ""}`, { signal: AbortSignal.any(signals) }));
}

// The token is used for this one request and kept nowhere.
export async function command(path, token, body) {
  return answer(await fetch(`/api/v1/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(DEADLINE_MS * 2),
  }));
}
