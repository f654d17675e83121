// The files of an upload: what was dropped or chosen, and the parts of their bytes.

/**
 * UploadFile is a file with its path below what is uploaded. The path of a single file is its name.
 * @typedef {{path: string, file: File}} UploadFile
 */

/**
 * Chosen is what is uploaded: a file, or a folder with its files. left is the number of hidden files that are left out, as
 * the daemon leaves them out of a release.
 * @typedef {{name: string, folder: boolean, files: UploadFile[], left: number}} Chosen
 */

const hidden = (path) => path.split("/").some((part) => part.startsWith("."));

/**
 * chosenOf returns what is uploaded of files with paths: one file, the folder that all paths begin with, or several files, for
 * which a folder is made that is called as otherwise says.
 * @param {UploadFile[]} files
 * @param {string} otherwise
 * @returns {?Chosen} null if there is nothing to upload
 */
export function chosenOf(files, otherwise) {
  const kept = files.filter(({ path }) => !hidden(path));
  const left = files.length - kept.length;
  if (kept.length === 0) return null;
  if (kept.length === 1 && !kept[0].path.includes("/")) return { name: kept[0].path, folder: false, files: kept, left };
  const sorted = kept.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const top = sorted[0].path.split("/")[0];
  if (sorted.every(({ path }) => path.startsWith(`${top}/`))) {
    return { name: top, folder: true, files: sorted.map(({ path, file }) => ({ path: path.slice(top.length + 1), file })), left };
  }
  return { name: otherwise, folder: true, files: sorted, left };
}

/** pathsOf reads the files of an input element; those of a chosen folder have paths. @param {Iterable<File>} list @returns {UploadFile[]} */
export function pathsOf(list) {
  return [...list].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** readEntries reads dropped files and folders. @param {any[]} entries of the file system API @returns {Promise<UploadFile[]>} */
export async function readEntries(entries, above = "") {
  const found = [];
  for (const entry of entries) {
    const path = above + entry.name;
    if (entry.isFile) {
      found.push({ path, file: await new Promise((done, fail) => entry.file(done, fail)) });
      continue;
    }
    const reader = entry.createReader();
    for (;;) { // a call returns a part of the entries
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (some.length === 0) break;
      found.push(...await readEntries(some, `${path}/`));
    }
  }
  return found;
}

/** lengthOf returns the number of bytes. @param {Chosen} chosen */
export function lengthOf(chosen) {
  return chosen.files.reduce((sum, { file }) => sum + file.size, 0);
}

/** requestOf returns the body of POST /v1/uploads. @param {Chosen} chosen */
export function requestOf(chosen) {
  const mark = markOf(chosen);
  if (!chosen.folder) return { name: chosen.name, length: chosen.files[0].file.size, mark };
  return { name: chosen.name, files: chosen.files.map(({ path, file }) => ({ path, length: file.size })), mark };
}

/**
 * markOf returns a text that is the same if the same files are chosen again, so that an upload goes on: it depends on their
 * paths, lengths and times. @param {Chosen} chosen
 */
export function markOf(chosen) {
  let a = 0x811c9dc5;
  let b = 0x1000193;
  const add = (text) => {
    for (let i = 0; i < text.length; i++) {
      a = Math.imul(a ^ text.charCodeAt(i), 0x01000193);
      b = Math.imul(b ^ text.charCodeAt(i), 0x85ebca6b) + i;
    }
  };
  for (const { path, file } of chosen.files) add(`${path}\0${file.size}\0${file.lastModified}\0`);
  return `${chosen.files.length} ${lengthOf(chosen)} ${(a >>> 0).toString(36)}${(b >>> 0).toString(36)}`;
}

/** partOf returns bytes of the files as one Blob: at most size bytes from offset on. @param {Chosen} chosen */
export function partOf(chosen, offset, size) {
  const parts = [];
  let start = 0;
  for (const { file } of chosen.files) {
    const from = Math.max(0, offset - start);
    const to = Math.min(file.size, offset + size - start);
    if (from < to) parts.push(file.slice(from, to));
    start += file.size;
    if (start >= offset + size) break;
  }
  return new Blob(parts);
}
