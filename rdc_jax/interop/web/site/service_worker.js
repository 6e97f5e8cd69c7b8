// Makes the page work offline, and gives it threads on any static host.
//
// Every file of the folder is kept after it was fetched once. Answers carry the headers of
// cross-origin isolation, which browsers ask for before they allow shared memory.
// A new export has another version, so its files replace the old ones.

const VERSION = "@VERSION@";
const CACHE = `rdc-${VERSION}`;
const ROOT = new URL("./", self.location.href).href;
const LARGE = /^(model|runtime)\//;  // fetched when they are needed
const WEBGPU = /^runtime\/webgpu\//;  // kept only where it is used
const UNUSED = /\.(md|txt)$|^package\.json$/;  // not part of the page; a host may leave them out

async function names() {
  const manifest = await (await fetch(`${ROOT}manifest.json`, { cache: "no-cache" })).json();
  const files = Object.keys(manifest.sha256).filter((name) => !UNUSED.test(name));
  return ["./", "manifest.json", ...files];
}

async function keep(chosen) {
  const cache = await caches.open(CACHE);
  for (const name of chosen) {
    const url = new URL(name, ROOT).href;
    if (!(await cache.match(url))) await cache.add(new Request(url, { cache: "no-cache" }));
  }
}

self.addEventListener("install", (event) => {
  event.waitUntil(names().then((all) => keep(all.filter((name) => !LARGE.test(name)))));
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const old = (await caches.keys()).filter((name) => name.startsWith("rdc-") && name !== CACHE);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  })());
});

// The page asks for the rest once it has shown an image.
self.addEventListener("message", (event) => {
  if (event.data === "keep all") {
    event.waitUntil(names().then((all) => keep(all.filter((name) => !WEBGPU.test(name)))));
  }
});

function isolated(answer) {
  if (!answer.body || answer.type === "opaque") return answer;
  const headers = new Headers(answer.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "cross-origin");
  const { status, statusText } = answer;
  return new Response(answer.body, { status, statusText, headers });
}

async function answered(request) {
  const cache = await caches.open(CACHE);
  // The query is for the page: ?src=.. names the file to open.
  const kept = await cache.match(request, { ignoreSearch: request.mode === "navigate" });
  if (kept) return isolated(kept);
  const fresh = await fetch(request);
  if (fresh.ok && LARGE.test(request.url.slice(ROOT.length))) {
    await cache.put(request, fresh.clone());
  }
  return isolated(fresh);
}

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || !event.request.url.startsWith(ROOT)) return;
  event.respondWith(answered(event.request));
});
