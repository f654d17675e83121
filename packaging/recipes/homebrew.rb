# Made by packaging/dist of spate.
class Spate < Formula
  desc "{{.Summary}}"
  homepage "{{.Homepage}}"
  version "{{.Version}}"
  license "{{.License}}"

  on_macos do
    on_arm do
      url "{{.URL}}/{{.File "darwin-arm64"}}"
      sha256 "{{.Sum "darwin-arm64"}}"
    end
    on_intel do
      url "{{.URL}}/{{.File "darwin-amd64"}}"
      sha256 "{{.Sum "darwin-amd64"}}"
    end
  end
  on_linux do
    on_arm do
      url "{{.URL}}/{{.File "linux-arm64"}}"
      sha256 "{{.Sum "linux-arm64"}}"
    end
    on_intel do
      url "{{.URL}}/{{.File "linux-amd64"}}"
      sha256 "{{.Sum "linux-amd64"}}"
    end
  end

  def install
    bin.install "spate"
    %w[{{range $i, $t := .Tools}}{{if $i}} {{end}}{{$t}}{{end}}].each { |tool| bin.install_symlink "spate" => tool }
    man1.install Dir["share/man/man1/*"]
    man5.install Dir["share/man/man5/*"]
    bash_completion.install "completions/spate.bash" => "spate"
    zsh_completion.install "completions/_spate"
    fish_completion.install "completions/spate.fish"
    doc.install "README.md", "docs"
  end

  service do
    run [opt_bin/"spate", "serve"]
    keep_alive true
    log_path var/"log/spate.log"
    error_log_path var/"log/spate.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/spate version")
    (testpath/"data").write "data"
    system bin/"spate", "create", "data", "-o", "data.torrent"
    assert_match "data", shell_output("#{bin}/spate show data.torrent")
  end
end
