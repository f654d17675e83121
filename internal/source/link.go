package source

import (
	"context"
	"os"

	"spate/internal/fault"
	"spate/internal/netguard"
	"spate/internal/termsafe"
)

// ResolveLink is like [Resolver.Resolve] for an argument that another program or machine sent: it
// reads neither files nor standard input. An argument that is not an http(s) URL, a magnet link or
// an info-hash is a usage error. The first request may go to the networks in within.
func (r *Resolver) ResolveLink(ctx context.Context, arg string, within netguard.Reach) (*Source, error) {
	arg = Unquote(arg)
	link, err := linkIn(arg)
	if err != nil {
		return nil, err
	}
	if link != "" || magnetOfHash(arg) != "" {
		if link == "" {
			link = arg
		}
		return r.resolveLink(ctx, link, within)
	}
	if hosts := schemeless(arg); hosts != nil {
		return r.resolveEither(ctx, hosts, within)
	}
	return nil, fault.UsageHint("send the content of the .torrent file, or an http(s) URL, a magnet link or an info-hash",
		"%s is no link: the daemon reads no files that a request names", termsafe.Clip(arg, 70))
}

// IsFile reports whether arg is for [Resolver.Resolve] a file, a file: URL or standard input, so that
// the machine that has the file must read it.
func IsFile(arg string) bool {
	arg = UnquoteArg(arg)
	if arg == "-" || hasScheme(arg, "file") {
		return true
	}
	if isLinkScheme(arg) {
		return false
	}
	if _, err := os.Lstat(arg); err == nil {
		return true
	}
	return magnetOfHash(arg) == "" && schemeless(arg) == nil
}
