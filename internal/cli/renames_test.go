package cli

import (
	"strings"
	"testing"
)

func TestSumsFile(t *testing.T) {
	t.Parallel()
	for name := range strings.FieldsSeq("SHA256SUMS sha256sums.txt MD5SUMS md5sum SHA1SUMS SHA512SUMS B2SUMS checksums.txt CHECKSUM a.iso.sha256 a.md5 a.sha1 a.sfv a.sha512sum a.sha256sums") {
		if !sumsFile.MatchString(name) {
			t.Errorf("%s does not count as a file with checksums", name)
		}
	}
	for name := range strings.FieldsSeq("a.iso sums sha256 .sha256 my-SHA256SUMS.iso a.sha256.txt.gz md5.py SHA256SUMS.asc") {
		if sumsFile.MatchString(name) {
			t.Errorf("%s counts as a file with checksums", name)
		}
	}
}
