// The files of a torrent as a tree in which files are chosen. Pure functions; paths are separated by slashes.

/**
 * Node is a folder or a file. index is that of the file in the list, or -1 for a folder.
 * @typedef {{name: string, path: string, index: number, length: number, files: number, children: Node[]}} Node
 */

/**
 * treeOf makes the tree of a list of files. Folders come before files, both by name.
 * @param {{path: string, length: number}[]} files
 * @returns {Node} the root, which has no name
 */
export function treeOf(files) {
  const root = { name: "", path: "", index: -1, length: 0, files: 0, children: [], folders: new Map() };
  files.forEach((file, index) => {
    const names = file.path.split("/");
    let at = root;
    names.forEach((name, depth) => {
      at.length += file.length;
      at.files++;
      const path = at === root ? name : `${at.path}/${name}`;
      if (depth === names.length - 1) {
        at.children.push({ name, path, index, length: file.length, files: 1, children: [] });
        return;
      }
      let folder = at.folders.get(name);
      if (!folder) {
        folder = { name, path, index: -1, length: 0, files: 0, children: [], folders: new Map() };
        at.folders.set(name, folder);
        at.children.push(folder);
      }
      at = folder;
    });
  });
  const sort = (node) => {
    delete node.folders;
    node.children.sort((a, b) => (a.index < 0) === (b.index < 0) ? compare(a.name, b.name) : a.index < 0 ? -1 : 1);
    node.children.forEach(sort);
  };
  sort(root);
  return root;
}

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const compare = (a, b) => collator.compare(a, b) || (a < b ? -1 : 1);

/** indexesOf returns the indexes of the files of a node. @param {Node} node @returns {number[]} */
export function indexesOf(node) {
  return node.index >= 0 ? [node.index] : node.children.flatMap(indexesOf);
}

/**
 * stateOf returns whether all files of a node are chosen, none, or some.
 * @param {Node} node @param {Set<number>} chosen
 * @returns {"all"|"none"|"some"}
 */
export function stateOf(node, chosen) {
  if (node.index >= 0) return chosen.has(node.index) ? "all" : "none";
  let all = true;
  let none = true;
  for (const child of node.children) {
    const state = stateOf(child, chosen);
    all &&= state === "all";
    none &&= state === "none";
  }
  return all ? "all" : none ? "none" : "some";
}

/** toggled returns the chosen files after a click on a node: all of its files, or none if all were chosen. @param {Node} node @param {Set<number>} chosen */
export function toggled(node, chosen) {
  const next = new Set(chosen);
  const all = stateOf(node, chosen) === "all";
  for (const index of indexesOf(node)) {
    if (all) next.delete(index);
    else next.add(index);
  }
  return next;
}

/**
 * rowsOf returns the nodes that are shown, with their depth: those whose folders are all open.
 * @param {Node} root @param {Set<string>} open paths of the open folders
 * @returns {{node: Node, depth: number}[]}
 */
export function rowsOf(root, open) {
  const rows = [];
  const add = (node, depth) => {
    for (const child of node.children) {
      rows.push({ node: child, depth });
      if (child.index < 0 && open.has(child.path)) add(child, depth + 1);
    }
  };
  add(root, 0);
  return rows;
}

/** openAtFirst returns the folders that are open at first: all of a small torrent, and else those that are alone. @param {Node} root */
export function openAtFirst(root) {
  const open = new Set();
  const add = (node, budget) => {
    for (const child of node.children) {
      if (child.index >= 0 || (root.files > budget && node.children.length > 1)) continue;
      open.add(child.path);
      add(child, budget);
    }
  };
  add(root, 60);
  return open;
}

/** escapeGlob returns a pattern that matches exactly a path, from the root of the torrent. @param {string} path */
export const escapeGlob = (path) => `/${path.replace(/[\\*?[\]]/g, "\\$&")}`;

/** The most patterns that the daemon takes. */
const mostPatterns = 1000;

/**
 * patternsOf returns patterns for the chosen files: the path of a folder if all its files are chosen. It returns
 * an empty list if all files are chosen, for which no pattern is needed, and null if these are too many patterns.
 * @param {Node} root @param {Set<number>} chosen
 * @returns {?string[]}
 */
export function patternsOf(root, chosen) {
  const patterns = [];
  const add = (node) => {
    const state = stateOf(node, chosen);
    if (state === "all" && node !== root) patterns.push(escapeGlob(node.path));
    else if (state !== "none") node.children.forEach(add);
  };
  if (stateOf(root, chosen) === "all") return [];
  add(root);
  return patterns.length > mostPatterns ? null : patterns;
}
