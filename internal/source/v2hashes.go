package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"time"

	"spate/internal/atomicfile"
	"spate/internal/fault"
	"spate/internal/folder"
	"spate/internal/torrentfile"
	"spate/metainfo"
	"spate/signature"
)

// v2HashesTimeout bounds the time of fetching v2 hashes and their signature, because the data can be
// downloaded without them.
const v2HashesTimeout = time.Minute

// AddV2Hashes adds to m, the torrent of src, the v2 hashes that the .torrent leaves out because
// they would make it too large. It takes them from the file beside the .torrent, or from the URL
// that the site of the .torrent names for them. If CheckSignature has verified a signature of the
// torrent, the hashes need one by the same key for the same release. If AddV2Hashes cannot use the
// hashes, it prints a note, and m stays without: the data is then checked by SHA-1 alone.
func (r *Resolver) AddV2Hashes(ctx context.Context, src *Source, m *metainfo.MetaInfo) {
	if m.V2Hashes != nil || m.Info.V2HashesSize() == 0 || src.Path == "" && src.v2Hashes == nil {
		return
	}
	short, cancel := context.WithTimeout(ctx, v2HashesTimeout)
	defer cancel()
	at, hashes, err := r.v2HashesOf(short, src, m)
	switch {
	case src.Path != "" && errors.Is(err, fs.ErrNotExist) || ctx.Err() != nil:
	case err != nil:
		r.notef("the v2 hashes at %s cannot be used: %s", at, fault.Message(err))
	default:
		r.log().Info("the v2 hashes are at", "path", at)
		m.V2Hashes = hashes
	}
}

// v2HashesOf reads and checks the v2 hashes of src. It also returns their path or URL.
func (r *Resolver) v2HashesOf(ctx context.Context, src *Source, m *metainfo.MetaInfo) (at string, h *metainfo.V2Hashes, err error) {
	var b, sig []byte
	signed := len(src.signers) > 0
	if src.Path != "" {
		at = torrentfile.V2HashesPath(src.Path)
		b, err = torrentfile.ReadV2Hashes(nil, src.Path, &m.Info)
		if err == nil && signed {
			sig, err = folder.ReadNamed(atomicfile.Derived(at, signature.Extension), signature.MaxSignature)
		}
		if signed && errors.Is(err, fs.ErrNotExist) && b != nil {
			err = fmt.Errorf("there is no signature %s", atomicfile.Derived(at, signature.Extension))
		}
	} else {
		at = src.v2Hashes.Redacted()
		b, err = r.fetchSmall(ctx, src, src.v2Hashes, int64(m.Info.V2HashesSize()))
		if err == nil && signed {
			sig, err = r.fetchSmall(ctx, src, signatureURL(src.v2Hashes), signature.MaxSignature)
		}
	}
	if err != nil {
		return at, nil, err
	}
	for _, key := range src.signers {
		st, err := signature.Verify(key, b, sig)
		if err == nil && (st.Release.Ref != src.release.Ref || !st.Release.Published.Equal(src.release.Published)) {
			err = errors.New("the signature is of another release")
		}
		if err != nil {
			return at, nil, err
		}
	}
	h, err = metainfo.ParseV2Hashes(&m.Info, b)
	return at, h, err
}

// fetchSmall fetches a file of at most most bytes that belongs to src.
func (r *Resolver) fetchSmall(ctx context.Context, src *Source, u *url.URL, most int64) ([]byte, error) {
	f := r.newFetcher()
	defer f.client.Close()
	f.within = src.reach
	return f.askSmall(ctx, u, most)
}

// v2HashesLink returns the URL of the v2 hashes that the link to target with attrs names, or nil.
func v2HashesLink(base *url.URL, target string, attrs map[string]string) *url.URL {
	if attrs["type"] != metainfo.V2HashesType {
		return nil
	}
	u, err := base.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil
	}
	return u
}

// ofOrigin returns u if it has the scheme, the host and the port of the URL at, and otherwise nil.
func ofOrigin(u, at *url.URL) *url.URL {
	if u == nil || !strings.EqualFold(u.Scheme, at.Scheme) || !strings.EqualFold(u.Host, at.Host) {
		return nil
	}
	return u
}
