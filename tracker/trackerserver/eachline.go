package trackerserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"

	"spate/internal/units"
)

// maxListLine limits the length of a line in the files of Options, in bytes.
const maxListLine = 4096

// eachLine calls f for each line of b that is neither empty nor a comment, without the
// space around it. It stops at the first error, to which it adds the number of the line.
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
		return fmt.Errorf("line %d has more than %s", n+1, units.Plural(maxListLine, "byte"))
	}
	return lines.Err()
}
