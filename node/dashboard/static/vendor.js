// Libraries made by others, loaded when a page first needs them (vendor/README.md).

const loading = new Map();

function script(name) {
  if (!loading.has(name)) {
    loading.set(name, new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.src = `/static/vendor/${name}`;
      element.addEventListener("load", resolve);
      element.addEventListener("error", () => reject(new Error(`${name} did not load`)));
      document.head.append(element);
    }));
  }
  return loading.get(name);
}

export async function uplot() {
  await script("uPlot.iife.min.js");
  return globalThis.uPlot;
}

export async function geography() {
  const json = (name) => fetch(`/static/vendor/${name}`).then((reply) => reply.json());
  const files = Promise.all(["countries-110m.json", "country-codes.json", "places.json"].map(json));
  await Promise.all([script("d3-array.min.js").then(() => script("d3-geo.min.js")), script("topojson-client.min.js")]);
  const [atlas, codes, places] = await files;
  return { d3: globalThis.d3, shapes: globalThis.topojson.feature(atlas, atlas.objects.countries).features, codes, places };
}
