// Reads the REST API of the node that served this page, and nothing else.

/** A refusal as the node words it: what happened, why, what to do. */
export class Refused extends Error {
  constructor(problem) {
    super(`${problem.title}: ${problem.detail} ${problem.hint}`);
    this.code = problem.code;
  }
}

/** GET a path with query parameters; gives { data, metadata } or throws Refused. */
export async function get(path, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  const response = await fetch(query ? `${path}?${query}` : path, { headers: { Accept: "application/json" } });
  const body = await response.json();
  if (!response.ok) throw new Refused(body);
  return body;
}

export const insight = (metric, parameters) => get(`/v1/insights/${encodeURIComponent(metric)}`, parameters);
