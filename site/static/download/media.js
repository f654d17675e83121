// Videos and music of a download are played while they come: from a Blob of the start of the file, and
// when that ends, from a longer one at the same place. This works on all kinds of pages.

const kinds = {
  mp4: "video/mp4", m4v: "video/mp4", webm: "video/webm", ogv: "video/ogg", mp3: "audio/mpeg", m4a: "audio/mp4",
  ogg: "audio/ogg", oga: "audio/ogg", opus: "audio/ogg", flac: "audio/flac", wav: "audio/wav",
};
const least = { audio: 256 << 10, video: 2 << 20 }; // bytes more than before, or the whole rest, for which it goes on
const between = 1000; // milliseconds between two attempts

// playable returns the first of files, {i, path, length} each, that the browser can play, with its
// type, or null.
export function playable(files) {
  for (const f of files) {
    const type = kinds[f.path.split(".").at(-1).toLowerCase()];
    if (type && f.length > 0 && document.createElement(type.split("/")[0]).canPlayType(type)) return { ...f, type };
  }
  return null;
}

// Player plays a file of a session. It puts its element into slot. say(waits) tells whether it waits
// for more of the file.
export class Player {
  constructor(session, file, slot, say) {
    Object.assign(this, { session, file, say, size: 0, at: 0, whole: false, waits: true, asked: -Infinity });
    const kind = file.type.split("/")[0], e = this.element = document.createElement(kind);
    this.least = least[kind];
    e.controls = e.autoplay = true;
    e.addEventListener("timeupdate", () => { if (!this.waits && !e.ended) this.at = e.currentTime; }); // at the end of a part, it may be that of the whole
    for (const name of ["ended", "error"]) e.addEventListener(name, () => this.wait());
    slot.replaceChildren(e);
    slot.hidden = false;
    say(true);
    this.more(performance.now());
  }

  // wait is called where what is here ends.
  wait() {
    if (this.whole || this.waits) return;
    this.waits = true;
    this.say(true);
  }

  // more goes on if more of the file is here. It is called whenever the state changes.
  async more(now) {
    if (!this.waits || now - this.asked < between) return;
    this.asked = now;
    const { blob, whole } = await this.session.part(this.file.i);
    if (!blob || (!whole && blob.size < this.size + this.least)) return;
    const { element } = this;
    if (element.src) URL.revokeObjectURL(element.src);
    this.size = blob.size;
    this.whole = whole;
    this.waits = false;
    element.src = URL.createObjectURL(blob.slice(0, blob.size, this.file.type));
    element.currentTime = this.at;
    this.say(false);
  }

  end() {
    this.element.pause();
    if (this.element.src) URL.revokeObjectURL(this.element.src);
    this.element.remove();
  }
}
