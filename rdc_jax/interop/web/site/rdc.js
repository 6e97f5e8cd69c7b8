// Decodes .rdc files in a browser.
//
//     import { decode, info } from "./rdc.js";
//     const image = await decode(bytes, { tau: 0.5 });       // width, height, data (RGBA), ..
//     context.putImageData(new ImageData(image.data, image.width, image.height), 0, 0);
//
// Importing this module also defines the element <rdc-image src="photo.rdc" alt="..">.

import { RdcImage } from "./rdc/rdc_image.js";

export { decode } from "./rdc/client.js";
export { RdcError } from "./rdc/errors.js";
export { importanceMap, info } from "./rdc/file_info.js";
export { RdcImage };

if (!customElements.get("rdc-image")) customElements.define("rdc-image", RdcImage);
