// Reads answers that are a stream of JSON objects, one a line.

/** linesOf yields the objects of a stream of bytes. @param {ReadableStream<Uint8Array>} stream */
export async function* linesOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : lines.pop();
    for (const line of lines) {
      if (line.trim() !== "") yield JSON.parse(line);
    }
    if (done) return;
  }
}
