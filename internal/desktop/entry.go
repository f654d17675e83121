// Package desktop makes a program the one that opens links and files on a desktop that follows the
// specifications of freedesktop.org: the Desktop Entry Specification and the association of media
// types with applications.
package desktop

import "strings"

// ID is the name of the desktop entry, which names the program in lists of associations.
const ID = "spate.desktop"

// Types are the media types that the program opens: magnet links and .torrent files.
var Types = []string{"x-scheme-handler/magnet", "application/x-bittorrent"}

// Entry returns the text of the desktop entry. program is the name or the path of the program.
func Entry(program string) string {
	return `[Desktop Entry]
Type=Application
Version=1.0
Name=spate
GenericName=BitTorrent client
Comment=Download and publish files over BitTorrent
Exec=` + quote(program) + ` open %u
Icon=spate
Terminal=false
StartupNotify=false
Categories=Network;FileTransfer;P2P;
Keywords=torrent;magnet;download;publish;
MimeType=` + strings.Join(Types, ";") + `;
`
}

// quote returns an argument of the key Exec. Reserved characters need quotes, and inside of them some
// need a backslash. The value of a key needs a second backslash for each, and a percent sign is doubled.
func quote(arg string) string {
	const reserved = " \t\n\"'\\><~|&;$*?#()`"
	arg = strings.ReplaceAll(arg, "%", "%%")
	if !strings.ContainsAny(arg, reserved) {
		return arg
	}
	arg = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`).Replace(arg)
	return `"` + strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\t", `\t`).Replace(arg) + `"`
}
