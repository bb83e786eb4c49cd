// Segment's own Node library, unchanged: some calls, then one line of JSON that says what it saw.
import { Analytics } from "@segment/analytics-node";

const [host, writeKey] = process.argv.slice(2);
const errors = [];
const analytics = new Analytics({ host, writeKey, maxRetries: 0, flushInterval: 50 });
analytics.on("error", (error) => errors.push(String(error.code)));
const context = { consent: { categoryPreferences: { analytics: true } } };
for (let person = 0; person < 3; person++) {
  analytics.track({ userId: `u${person}`, event: "Order Completed", properties: { kind: "book", email: "a@b.example" }, context });
}
analytics.page({ userId: "u0", name: "Home", context });
analytics.track({ userId: "u9", event: "Order Completed" }); // nothing was consented to
await analytics.closeAndFlush();
const refused = await fetch(`${host}/v1/identify`, {
  method: "POST",
  headers: { Authorization: `Basic ${Buffer.from(`${writeKey}:`).toString("base64")}` },
  body: JSON.stringify({ userId: "u1", traits: { name: "x" } }),
});
console.log(JSON.stringify({ errors, status: refused.status, hint: (await refused.json()).rejected[0].hint }));
