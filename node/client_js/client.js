/* Murmur: events to this platform's own node. No cookie, no lasting id; silent under GPC and DNT; never throws.
   "murmur snippet" prints the lines that load it. */
(function (w, d, n) {
  "use strict";
  var tag = d.currentScript || {}, set = tag.dataset || {}, DAY = 864e5, MAX = 200, BATCH = 25;
  var url = (set.endpoint || (tag.src || "").replace(/\/[^/]*$/, "") + "/v1/events") + "?key=" + encodeURIComponent(set.key || "");
  var memory = {}, wait = 0, timer = 0, busy = 0, count = 0;
  function keep(area, key, value) { // text in storage, else in memory; null removes
    try {
      var s = w[area + "Storage"];
      if (value === undefined) return s.getItem(key) || memory[key] || null;
      if (value === null) s.removeItem(key); else s.setItem(key, value);
      delete memory[key];
    } catch (e) {
      if (value === undefined) return memory[key] || null;
      memory[key] = value;
    }
  }
  function safe(f) { return function () { try { return f.apply(null, arguments); } catch (e) { /* the page goes on */ } }; }
  function random() {
    var a = new Uint32Array(4), s = "";
    try { w.crypto.getRandomValues(a); } catch (e) { a = a.map(function () { return Math.random() * 4294967296; }); }
    for (var i = 0; i < 4; i++) s += (a[i] >>> 0).toString(36);
    return s;
  }
  function session() {
    var s = keep("session", "murmur:s");
    if (!s) keep("session", "murmur:s", s = random());
    return s;
  }
  function isOff() {
    return n.globalPrivacyControl || n.doNotTrack === "1" || w.doNotTrack === "1" || keep("local", "murmur:off");
  }
  function queue() {
    var q = [];
    try { q = JSON.parse(keep("local", "murmur:q")) || []; } catch (e) { /* spoiled: begin anew */ }
    return q.filter(function (e) { return e && e.t > Date.now() - DAY; });
  }
  function save(q) { keep("local", "murmur:q", q.length ? JSON.stringify(q.slice(-MAX)) : null); }
  function consented() { var c = keep("local", "murmur:c"); return c ? c.split(",") : null; }
  function later(ms) { clearTimeout(timer); timer = setTimeout(flush, ms); }
  function done(batch) { // looked up again: another tab may have added
    var ids = batch.map(function (e) { return e.i; });
    save(queue().filter(function (e) { return ids.indexOf(e.i) < 0; }));
  }
  function again(after) {
    wait = Math.min(wait ? wait * 2 : 1000, 3e5);
    later(Math.max(after * 1000 || 0, wait * (0.5 + Math.random())));
  }
  function said() { // what was withdrawn here and the node does not hold yet
    var all = [];
    try { all = JSON.parse(keep("local", "murmur:w")) || []; } catch (e) { /* spoiled: begin anew */ }
    return all.filter(function (x) { return x && x.t > Date.now() - DAY; });
  }
  function hold(all) { keep("local", "murmur:w", all.length ? JSON.stringify(all) : null); }
  function withdraw(purposes) { // with it the session ends: what is consented to later belongs to another
    var s = keep("session", "murmur:s");
    if (s) hold(said().concat({ session_id: s, withdraw: purposes, t: Date.now() }));
    keep("session", "murmur:s", null);
    save([]);
    tell();
  }
  var tell = safe(function () {
    var all = said();
    if (!all.length || !w.fetch) return hold(all);
    post(url.replace(/[^/]*(?=\?key=)/, "consent"), JSON.stringify(all.slice(0, 9), ["session_id", "withdraw"]), function () {
      hold(said().slice(9));
      tell();
    });
  });
  function post(to, body, taken, ended) {
    ended = ended || function () {};
    w.fetch(to, { method: "POST", body: body, keepalive: true, credentials: "omit", mode: "cors" })
      .then(function (r) {
        ended();
        if (r.status >= 500 || r.status === 429 || r.status === 408) return again(+r.headers.get("Retry-After"));
        wait = 0;
        taken(r);
      }, function () { ended(); again(0); })
      .catch(ended);
  }
  var flush = safe(function () {
    tell();
    var batch = queue().slice(0, BATCH);
    if (busy) return;
    if (!batch.length || isOff()) return save([]);
    if (!w.fetch) return beacon();
    busy = 1;
    post(url, JSON.stringify({ batch: batch }), function (r) {
      done(batch);
      if (set.debug !== undefined) r.json().then(function (x) { console.info("murmur", r.status, x); }, function () {});
      if (queue().length) later(0);
    }, function () { busy = 0; });
  });
  var beacon = safe(function () { // unanswered, so what it sent stays until it is acknowledged; an id counts once
    if (isOff()) return;
    for (var q = queue(), i = 0; i < q.length && i < 2 * BATCH; i += BATCH)
      n.sendBeacon(url, new Blob([JSON.stringify({ batch: q.slice(i, i + BATCH) })], { type: "text/plain" }));
  });
  var murmur = safe(function (action, attributes) {
    if (isOff() || !action || (set.consent === "required" && !consented())) return;
    var e = { a: set.app, n: action, p: attributes || {}, t: Date.now(), s: session(), i: random(), q: count++ };
    if (consented()) e.c = consented();
    var q = queue();
    q.push(e);
    save(q);
    if (!wait) later(q.length >= BATCH ? 0 : 1000);
  });
  murmur.consent = safe(function (purposes) { // a list, a name, or nothing to withdraw: then what waits is dropped
    var now = [].concat(purposes || []), gone = (consented() || []).filter(function (p) { return now.indexOf(p) < 0; });
    keep("local", "murmur:c", now.join(",") || null);
    if (gone.length) withdraw(gone); else if (!now.length) save([]);
  });
  murmur.optOut = safe(function () { keep("local", "murmur:off", "1"); withdraw("all"); });
  murmur.optIn = safe(function () { keep("local", "murmur:off", null); });
  murmur.flush = flush;
  var last;
  murmur.page = safe(function () {
    if (last === (last = w.location.pathname)) return;
    murmur(set.page || "page", { path: last });
  });
  var early = (w.murmur && w.murmur.q) || []; // what the page said before this script came
  w.murmur = murmur;
  early.forEach(function (said) { (murmur[said[0]] || murmur).apply(null, said[1]); });
  safe(function () {
    if (set.page !== undefined) {
      ["pushState", "replaceState"].forEach(function (name) {
        var old = w.history[name];
        w.history[name] = function () { var r = old.apply(this, arguments); murmur.page(); return r; };
      });
      w.addEventListener("popstate", murmur.page);
      murmur.page();
    }
    w.addEventListener("online", function () { wait = 0; flush(); });
    w.addEventListener("pagehide", beacon);
    d.addEventListener("visibilitychange", function () { if (d.visibilityState === "hidden") beacon(); });
    later(500); // what an earlier page left
  })();
})(window, document, navigator);
