// The pieces that are needed and not begun, in the order of how many peers have them. A change takes a
// time that grows with the number of peers, but not with that of pieces.

// Pool is a row of pieces, the rarest first, and those of the same rarity in a random order.
export class Pool {
  // count is the number of pieces of the torrent. The pool is empty at first.
  constructor(count) {
    this.availability = new Uint16Array(count); // number of peers that have a piece
    this.order = new Int32Array(count);
    this.place = new Int32Array(count).fill(-1); // index in order, or -1 for a piece that is not in the pool
    this.size = 0;
    this.ends = [0]; // by availability: index behind the last piece with it
  }

  // fill makes a pool of the pieces for which wanted(i) is true.
  fill(wanted) {
    this.place.fill(-1);
    this.size = 0;
    this.ends.fill(0);
    for (let i = 0; i < this.place.length; i++) if (wanted(i)) this.add(i);
  }

  put(i, at) {
    this.order[at] = i;
    this.place[i] = at;
  }

  add(i) {
    if (this.place[i] >= 0) return;
    const level = this.availability[i];
    while (this.ends.length <= level) this.ends.push(this.size);
    let free = this.size++;
    for (let l = this.ends.length - 1; l > level; l--) { // each level above moves by one place
      const first = this.ends[l - 1];
      if (first !== free) this.put(this.order[first], free);
      free = first;
      this.ends[l]++;
    }
    this.ends[level]++;
    // Its place among those of its rarity is random.
    const from = level === 0 ? 0 : this.ends[level - 1], at = from + Math.floor(Math.random() * (free + 1 - from));
    if (at !== free) this.put(this.order[at], free);
    this.put(i, at);
  }

  remove(i) {
    let free = this.place[i];
    if (free < 0) return;
    for (let l = this.availability[i]; l < this.ends.length; l++) {
      const last = --this.ends[l];
      if (last !== free) this.put(this.order[last], free);
      free = last;
    }
    this.place[i] = -1;
    this.size--;
  }

  // announced records that change more peers have a piece, or with a negative one that some have
  // gone.
  announced(i, change) {
    const inside = this.place[i] >= 0;
    if (inside) this.remove(i);
    this.availability[i] += change;
    if (inside) this.add(i);
  }
}
