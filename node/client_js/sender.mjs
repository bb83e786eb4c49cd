// A small sender for Node.js servers: batches, retries, each event counted once. No dependency; copy it.
//   const murmur = createSender({ url: "https://events.example.org", key: "mw_…", app: "shop" });
//   murmur.send("buy", { kind: "book" }, { user: "u-17", consent: ["analytics"] });  …  await murmur.close();
//   murmur.withdraw(["analytics"], { user: "u-17" });  // without purposes: everything; holds until the epoch ends
import { randomUUID } from "node:crypto";

const BATCH = 100, MAX_WAITING = 10_000;

export function createSender({ url, key, app, pauseMs = 1000 }) {
  let waiting = [], withdrawn = [], failures = 0, timer, busy = null;
  const refused = {};
  const note = (code, count) => { refused[code] = (refused[code] ?? 0) + count; };
  async function post(path, body) { // true: the node has it, or will never take it
    try {
      const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
      const answer = await fetch(`${url.replace(/\/$/, "")}/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
      if (answer.status >= 500 || answer.status === 429 || answer.status === 408) return false;
      const receipt = await answer.json().catch(() => ({}));
      if (!answer.ok && !("accepted" in receipt)) note(receipt.code ?? String(answer.status), body.length);
      for (const [reason, count] of Object.entries(receipt.filtered ?? {})) note(reason, count);
      for (const one of receipt.rejected ?? []) note(one.code, 1);
      return true;
    } catch { return false; }
  }
  async function drain() {
    while (withdrawn.length) {
      const said = withdrawn.slice(0, BATCH);
      if (!(await post("consent", said))) { failures++; return; }
      withdrawn = withdrawn.slice(said.length);
    }
    while (waiting.length) {
      const batch = waiting.slice(0, BATCH), ids = new Set(batch.map((event) => event.i));
      if (!(await post("events", batch))) { failures++; return; }
      failures = 0;
      waiting = waiting.filter((event) => !ids.has(event.i));
    }
  }
  function later() {
    clearTimeout(timer);
    timer = setTimeout(flush, Math.min(pauseMs * 2 ** failures, 60_000) * (0.5 + Math.random()));
    timer.unref?.();
  }
  async function flush() {
    busy ??= drain().finally(() => { busy = null; if (waiting.length || withdrawn.length) later(); });
    await busy;
  }
  return {
    refused,
    send(action, attributes = {}, { user, session, consent = [], country } = {}) {
      waiting.push({ a: app, n: action, p: attributes, t: Date.now(), u: user, s: session, c: consent, g: country, i: randomUUID() });
      if (waiting.length > MAX_WAITING) waiting.shift();
      if (waiting.length >= BATCH) flush(); else later();
    },
    withdraw(purposes = "all", { user, session } = {}) {
      withdrawn.push({ user_id: user, session_id: session, withdraw: purposes });
      flush();
    },
    flush,
    async close(tries = 5) {
      while (waiting.length + withdrawn.length && tries-- > 0) {
        await flush();
        if (waiting.length + withdrawn.length) await new Promise((done) => setTimeout(done, pauseMs));
      }
      clearTimeout(timer);
    },
  };
}
