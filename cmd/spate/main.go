// Command spate publishes files over BitTorrent and fetches them. It makes torrents, tracks,
// seeds and downloads them, and serves pages for them.
package main

import (
	"os"

	// Root certificates for systems without any, such as the container.
	_ "golang.org/x/crypto/x509roots/fallback"

	"spate/internal/cli"
)

func main() { os.Exit(cli.Main(cli.System())) }
