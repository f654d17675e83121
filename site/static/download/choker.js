// The choker decides which peers are served (BEP 3). It is called every ten seconds.

export const slots = 4; // peers that are served at the same time

// choose returns the peers to unchoke: those that send us most, or, once the download is
// complete, those that take most, and a random one of the others, so that newcomers get a
// first piece. turn counts the calls; the random peer changes every third.
export function choose(peers, complete, turn, last) {
  const want = peers.filter((p) => p.wants);
  const value = (p) => (complete ? p.up.value : p.down.value);
  want.sort((a, b) => value(b) - value(a));
  const best = want.slice(0, slots - 1), others = want.slice(slots - 1);
  const lucky = turn % 3 !== 0 && others.includes(last) ? last : others[Math.floor(Math.random() * others.length)];
  return { unchoke: lucky ? [...best, lucky] : best, lucky };
}
