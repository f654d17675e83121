// Command spate publishes files over BitTorrent and fetches them: maker,
// tracker, seed, downloader and release page in one program.
package main

import (
	"os"

	"spate/internal/cli"
)

func main() { os.Exit(cli.Main(cli.System())) }
