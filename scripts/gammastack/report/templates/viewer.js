// The map of significances: zoom, and value and sky position under the pointer.

/** Decode a map: zlib of 16-bit steps, all low bytes before all high ones. */
async function decodeMap(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const n = planes.length / 2;
  const steps = new Int16Array(n);
  for (let i = 0; i < n; i++) steps[i] = planes[i] | (planes[n + i] << 8);
  return steps;
}

/** Interpolate the unit vectors of the nodes of a grid; null off the sky. */
function skyVector(grid, x, y) {
  const u = Math.min(Math.max(x / grid.step, 0), grid.nx - 1);
  const v = Math.min(Math.max(y / grid.step, 0), grid.ny - 1);
  const i = Math.min(Math.floor(u), Math.max(grid.nx - 2, 0));
  const j = Math.min(Math.floor(v), Math.max(grid.ny - 2, 0));
  const sum = [0, 0, 0];
  for (const [dj, di, weight] of [
    [0, 0, (1 - u + i) * (1 - v + j)], [0, 1, (u - i) * (1 - v + j)],
    [1, 0, (1 - u + i) * (v - j)], [1, 1, (u - i) * (v - j)],
  ]) {
    if (weight === 0) continue;
    const node = grid.vectors[(j + dj) * grid.nx + i + di];
    if (node[0] === null) return null;
    for (let k = 0; k < 3; k++) sum[k] += weight * node[k];
  }
  return sum;
}

function degrees(vector) {
  const [x, y, z] = vector;
  const lon = (Math.atan2(y, x) * 180) / Math.PI;
  return [(lon + 360) % 360, (Math.atan2(z, Math.hypot(x, y)) * 180) / Math.PI];
}

function signed(value, digits) {
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
}

function sexagesimal(ra, dec) {
  const part = (value, digits) => value.toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  const seconds = Math.round(ra * 240) % 86400;
  const arcsec = Math.round(Math.abs(dec) * 3600);
  const hms = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const dms = [Math.floor(arcsec / 3600), Math.floor(arcsec / 60) % 60, arcsec % 60];
  return `${part(hms[0], 0)}h${part(hms[1], 0)}m${part(hms[2], 0)}s ${dec < 0 ? "−" : "+"}` +
    `${part(dms[0], 0)}°${part(dms[1], 0)}′${part(dms[2], 0)}″`;
}

function startViewer(viewer) {
  const grid = JSON.parse(document.getElementById("grid").textContent);
  const data = JSON.parse(viewer.querySelector("script[type='application/json']").textContent);
  const pixels = viewer.querySelector(".pixels");
  const output = viewer.querySelector("output");
  const zoomed = viewer.querySelector(".zoomed");
  const [ny, nx] = data.shape;
  let steps = null;
  decodeMap(data.map).then((decoded) => { steps = decoded; viewer.dataset.ready = "yes"; });

  const panzoom = Panzoom(zoomed, { maxScale: 16, minScale: 1, contain: "outside", cursor: "crosshair", touchAction: "pan-y" });
  // The page can be scrolled with a finger, or the wheel, on a map that is not zoomed.
  zoomed.addEventListener("panzoomchange", (event) =>
    panzoom.setOptions({ touchAction: event.detail.scale > 1 ? "none" : "pan-y" }));
  viewer.querySelector(".window").addEventListener("wheel", (event) => {
    if (event.ctrlKey || panzoom.getScale() > 1) panzoom.zoomWithWheel(event);
  });
  viewer.querySelector(".zoom-in").addEventListener("click", () => panzoom.zoomIn());
  viewer.querySelector(".zoom-out").addEventListener("click", () => panzoom.zoomOut());
  viewer.querySelector(".whole").addEventListener("click", () => panzoom.reset());

  function read(event) {
    if (steps === null) return;
    const box = pixels.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * nx);
    const row = Math.floor(((box.bottom - event.clientY) / box.height) * ny);
    if (column < 0 || column >= nx || row < 0 || row >= ny) return;
    // The centre of the pixels of the map that the value stands for
    const x = column * data.factor + (data.factor - 1) / 2;
    const y = row * data.factor + (data.factor - 1) / 2;
    const step = steps[row * nx + column];
    const value = step === -32768 ? "not known" : `${signed(step * data.step, 2)} σ`;
    const vector = skyVector(grid, x, y);
    let position = "off the sky";
    if (vector) {
      const [ra, dec] = degrees(vector);
      const [l, b] = degrees(grid.galactic.map((axis) => axis.reduce((sum, part, k) => sum + part * vector[k], 0)));
      position = `RA ${ra.toFixed(3)}°, Dec ${signed(dec, 3)}° (${sexagesimal(ra, dec)}), l ${l.toFixed(3)}°, b ${signed(b, 3)}°`;
    }
    output.textContent = `${value} at ${position}; pixel ${Math.round(x) + 1}, ${Math.round(y) + 1}`;
  }
  zoomed.addEventListener("pointermove", read);
  zoomed.addEventListener("pointerdown", read);
}
