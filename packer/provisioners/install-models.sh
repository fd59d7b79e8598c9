#!/usr/bin/env bash
# Puts the files of MODEL_LIST below MODEL_ROOT: fetched by URL, checked byte for byte, with modes, owners and markers.
# MODEL_LIST: one line per file, `sha256 TAB bytes TAB mode TAB url TAB path`. MODEL_MARKER: the marker's content.
set -euo pipefail
umask 022

: "${MODEL_LIST:?}" "${MODEL_MARKER:?}" "${MODEL_ROOT:?}"
# Beside the final place, so that the move into it is a rename; the set appears whole or not at all.
incoming="$MODEL_ROOT.incoming"
# Slower than 10 kB/s for so long is a connection that is dead, which nobody else would tell.
STALL_S=${STALL_S:-60}
export MODEL_LIST STALL_S incoming

fail() {
  printf 'capctl-bake: %s: %s: %s\n' "$1" "$2" "$3" >&2
  exit 255 # the one status at which xargs starts nothing more
}

install_line() {
  local sha256 bytes mode url path target got
  # Tab is white space to `read`, which would join empty columns; no column of the list is empty.
  IFS=$'\t' read -r sha256 bytes mode url path < <(sed -n "${1}p" "$MODEL_LIST")
  target="$incoming/$path"
  mkdir -p "$(dirname "$target")"
  # The URL is a secret for a while: it goes through a pipe, where `ps` does not show it.
  printf 'url = "%s"\n' "$url" |
    curl --fail --silent --show-error --location --retry 5 --retry-connrefused --connect-timeout 30 \
      --speed-limit 10000 --speed-time "$STALL_S" --output "$target" --config - ||
    fail model-unreadable "$path" "curl ended with status $?"
  got=$(stat --format %s "$target")
  [ "$got" = "$bytes" ] || fail payload-mismatch "$path" "$got bytes, expected $bytes"
  got=$(sha256sum <"$target")
  got=${got%% *}
  [ "$got" = "$sha256" ] || fail payload-mismatch "$path" "sha256 $got, expected $sha256"
  chmod "$mode" "$target"
  printf 'installed %s (%s bytes)\n' "$path" "$bytes"
}
export -f fail install_line

rm -rf "$incoming"
mkdir -p "$incoming"
seq "$(wc -l <"$MODEL_LIST")" | xargs --max-procs=4 --max-args=1 bash -euo pipefail -c 'install_line "$1"' install

# A container mounts one folder below the root, never the root itself: each folder carries the marker too.
for folder in "$incoming" "$incoming"/*/; do
  install --mode=0444 "$MODEL_MARKER" "$folder/.model-set.json"
done
chown -R root:root "$incoming"
find "$incoming" -type d -exec chmod 0755 {} +
rm -rf "$MODEL_ROOT"
mv --no-target-directory "$incoming" "$MODEL_ROOT"
