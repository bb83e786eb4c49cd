// Reads the REST API of the node that served this page, and nothing else.

import { key } from "./access.js";

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1).replace(/[.]$/, "")}.`;

/** A refusal as the node words it: what happened, why, what to do. */
export class Refused extends Error {
  constructor(problem, status) {
    super([problem.title, problem.detail, problem.hint].filter(Boolean).map(sentence).join(" "));
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

/** Sends a document (or text, as it is) with a method; gives the reply's document or throws Refused. */
export async function send(method, path, body = null) {
  const text = typeof body === "string" ? body : JSON.stringify(body ?? {});
  const headers = withKey({ Accept: "application/json", "Content-Type": "application/json" });
  let response;
  try {
    response = await fetch(path, { method, headers, ...(method === "DELETE" ? {} : { body: text }) });
  } catch {
    throw new Refused({ code: "node_silent", title: "The node does not answer", detail: "Nothing is known of what you asked for",
      hint: "Look again when it is back before you repeat it" }, 0);
  }
  const told = await response.json();
  if (!response.ok) throw new Refused(told, response.status);
  return told;
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

const MOST_HELD = 32;
const held = new Map(); // replies since the logs last grew: a page drawn anew asks for nothing again

function once(path, parameters = {}) {
  const name = `${path}?${new URLSearchParams(parameters)}`;
  if (!held.has(name)) {
    if (held.size >= MOST_HELD) held.delete(held.keys().next().value);
    const asked = get(path, parameters);
    held.set(name, asked);
    asked.catch(() => held.delete(name)); // a refusal is not kept
  }
  return held.get(name);
}

/** The answer to a question; the one already given while nothing new was released. */
export const insight = (metric, parameters) => once(`/v1/insights/${encodeURIComponent(metric)}`, parameters);

/** The rows of the catalogue. */
export const catalogue = async () => (await once("/v1/metrics")).data.metrics;

/** What is promised and charged; the first answer may take the node a second. */
export const budget = () => once("/v1/budget");

/** Something was released, or the charter changed: everything is asked for anew. */
export const forgetAnswers = () => held.clear();
