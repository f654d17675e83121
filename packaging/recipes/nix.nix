# Made by packaging/dist of spate. Build it with
#   nix-build -E 'with import <nixpkgs> { }; callPackage ./package.nix { }'
{
  lib,
  stdenvNoCC,
  fetchurl,
  installShellFiles,
}:

let
  sources = {
    x86_64-linux = {
      file = "{{.File "linux-amd64"}}";
      hash = "{{.SRI "linux-amd64"}}";
    };
    aarch64-linux = {
      file = "{{.File "linux-arm64"}}";
      hash = "{{.SRI "linux-arm64"}}";
    };
    armv7l-linux = {
      file = "{{.File "linux-armv7"}}";
      hash = "{{.SRI "linux-armv7"}}";
    };
    x86_64-darwin = {
      file = "{{.File "darwin-amd64"}}";
      hash = "{{.SRI "darwin-amd64"}}";
    };
    aarch64-darwin = {
      file = "{{.File "darwin-arm64"}}";
      hash = "{{.SRI "darwin-arm64"}}";
    };
  };
  system = stdenvNoCC.hostPlatform.system;
  source = sources.${system} or (throw "spate has no binary for ${system}");
in
stdenvNoCC.mkDerivation {
  pname = "spate";
  version = "{{.Version}}";

  src = fetchurl {
    url = "{{.URL}}/${source.file}";
    inherit (source) hash;
  };

  nativeBuildInputs = [ installShellFiles ];
  dontConfigure = true;
  dontBuild = true;

  installPhase = ''
    runHook preInstall
    install -Dm755 spate $out/bin/spate
    cp -P bt* $out/bin/
    installManPage share/man/man1/* share/man/man5/*
    installShellCompletion --bash completions/spate.bash --zsh completions/_spate --fish completions/spate.fish
    runHook postInstall
  '';

  meta = {
    description = "{{.Summary}}";
    homepage = "{{.Homepage}}";
    license = lib.licenses.asl20;
    mainProgram = "spate";
    platforms = builtins.attrNames sources;
    sourceProvenance = [ lib.sourceTypes.binaryNativeCode ];
  };
}
