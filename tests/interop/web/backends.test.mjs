// Which of WebAssembly and WebGPU runs the networks, with functions in place of both. Run by
// test_backends.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./models.mjs";

const { BackendChoice, Backends, disagreement } = await load("decoding/backends.js");
const { RdcError } = await load("errors.js");

const PICTURE = Float32Array.from({ length: 30000 }, (_, i) => (7 * i) % 250);
const GPU = { requestAdapter: async () => ({ info: { isFallbackAdapter: false } }) };
const SOFTWARE = { requestAdapter: async () => ({ info: { isFallbackAdapter: true } }) };

/** A runtime that computes `picture`, plus the window's number, and records its calls. */
function fake(picture, fails = () => false) {
  const calls = [];
  return {
    calls,
    session: async (graph) => calls.push(`load ${graph}`),
    run: async (graph, { number }) => {
      calls.push(`${graph} ${number}`);
      if (fails(calls.length)) throw new Error("device lost\nstack");
      return picture.map((value) => value + number);
    },
  };
}

/** Decodes files of some windows; returns what each window got, and `used` of each file. */
async function decoded(options) {
  const { asked, files = [3], gpu = GPU, inFolder = true, fails, change = (x) => x } = options;
  const wasm = fake(PICTURE), webgpu = fake(PICTURE.map(change), fails);
  const all = new Backends(wasm, webgpu, async () => inFolder, gpu), used = [];
  for (const windows of files) {
    const choice = new BackendChoice(all, asked);
    await choice.session("g");
    for (let number = 0; number < windows; number++) await choice.run("g", { number });
    used.push(choice.used);
  }
  return { used, wasm: wasm.calls, webgpu: webgpu.calls };
}

const windows = (...numbers) => numbers.map((number) => `g ${number}`);

test("auto checks the first window before the second, and only once", async () => {
  const { used, wasm, webgpu } = await decoded({ files: [3, 2] });
  assert.deepEqual(wasm, ["load g", ...windows(0)]);
  assert.deepEqual(webgpu, [...windows(0, 1, 2), "load g", ...windows(0, 1)]);
  assert.deepEqual(used, Array(2).fill({ backend: "webgpu", backendNote: null }));
});

test("auto leaves an image of one window to WebAssembly", async () => {
  const { used, webgpu } = await decoded({ files: [1, 1] });
  assert.deepEqual(webgpu, []);
  assert.deepEqual(used[1], { backend: "wasm", backendNote: null });
});

test("wasm never asks for an adapter", async () => {
  const gpu = { requestAdapter: () => assert.fail("asked") };
  const { used, webgpu } = await decoded({ asked: "wasm", gpu });
  assert.deepEqual([webgpu, used[0].backend, used[0].backendNote], [[], "wasm", null]);
});

test("webgpu checks the first window with WebAssembly", async () => {
  const { used, wasm, webgpu } = await decoded({ asked: "webgpu", gpu: SOFTWARE });
  assert.deepEqual(wasm, ["load g", ...windows(0)]);
  assert.deepEqual(webgpu, windows(0, 1, 2));
  assert.equal(used[0].backend, "webgpu");
});

const DIFFER = "its pixels are not those of WebAssembly";
const OBSTACLES = {
  "the folder has no WebGPU runtime: export it with --webgpu": { inFolder: false },
  "this browser has no WebGPU": { gpu: undefined },
  "no WebGPU adapter": { gpu: { requestAdapter: async () => null } },
  "no WebGPU adapter (blocked)": {
    gpu: { requestAdapter: async () => { throw new Error("blocked"); } },
  },
  [`${DIFFER}: 100 % of the samples differ by more than 1, the worst by 1.50`]: { change: (x) => x + 1.5 },
  "WebGPU failed (device lost)": { fails: () => true },
};
for (const [reason, options] of Object.entries(OBSTACLES)) {
  test(`without WebGPU: ${reason}`, async () => {
    // `decoded` has a default for gpu, which "undefined" would bring back.
    const given = "gpu" in options ? { ...options, gpu: options.gpu ?? null } : options;
    const { used, wasm } = await decoded(given);
    assert.deepEqual(used, [{ backend: "wasm", backendNote: reason }]);
    assert.deepEqual(wasm, ["load g", ...windows(0, 1, 2)]);
    await assert.rejects(decoded({ ...given, asked: "webgpu" }),
      new RdcError(`WebGPU cannot be used: ${reason}`));
  });
}

test("auto does not take an adapter in software", async () => {
  const { used } = await decoded({ gpu: SOFTWARE });
  assert.equal(used[0].backendNote, "WebGPU runs in software here");
});

test("a failure after some windows goes on with WebAssembly, for later files too", async () => {
  const { used, wasm, webgpu } = await decoded({ files: [4, 2], fails: (count) => count === 3 });
  assert.deepEqual(webgpu, windows(0, 1, 2));
  assert.deepEqual(wasm, ["load g", ...windows(0, 2, 3), "load g", ...windows(0, 1)]);
  const expected = { backend: "wasm", backendNote: "WebGPU failed (device lost)" };
  assert.deepEqual(used, [expected, expected]);
});

test("another name is refused", () => {
  assert.throws(() => new BackendChoice({}, "gpu"), /backend "gpu" is not "auto", "wasm" or/);
});

test("what agrees: 99.9 % within 1 level, none by more than 16, after clipping", () => {
  const changed = (count, by) => PICTURE.map((value, i) => (i < count ? value + by : value));
  assert.equal(disagreement(changed(30000, 0.9), PICTURE), null);
  assert.equal(disagreement(changed(30, 3), PICTURE), null);
  assert.match(disagreement(changed(31, 3), PICTURE), /^0.103 % .* worst by 3.00$/);
  assert.match(disagreement(changed(1, 17), PICTURE), /worst by 17.0$/);
  assert.match(disagreement(changed(30000, NaN), PICTURE), /^100 % .* worst by NaN$/);
  assert.match(disagreement(changed(1, NaN), PICTURE), /worst by NaN$/);
  assert.match(disagreement(PICTURE.subarray(1), PICTURE), /another size/);
  assert.equal(disagreement(Float32Array.of(-90, 400), Float32Array.of(0, 255)), null);
});
