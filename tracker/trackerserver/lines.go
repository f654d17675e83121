package trackerserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// maxListLine bounds the lines of the files that say whom the tracker serves, in
// bytes.
const maxListLine = 4096

// eachLine calls f for the lines of a list that are neither empty nor comments,
// without the space around them. An error, which ends it, names the line.
func eachLine(b []byte, f func(line string) error) error {
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, maxListLine)
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := f(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d has more than %d bytes", n+1, maxListLine)
	}
	return lines.Err()
}
