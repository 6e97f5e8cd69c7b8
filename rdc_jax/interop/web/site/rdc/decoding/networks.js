// The networks on windows of one image: chooses the graph and makes its inputs.

const FAITHFUL = "faithful.onnx", KNOB = "knob.onnx";  // without and with the fusion module

/** @typedef {import("./reconstruction.js").WindowFunction} WindowFunction */

/**
 * What runs the graphs: a `Runtime`, or a `BackendChoice` between two.
 * @typedef {object} Runner
 * @property {(graph: string) => Promise<unknown>} session loads a graph
 * @property {(graph: string, inputs: Record<string, import("./runtime.js").Input>) =>
 *   Promise<Float32Array>} run
 */

/**
 * The networks for one image. Loads the graphs that it needs.
 * @param {import("./model.js").Model} model
 * @param {Runner} runner
 * @param {import("./sampling.js").Sampling} sampling
 * @returns {Promise<WindowFunction>}
 */
export async function windowFunction({ hasFusion }, runner, sampling) {
  const some = hasFusion && sampling.tau.some((tau) => tau > 0);
  const all = some && sampling.tau.every((tau) => tau > 0);
  if (!all) await runner.session(FAITHFUL);
  if (some) await runner.session(KNOB);
  return ({ side, channels, yhat, mean, scale, noise, levels, tau }) => {
    const shape = [side, side, channels], square = [side, side];
    const floats = (/** @type {Float32Array} */ data, /** @type {number[]} */ dims) =>
      ({ type: /** @type {const} */ ("float32"), data, dims });
    /** @type {Record<string, import("./runtime.js").Input>} */
    const inputs = {
      yhat: floats(yhat, shape), mean: floats(mean, shape), scale: floats(scale, shape),
      levels: { type: "uint8", data: levels, dims: square },
      timesteps: floats(sampling.timesteps, [sampling.timesteps.length]),
    };
    const knob = hasFusion && tau.some((value) => value > 0);
    if (knob) Object.assign(inputs, { noise: floats(noise, shape), tau: floats(tau, square) });
    return runner.run(knob ? KNOB : FAITHFUL, inputs);
  };
}
