package takeover

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// names are the beginnings of the names of the processes of a program, as the kernel cuts them.
var names = map[string][]string{"transmission": {"transmission-da", "transmission-gt", "transmission-qt", "transmission-cl"}, "qbittorrent": {"qbittorrent"}}

// Running returns the number of a process of the program that may use its directory s.Dir, or 0. A
// process that names another directory on its command line does not count, and one that names none
// uses the usual directory.
func (s *State) Running() int {
	procs, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return 0
	}
	for _, path := range procs {
		comm, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for _, name := range names[s.Program] {
			if !strings.HasPrefix(string(comm), name) {
				continue
			}
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			if !s.elsewhere(line) {
				n, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
				return n
			}
		}
	}
	return 0
}
