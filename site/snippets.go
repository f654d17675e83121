package site

import (
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// snippets are configurations of web servers for an exported site: media types that the
// servers do not know, and the headers that the site itself would send.
var snippets = map[string]string{
	"nginx.conf": `# For nginx: include this in a server { } block.
include mime.types;
types {
    application/x-bittorrent   torrent;
    application/metalink4+xml  meta4;
    application/x-minisign     minisig;
    application/x-spate-v2-hashes  v2;
}
location {{quote .Prefix "/"}} {
    {{.Where}} {{quote .Dir .End}};
    index index.html;
    charset utf-8;
    add_header Content-Security-Policy "{{.Policy}}";
    add_header X-Content-Type-Options nosniff;
    add_header Referrer-Policy no-referrer;
    add_header Access-Control-Allow-Origin *;
}
{{range .Releases}}location {{quote $.Prefix "/" . "/"}} {
    {{if $.Prefix}}alias {{quote $.Dir "/" . "/"}}{{else}}root {{quote $.Dir}}{{end}};
    index index.html;
    charset utf-8;
    add_header Content-Security-Policy "{{$.DownloadPolicy}}";
    add_header X-Content-Type-Options nosniff;
    add_header Referrer-Policy no-referrer;
    add_header Access-Control-Allow-Origin *;
}
{{end}}location {{quote .Prefix "/d/"}} {
    {{.Where}} {{quote .Dir .EndD}};
    types { }
    default_type application/octet-stream;
    sendfile on;
    add_header Access-Control-Allow-Origin *;
    add_header Access-Control-Expose-Headers "Accept-Ranges, Content-Length, Content-Range, ETag";
    add_header Content-Security-Policy "default-src 'none'; sandbox";
    add_header X-Content-Type-Options nosniff;
}
`,
	"apache.conf": `# For Apache: include this in a virtual host. It needs mod_headers.
Alias {{quote .Prefix "/"}} {{quote .Dir "/"}}
<Directory {{quote .Dir}}>
    Require all granted
    Options FollowSymLinks
    DirectoryIndex index.html
    AddType application/x-bittorrent .torrent
    AddType application/metalink4+xml .meta4
    AddType application/x-minisign .minisig
    AddType application/x-spate-v2-hashes .v2
    Header set Content-Security-Policy "{{.Policy}}"
    Header set X-Content-Type-Options nosniff
    Header set Referrer-Policy no-referrer
    Header set Access-Control-Allow-Origin "*"
</Directory>
{{range .Releases}}<Directory {{quote $.Dir "/" .}}>
    Header set Content-Security-Policy "{{$.DownloadPolicy}}"
</Directory>
{{end}}<Directory {{quote .Dir "/d"}}>
    ForceType application/octet-stream
    Header set Content-Security-Policy "default-src 'none'; sandbox"
</Directory>
`,
	"Caddyfile": `# For Caddy: import this in a site block.
handle_path {{quote (percent .Prefix) "/*"}} {
	root * {{quote .Dir}}
	@torrent path *.torrent
	header @torrent Content-Type application/x-bittorrent
	@metalink path *.meta4
	header @metalink Content-Type application/metalink4+xml
	@minisig path *.minisig
	header @minisig Content-Type application/x-minisign
	@v2 path *.v2
	header @v2 Content-Type application/x-spate-v2-hashes
	header X-Content-Type-Options nosniff
	header Referrer-Policy no-referrer
	header Access-Control-Allow-Origin *
	@pages not path /d/*{{range .Releases}} /{{.}}/*{{end}}
	header @pages Content-Security-Policy "{{.Policy}}"
	@releases path{{range .Releases}} /{{.}}/*{{end}}
	header @releases Content-Security-Policy "{{.DownloadPolicy}}"
	@data path /d/*
	header @data Content-Type application/octet-stream
	header @data Content-Security-Policy "default-src 'none'; sandbox"
	file_server
}
`,
}

// quoters escape the text of a quoted word of a configuration file.
var quoters = map[string]*strings.Replacer{
	"nginx.conf":  strings.NewReplacer(`\`, `\\`, `"`, `\"`),
	"apache.conf": strings.NewReplacer(`\`, `\\`, `"`, `\"`),
	"Caddyfile":   strings.NewReplacer(`"`, `\"`), // a backslash before other characters stays
}

// writeSnippets writes the snippets into the exported site at tmp. dir is the final directory
// of the export. prefix is the decoded path of the site's URL, because the servers compare
// decoded paths. trees are the folders of the pages in other languages than English.
func writeSnippets(tmp, dir, prefix string, trees []string) error {
	where := filepath.Join(tmp, exportMark)
	if err := os.Mkdir(where, 0o755); err != nil {
		return err
	}
	releases := []string{"r", "static/" + strings.TrimSuffix(moduleDir, "/")} // folders with the policy of downloads in pages
	for _, tree := range trees {
		releases = append(releases, strings.TrimPrefix(tree, "/")+"/r")
	}
	v := map[string]any{"Prefix": prefix, "Dir": dir, "Where": "root", "End": "", "EndD": "", "Policy": policy, "DownloadPolicy": downloadPolicy, "Releases": releases}
	if prefix != "" {
		v["Where"], v["End"], v["EndD"] = "alias", "/", "/d/"
	}
	for name, text := range snippets {
		funcs := template.FuncMap{
			"quote": func(parts ...string) string { return `"` + quoters[name].Replace(strings.Join(parts, "")) + `"` },
			// Caddy takes a pattern with a percent sign as encoded.
			"percent": func(path string) string { return strings.ReplaceAll(path, "%", "%25") },
		}
		var b strings.Builder
		if err := template.Must(template.New(name).Funcs(funcs).Parse(text)).Execute(&b, v); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(where, name), []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
