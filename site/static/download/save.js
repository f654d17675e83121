// Saving files that the browser stores.

// saveFile hands a Blob to the downloads of the browser under a name.
export function saveFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10 * 60_000); // the browser copies it meanwhile
}

// saveFolder asks for a folder and writes files, {i, path} each, into a new folder there. blob(i)
// resolves to the Blob of file i, and saved(n) tells how many files are there.
export async function saveFolder(files, name, blob, saved) {
  const top = await (await showDirectoryPicker({ mode: "readwrite" })).getDirectoryHandle(name, { create: true });
  for (const [n, f] of files.entries()) {
    saved(n);
    const parts = f.path.split("/"), base = parts.pop();
    let folder = top;
    for (const p of parts) folder = await folder.getDirectoryHandle(p, { create: true });
    const out = await (await folder.getFileHandle(base, { create: true })).createWritable();
    const data = await blob(f.i);
    if (!data) {
      await out.abort();
      throw new Error(`${f.path} is not stored any more`);
    }
    await data.stream().pipeTo(out);
  }
  saved(files.length);
}
