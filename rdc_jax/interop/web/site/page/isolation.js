// The service worker: the page works offline, and has threads from its second load on.

const RELOADED = "rdc reloaded for threads";

/**
 * Registers the service worker and waits until the page is isolated, if it can be. May reload the
 * page once. Without a service worker the page works all the same, with one thread.
 */
export async function isolate() {
  if (!("serviceWorker" in navigator) || !window.isSecureContext) return;
  try {
    await navigator.serviceWorker.register("service_worker.js");
    await navigator.serviceWorker.ready;
  } catch {
    return;  // a private window, or storage is full
  }
  if (window.crossOriginIsolated || sessionStorage.getItem(RELOADED)) return;
  sessionStorage.setItem(RELOADED, "yes");  // once only, should it not help
  if (!navigator.serviceWorker.controller) {
    await new Promise((resolve) => {
      navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true });
      setTimeout(resolve, 3000);
    });
  }
  location.reload();
  await new Promise(() => {});  // nothing more happens before the reload
}

/** Keeps the whole folder for use offline. */
export function keepAll() {
  navigator.serviceWorker?.controller?.postMessage("keep all");
}
