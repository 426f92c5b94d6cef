#!/bin/sh
# Makes one call with each program, and prints a line of JSON for each. The argument is the folder of the Python environment with uv.
# Nothing here knows of Tollgate.

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# NAME VERSION COMMAND...
row() {
    name=$1 version=$2
    shift 2
    if said=$(timeout 20 "$@" 2>&1 </dev/null); then error=null; else error=\"$(printf %s "$said" | tail -n 3 | tr -d '\\"' | tr '\n\t' '  ' | cut -c 1-300)\"; fi
    printf '{"client": "%s", "version": "%s", "error": %s}\n' "$name" "$version" "$error"
}
version() { "$@" 2>/dev/null | grep -o '[0-9][0-9]*\.[0-9.]*[0-9]' | head -n 1; }

row curl "$(version curl --version)" curl -sS -o /dev/null https://curl.trust.test/hello
row wget "$(version wget --version)" wget -q -T 10 -t 1 -O /dev/null https://wget.trust.test/hello
row git "$(version git --version)" git ls-remote https://git.trust.test/none
row openssl "$(version openssl version)" sh -c 'printf "GET /hello HTTP/1.1\r\nHost: openssl.trust.test\r\nConnection: close\r\n\r\n" | openssl s_client -quiet -verify_return_error -connect openssl.trust.test:443 -servername openssl.trust.test'
row pip "$(version "$1/bin/pip" --version)" "$1/bin/pip" download -q --no-cache-dir --retries 0 --index-url https://pip.trust.test/simple none-such
row uv "$(version "$1/bin/uv" --version)" "$1/bin/uv" pip install -q --no-cache --dry-run --target "$work/t" --index-url https://uv.trust.test/simple none-such
row npm "$(npm --version)" npm view --registry https://npm.trust.test/ --fetch-retries 0 --cache "$work/c" none-such
# Nothing is left of the environment but the way to programs.
row env-i-curl "$(version curl --version)" env -i PATH="$PATH" curl -sS -o /dev/null https://env-i-curl.trust.test/hello
row env-i-urllib "$(version "$1/bin/python" --version)" env -i "$1/bin/python" -c 'import urllib.request; urllib.request.urlopen("https://env-i-urllib.trust.test/hello", timeout=10)'
