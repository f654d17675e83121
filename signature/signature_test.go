package signature

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func newKey(t testing.TB) *Key {
	t.Helper()
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var signedAt = time.Date(2026, 11, 24, 20, 0, 0, 0, time.UTC)

func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	sig := k.Sign([]byte("data"), "x.torrent", signedAt)
	st, err := Verify(k.Public(), []byte("data"), sig)
	if err != nil {
		t.Fatal(err)
	}
	if st.File != "x.torrent" || !st.Time.Equal(signedAt) || !st.Key.Equal(k.Public()) {
		t.Errorf("Verify returned %+v, want the file, the time and the key of the signature", st)
	}
	// A signature with carriage returns is still valid.
	if _, err := Verify(k.Public(), []byte("data"), []byte(strings.ReplaceAll(string(sig), "\n", "\r\n"))); err != nil {
		t.Errorf("Verify of a signature with carriage returns: %v", err)
	}
}

func TestVerifyRejects(t *testing.T) {
	t.Parallel()
	k, other := newKey(t), newKey(t)
	sig := k.Sign([]byte("data"), "x", signedAt)
	lines := strings.Split(strings.TrimSuffix(string(sig), "\n"), "\n")
	join := func(l ...string) []byte { return []byte(strings.Join(l, "\n") + "\n") }
	for name, c := range map[string]struct {
		message, sig []byte
		want         error
	}{
		"other data":         {[]byte("datA"), sig, ErrMismatch},
		"nothing":            {[]byte("data"), nil, ErrMalformed},
		"a page":             {[]byte("data"), []byte("<html>\n\n\n</html>"), ErrMalformed},
		"another comment":    {[]byte("data"), join(lines[0], lines[1], "trusted comment: timestamp:1\tfile:y", lines[3]), ErrMismatch},
		"two signatures":     {[]byte("data"), append(append([]byte{}, sig...), sig...), ErrMalformed},
		"cut off":            {[]byte("data"), sig[:len(sig)-20], ErrMalformed},
		"without comment":    {[]byte("data"), join(lines[0], lines[1]), ErrMalformed},
		"far too long":       {[]byte("data"), append(make([]byte, MaxSignature), sig...), ErrMalformed},
		"comment of another": {[]byte("data"), join(lines[0], lines[1], lines[2], strings.Split(string(k.Sign([]byte("other"), "x", signedAt)), "\n")[3]), ErrMismatch},
	} {
		if _, err := Verify(k.Public(), c.message, c.sig); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	var ok *OtherKeyError
	if _, err := Verify(k.Public(), []byte("data"), other.Sign([]byte("data"), "x", signedAt)); !errors.As(err, &ok) || ok.ID != other.Public().ID() {
		t.Errorf("Verify of a signature by another key returned %v, want an OtherKeyError", err)
	}
	// An attacker can write the number of another key into a signature, but cannot sign
	// with that key.
	forged := strings.Split(string(other.Sign([]byte("data"), "x", signedAt)), "\n")
	raw, _ := base64.StdEncoding.DecodeString(forged[1])
	mine, _ := base64.StdEncoding.DecodeString(lines[1])
	copy(raw[2:10], mine[2:10])
	forged[1] = base64.StdEncoding.EncodeToString(raw)
	if _, err := Verify(k.Public(), []byte("data"), []byte(strings.Join(forged, "\n"))); !errors.Is(err, ErrMismatch) {
		t.Errorf("Verify of a signature with the number of another key returned %v, want ErrMismatch", err)
	}
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	file, err := k.File("")
	if err != nil {
		t.Fatal(err)
	}
	if Protected(file) {
		t.Error("Protected reports a password of a key without one")
	}
	back, err := ParseKey(file, "")
	if err != nil || !back.Public().Equal(k.Public()) {
		t.Fatalf("ParseKey did not return the written key: %v", err)
	}
	for _, text := range []string{k.Public().String(), string(k.Public().File()), "  " + k.Public().String() + "\r\n"} {
		if pub, err := ParsePublicKey(text); err != nil || !pub.Equal(k.Public()) {
			t.Errorf("ParsePublicKey(%q) did not return the key: %v", text, err)
		}
	}
	for _, text := range []string{"", "RWQ", string(file), k.Public().String() + "A", strings.Repeat("A", 10_000), k.Public().String() + "\n" + k.Public().String()} {
		if _, err := ParsePublicKey(text); !errors.Is(err, ErrKey) {
			t.Errorf("%.60q: %v, want ErrKey", text, err)
		}
	}
	for _, text := range []string{"", "x", k.Public().String()} {
		if _, err := ParseKey([]byte(text), ""); !errors.Is(err, ErrKey) {
			t.Errorf("%.60q: %v, want ErrKey", text, err)
		}
	}
}

// TestPassword uses a key from testdata that minisign can open too. The key was encrypted
// with weak parameters, so that trying a password takes milliseconds. The keys of this
// package take seconds.
func TestPassword(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/password.key")
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile("testdata/password.pub")
	if err != nil {
		t.Fatal(err)
	}
	if !Protected(file) {
		t.Error("Protected reports no password of a key with one")
	}
	k, err := ParseKey(file, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if pub, err := ParsePublicKey(string(public)); err != nil || !pub.Equal(k.Public()) {
		t.Errorf("the public key is %s, %v", k.Public(), err)
	}
	for _, wrong := range []string{"", "correct horse\n", "Correct horse"} {
		if _, err := ParseKey(file, wrong); !errors.Is(err, ErrPassword) {
			t.Errorf("ParseKey with the password %q returned %v, want ErrPassword", wrong, err)
		}
	}
}

// TestFileNameIsSanitized uses a file name with characters that end a line or control a
// terminal.
func TestFileNameIsSanitized(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	name := "a\nb\tc\x1b[31m\u202egnp\xff\u2028.iso"
	st, err := Verify(k.Public(), []byte("d"), k.Sign([]byte("d"), name, signedAt))
	if err != nil {
		t.Fatal(err)
	}
	if want := "a_b_c_[31m_gnp__.iso"; st.File != want {
		t.Errorf("file %q, want %q", st.File, want)
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state", "known-keys")
	known, err := OpenKnown(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := newKey(t).Public(), newKey(t).Public()
	other, _ := OpenKnown(path) // opened by another process
	if err := errors.Join(known.Remember("files.example.org", a), other.Remember("[::1]:6969", b)); err != nil {
		t.Fatal(err)
	}
	again, err := OpenKnown(path)
	if err != nil {
		t.Fatal(err)
	}
	if key, ok := again.Key("files.example.org"); !ok || !key.Equal(a) {
		t.Error("the key of the first site was lost")
	}
	if key, ok := again.Key("[::1]:6969"); !ok || !key.Equal(b) {
		t.Error("the site that the other process added is not known")
	}
	if err := again.Forget("files.example.org"); err != nil {
		t.Fatal(err)
	}
	if _, ok := again.Key("files.example.org"); ok {
		t.Error("the site is still known after Forget")
	}
	if err := again.Remember("two words", a); err == nil {
		t.Error("a site with a space was accepted")
	}
	os.WriteFile(path, []byte("files.example.org RWQrubbish\n"), 0o600)
	if _, err := OpenKnown(path); !errors.Is(err, ErrKey) {
		t.Errorf("OpenKnown of a damaged file returned %v, want ErrKey", err)
	}
}

func TestSite(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://Files.Example.org/r/x":     "files.example.org",
		"https://files.example.org.:443/":  "files.example.org",
		"http://files.example.org:80/a/b":  "files.example.org",
		"http://files.example.org:6969/":   "files.example.org:6969",
		"https://[2001:db8::1]:8443/":      "[2001:db8::1]:8443",
		"http://user:pw@10.0.0.1:6969/r/x": "10.0.0.1:6969",
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := Site(u); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	k := newKey(f)
	f.Add([]byte("data"), k.Sign([]byte("data"), "x", signedAt))
	f.Add([]byte(""), []byte("untrusted comment: \n\ntrusted comment: \n\n"))
	f.Fuzz(func(t *testing.T, message, sig []byte) {
		st, err := Verify(k.Public(), message, sig)
		if err == nil && (string(message) != "data" || strings.ContainsAny(st.Comment, "\n")) {
			t.Errorf("Verify accepted the signature %q for the message %q", sig, message)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	k := newKey(f)
	file, _ := k.File("")
	f.Add(string(file))
	f.Add(string(k.Public().File()))
	f.Fuzz(func(t *testing.T, text string) {
		if pub, err := ParsePublicKey(text); err == nil {
			if again, err := ParsePublicKey(pub.String()); err != nil || !again.Equal(pub) {
				t.Errorf("%q was parsed as %s, which is parsed as another key", text, pub)
			}
		}
		if !Protected([]byte(text)) { // trying a password would take a second
			ParseKey([]byte(text), "")
		}
	})
}

func TestRelease(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	want := Release{"a b\tc\n%41\u202e\xff~1.0~amd64", time.Unix(1_799_999_999, 0).UTC()}
	st, err := Verify(k.Public(), []byte("d"), k.SignRelease([]byte("d"), "x", signedAt, want))
	if err != nil || st.Release != want || st.File != "x" || !st.Time.Equal(signedAt) {
		t.Errorf("Verify returned %+v, %v, want the release %+v", st, err, want)
	}
	if st, _ := Verify(k.Public(), []byte("d"), k.Sign([]byte("d"), "x\trelease:y", signedAt)); st.Release != (Release{}) {
		t.Errorf("a file name with a tab gave the release %+v, want none", st.Release)
	}
}

func TestSeen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state", "seen")
	one, err := OpenSeen(path)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := OpenSeen(path) // opened by another process
	older, newer := Release{"a b~1", signedAt}, Release{"a b~2", signedAt.Add(time.Hour)}
	for _, err := range []error{
		one.Remember("x.example", "a b", newer), other.Remember("y.example:1", "a b", older), one.Remember("x.example", "a b", older), one.Remember("x.example", "c~~d", older),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	again, err := OpenSeen(path)
	if err != nil {
		t.Fatal(err)
	}
	for site, want := range map[string]Release{"x.example": newer, "y.example:1": older} {
		if got, ok := again.Newest(site, "a b"); !ok || got != want {
			t.Errorf("%s: %+v, want %+v", site, got, want)
		}
	}
	if err := again.Forget("x.example"); err != nil {
		t.Fatal(err)
	}
	if _, ok := again.Newest("x.example", "c~~d"); ok {
		t.Error("the site's release is still stored after Forget")
	}
	if _, ok := again.Newest("y.example:1", "a b"); !ok {
		t.Error("Forget removed the release of another site")
	}
	for _, line := range []string{"x a 1", "x %zz 1 a", "x a one a"} {
		os.WriteFile(path, []byte(line+"\n"), 0o600)
		if _, err := OpenSeen(path); err == nil {
			t.Errorf("OpenSeen accepted the malformed line %q", line)
		}
	}
}

// TestEd25519KeysBelongTogether checks that the plain Ed25519 keys of a key file are a pair: those of
// a new key, and of a key that was read from its file.
func TestEd25519KeysBelongTogether(t *testing.T) {
	t.Parallel()
	made := newKey(t)
	file, err := made.File("")
	if err != nil {
		t.Fatal(err)
	}
	read, err := ParseKey(file, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []*Key{made, read} {
		if !ed25519.Verify(made.Public().Ed25519(), []byte("message"), ed25519.Sign(k.Ed25519(), []byte("message"))) {
			t.Error("the public key does not verify a signature of the private key")
		}
	}
}
