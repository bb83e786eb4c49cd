#!/usr/bin/env node
// Writes node/dashboard/static/vendor/ anew: built files of npm packages as they were published, their licences, and two
// small tables derived from world-atlas. Run it by hand where npm works: node deploy/dashboard/vendor.mjs
// Running the node needs none of this; tests/unit/node/test_dashboard.py checks the written digests.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";

const TARGET = join(dirname(fileURLToPath(import.meta.url)), "../../node/dashboard/static/vendor");
const TEST_TARGET = join(dirname(fileURLToPath(import.meta.url)), "../../tests/browser/vendor");

const PACKAGES = [
  { name: "uplot", version: "1.6.32", files: ["dist/uPlot.iife.min.js", "dist/uPlot.min.css"] },
  { name: "d3-array", version: "3.2.4", files: ["dist/d3-array.min.js"] },
  { name: "d3-geo", version: "3.1.1", files: ["dist/d3-geo.min.js"] },
  { name: "topojson-client", version: "3.1.0", files: ["dist/topojson-client.min.js"] },
  { name: "world-atlas", version: "2.0.2", files: ["countries-110m.json"] },
  { name: "axe-core", version: "4.14.1", files: ["axe.min.js"], target: TEST_TARGET },
];

// Names of world-atlas that Intl writes otherwise.
const OTHERWISE = {
  "Antigua and Barb.": "AG", "Bosnia and Herz.": "BA", "Br. Indian Ocean Ter.": "IO", "British Virgin Is.": "VG",
  "Cabo Verde": "CV", "Cayman Is.": "KY", "Central African Rep.": "CF", "Congo": "CG", "Cook Is.": "CK", "Côte d'Ivoire": "CI",
  "Dem. Rep. Congo": "CD", "Dominican Rep.": "DO", "Eq. Guinea": "GQ", "Faeroe Is.": "FO", "Falkland Is.": "FK",
  "Fr. Polynesia": "PF", "Fr. S. Antarctic Lands": "TF", "Heard I. and McDonald Is.": "HM", "Hong Kong": "HK", "Macao": "MO",
  "Macedonia": "MK", "Marshall Is.": "MH", "Micronesia": "FM", "Myanmar": "MM", "N. Mariana Is.": "MP", "Palestine": "PS",
  "Pitcairn Is.": "PN", "S. Geo. and the Is.": "GS", "S. Sudan": "SS", "Saint Helena": "SH", "Solomon Is.": "SB",
  "St-Barthélemy": "BL", "St-Martin": "MF", "St. Kitts and Nevis": "KN", "St. Pierre and Miquelon": "PM",
  "St. Vin. and Gren.": "VC", "São Tomé and Principe": "ST", "Turkey": "TR", "Turks and Caicos Is.": "TC",
  "U.S. Virgin Is.": "VI", "United States of America": "US", "W. Sahara": "EH", "Wallis and Futuna Is.": "WF",
  "eSwatini": "SZ", "Trinidad and Tobago": "TT", "Kosovo": "XK", "Antarctica": "AQ", "Saint Lucia": "LC", "Czechia": "CZ",
  "Åland": "AX", "Vatican": "VA", "Somaliland": null, "N. Cyprus": null, "Ashmore and Cartier Is.": null,
  "Indian Ocean Ter.": null, "Siachen Glacier": null,
};

const work = mkdtempSync(join(tmpdir(), "vendor-"));
try {
  rmSync(TARGET, { recursive: true, force: true });
  const made = new Map();
  for (const one of PACKAGES) unpack(one, made);
  const atlas = (detail) => JSON.parse(readFileSync(join(work, "world-atlas", `countries-${detail}m.json`), "utf8"));
  const codes = codesOf(atlas(110));
  write(TARGET, "country-codes.json", JSON.stringify(codes), made);
  write(TARGET, "places.json", JSON.stringify(placesOf(atlas(50), new Set(Object.values(codes)))), made);
  for (const target of [TARGET, TEST_TARGET]) writeReadme(target, made);
} finally {
  rmSync(work, { recursive: true, force: true });
}

function unpack({ name, version, files, target = TARGET }, made) {
  const [{ filename }] = JSON.parse(execFileSync("npm", ["pack", "--json", "--silent", `${name}@${version}`], { cwd: work }));
  mkdirSync(join(work, name));
  execFileSync("tar", ["xzf", filename, "-C", name, "--strip-components=1"], { cwd: work });
  for (const file of files) write(target, file.split("/").at(-1), readFileSync(join(work, name, file)), made);
  write(target, `LICENSE-${name}.txt`, readFileSync(join(work, name, "LICENSE")), made);
}

/** { shape's name: alpha-2 } of every shape that has a code. */
function codesOf(atlas) {
  const byName = namesOfRegions();
  const codes = {};
  for (const shape of atlas.objects.countries.geometries) {
    const name = shape.properties.name;
    const code = name in OTHERWISE ? OTHERWISE[name] : byName.get(name);
    if (code === undefined) throw new Error(`no code for ${name}`);
    if (code !== null) codes[name] = code;
  }
  return codes;
}

/** { alpha-2: [longitude, latitude] } of the places that only the finer map draws. */
function placesOf(atlas, drawn) {
  const browser = createContext({});
  for (const name of ["d3-array", "d3-geo", "topojson-client"]) {
    runInContext(readFileSync(join(work, name, "dist", `${name}.min.js`), "utf8"), browser);
  }
  const geo = browser.d3;
  const { feature } = browser.topojson;
  const places = {};
  const byName = namesOfRegions();
  for (const shape of feature(atlas, atlas.objects.countries).features) {
    const name = shape.properties.name;
    const code = name in OTHERWISE ? OTHERWISE[name] : byName.get(name);
    if (code === undefined) console.error(`left out: ${name}`);
    if (code && !drawn.has(code)) places[code] = geo.geoCentroid(shape).map((degree) => Math.round(10 * degree) / 10);
  }
  return places;
}

function namesOfRegions() {
  const names = new Intl.DisplayNames("en", { type: "region", fallback: "none" });
  const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
  const codes = letters.flatMap((a) => letters.map((b) => a + b)).filter((code) => !["UK", "DD", "FX", "SU", "YU", "ZR"].includes(code));
  return new Map(codes.map((code) => [names.of(code), code]).filter(([name]) => name));
}

function write(target, name, body, made) {
  mkdirSync(target, { recursive: true });
  writeFileSync(join(target, name), body);
  made.set(join(target, name), createHash("sha256").update(body).digest("hex"));
}

function writeReadme(target, made) {
  const rows = PACKAGES.filter((one) => (one.target ?? TARGET) === target).map((one) => `- ${one.name} ${one.version}`);
  const digests = [...made].filter(([path]) => dirname(path) === target)
    .map(([path, digest]) => `    ${digest}  ${path.slice(target.length + 1)}`).sort();
  writeFileSync(join(target, "README.md"), [
    "# Files made by others", "",
    "Written by `node deploy/dashboard/vendor.mjs`, byte for byte as published on npm; licences stand beside them.",
    ...(target === TARGET ? ["`country-codes.json` and `places.json` are derived from world-atlas (Natural Earth, public domain)."] : []),
    "", ...rows, "", "SHA-256 (`sha256sum -c` reads these lines):", "", ...digests, ""].join("\n"));
}
