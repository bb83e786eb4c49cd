// Reads the REST API of the node that served this page, and nothing else.

import { key } from "./access.js";

/** A refusal as the node words it: what happened, why, what to do. */
export class Refused extends Error {
  constructor(problem, status) {
    super([problem.title, problem.detail, problem.hint].filter(Boolean).join(". "));
    this.code = problem.code;
    this.status = status;
  }
}

export const withKey = (headers) => (key() ? { ...headers, Authorization: `Bearer ${key()}` } : headers);

/** GET a path with query parameters; gives { status, data, metadata } or throws Refused. */
export async function get(path, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  let response;
  try {
    response = await fetch(query ? `${path}?${query}` : path, { headers: withKey({ Accept: "application/json" }) });
  } catch {
    throw new Refused({ code: "node_silent", title: "The node does not answer",
      detail: "It may be stopped, or the network between you and it is cut",
      hint: "This page tries again by itself; numbers below are the last ones it was given" }, 0);
  }
  const body = await response.json();
  if (!response.ok) throw new Refused(body, response.status);
  return body;
}

/** The same, or null where this node has no such path or does not open it here. */
export async function maybe(path, parameters = {}) {
  try {
    return await get(path, parameters);
  } catch (error) {
    if ([403, 404, 405].includes(error.status)) return null;
    throw error;
  }
}

export const insight = (metric, parameters) => get(`/v1/insights/${encodeURIComponent(metric)}`, parameters);
