// Rates of transfers.

// Rate measures bytes a second over about five seconds. Its owner calls tick once a second.
export class Rate {
  total = 0;
  value = 0;
  #before = 0;
  #ticks = 0;

  add(n) { this.total += n; }

  // reset begins again.
  reset() {
    this.value = this.#ticks = 0;
    this.#before = this.total;
  }

  tick() {
    const now = this.total - this.#before;
    this.#before = this.total;
    this.#ticks++;
    this.value += (now - this.value) / Math.min(this.#ticks, 5);
    if (this.value < 1) this.value = 0;
  }
}
