// The importance map as a picture: the more important, the less of the dark cover.

const COVER = [10, 20, 45];  // RGB
const OPACITY = 190;  // over cells of no importance, of 255

/**
 * @param {ReturnType<import("./file_info.js").importanceMap>} map
 * @returns {HTMLCanvasElement} one pixel per cell
 */
export function importancePicture({ rows, columns, numLevels, levels }) {
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const picture = new ImageData(columns, rows);
  levels.forEach((level, i) => {
    const importance = numLevels > 1 ? level / (numLevels - 1) : 1;
    picture.data.set([...COVER, OPACITY * (1 - importance)], 4 * i);
  });
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(picture, 0, 0);
  return canvas;
}
