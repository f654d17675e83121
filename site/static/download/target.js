// What a page says about the release that it offers.

const via = "?via=page"; // tells the site that a page asks

// target resolves to the options of a Session for the attributes of the element of a release
// page at base.
export async function target(attributes, base) {
  const absolute = (path) => new URL(path, base).href;
  const parsed = (json, none) => {
    try {
      return JSON.parse(json) ?? none;
    } catch {
      return none;
    }
  };
  const list = (json) => parsed(json, []), signed = parsed(attributes.signed, null);
  const options = {
    page: base, torrent: absolute(attributes.torrent), v2: attributes.v2 ? absolute(attributes.v2) : "", data: null, byPath: null,
    trackers: list(attributes.websocket).map((u) => absolute(u).replace(/^http/, "ws")),
    stun: list(attributes.stun).map((s) => (s.startsWith(":") ? `stun:${new URL(base).hostname}${s}` : s)),
    metered: metered(),
    signed: signed && { ...signed, torrent: absolute(signed.torrent), v2: signed.v2 ? absolute(signed.v2) : "" },
  };
  if (attributes.files) {
    const r = await fetch(absolute(attributes.files));
    options.byPath = Object.fromEntries((await r.json()).files.map((f) => [f.path, f.download_url]));
  } else options.data = attributes.data.endsWith("/") ? absolute(attributes.data) : absolute(attributes.data) + via;
  return options;
}

// metered reports whether the browser says that the line costs by volume.
function metered() {
  const c = navigator.connection;
  return Boolean(c && (c.saveData || c.metered || c.type === "cellular"));
}
