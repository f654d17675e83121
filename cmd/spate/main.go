// Command spate publishes files over BitTorrent and fetches them: maker,
// tracker, seed, downloader and release page in one program.
package main

import (
	"os"

	// For HTTPS where the system has no certificates, as in the container.
	_ "golang.org/x/crypto/x509roots/fallback"

	"spate/internal/cli"
)

func main() { os.Exit(cli.Main(cli.System())) }
