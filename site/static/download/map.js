// The map of pieces, a row of columns on a canvas.

// draw draws the columns of a map: 0 to 255, or -1 for pieces that are not wanted.
export function draw(canvas, map) {
  if (canvas.width !== map.length) canvas.width = map.length;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  map.forEach((share, x) => {
    if (share <= 0) return;
    context.fillStyle = `rgb(111 214 216 / ${0.25 + (0.75 * share) / 255})`;
    context.fillRect(x, 0, 1, canvas.height);
  });
}
