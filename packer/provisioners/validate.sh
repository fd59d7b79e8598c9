#!/usr/bin/env bash
# Reads everything below MODEL_ROOT again, fails unless it is exactly the set of MODEL_LIST, and writes EVIDENCE (JSON).
# Runs at the end of a bake, and on an instance of the AMI when that is checked (boot.sh).
set -euo pipefail

: "${MODEL_LIST:?}" "${MODEL_MARKER:?}" "${MODEL_ROOT:?}" "${EVIDENCE:?}"
DISK=${DISK:-} # a folder in place of /, for what has to be gone
BOOTED=${BOOTED:-} # set on an instance of the AMI
marker_name=.model-set.json

fail() {
  printf 'capctl-bake: %s: %s: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

json_string() {
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

sha256_of() {
  local line
  line=$(sha256sum <"$1")
  printf '%s' "${line%% *}"
}

marker_sha256=$(sha256_of "$MODEL_MARKER")
marker_bytes=$(stat --format %s "$MODEL_MARKER")
declare -A wanted_sha256 wanted_bytes wanted_mode seen
while IFS=$'\t' read -r sha256 bytes mode _ path; do
  wanted_sha256[$path]=$sha256 wanted_bytes[$path]=$bytes wanted_mode[$path]=$mode
  for folder in . "${path%%/*}"; do
    marker=$folder/$marker_name
    wanted_sha256[$marker]=$marker_sha256 wanted_bytes[$marker]=$marker_bytes wanted_mode[$marker]=0444
  done
done <"$MODEL_LIST"

files=() markers=()
while IFS=$'\t' read -r -d '' type mode owner bytes path; do
  [ "$owner" = 0:0 ] || fail payload-mismatch "$path" "owner $owner, expected 0:0"
  case $path in
    runtime/*) ;; # where a package may hold a folder of these names
    src/* | */src/* | tools/* | */tools/* | *.csv) fail payload-mismatch "$path" "does not belong on an AMI" ;;
  esac
  if [ "$type" = d ]; then
    [ "$mode" = 755 ] || fail payload-mismatch "$path" "mode $mode, expected 755"
    continue
  fi
  [ "$type" = f ] || fail payload-mismatch "$path" "neither a file nor a folder"
  key=$path
  [ "$path" != "$marker_name" ] || key=./$path
  [ -n "${wanted_sha256[$key]:-}" ] || fail payload-mismatch "$path" "not in the model set"
  sha256=$(sha256_of "$MODEL_ROOT/$path")
  [ "$bytes" = "${wanted_bytes[$key]}" ] || fail payload-mismatch "$path" "$bytes bytes, expected ${wanted_bytes[$key]}"
  [ "$sha256" = "${wanted_sha256[$key]}" ] || fail payload-mismatch "$path" "sha256 $sha256, expected ${wanted_sha256[$key]}"
  [ "0$mode" = "${wanted_mode[$key]}" ] || fail payload-mismatch "$path" "mode 0$mode, expected ${wanted_mode[$key]}"
  seen[$key]=1
  entry="{\"path\":$(json_string "$path"),\"bytes\":$bytes,\"sha256\":\"$sha256\",\"mode\":\"0$mode\"}"
  if [ "${path##*/}" = "$marker_name" ]; then markers+=("$entry"); else files+=("$entry"); fi
done < <(find "$MODEL_ROOT" -printf '%y\t%m\t%U:%G\t%s\t%P\0')

for path in "${!wanted_sha256[@]}"; do
  [ -n "${seen[$path]:-}" ] || fail payload-mismatch "$path" "missing"
done
# Credentials in files came with the base AMI, for a bake leaves none, and nobody but its owner may say that they are to be removed.
leftovers=("$MODEL_ROOT.incoming" "$DISK"/{root,home/*}/{.aws,.netrc,.git-credentials,.docker/config.json})
# All else that clean.sh promises, but for caches, which hold no secret and may fill again. An instance of the AMI has its own of it.
if [ -z "$BOOTED" ]; then
  leftovers+=(
    "$DISK"/{root,home/*}/.ssh/authorized_keys "$DISK"/{root,home/*}/.*_history
    "$DISK"/etc/ssh/ssh_host_* "$DISK"/var/lib/ecs/data/*
    "$DISK"/var/lib/cloud/instance "$DISK"/var/lib/cloud/instances/* "$DISK"/var/lib/cloud/data/*
  )
  [ ! -s "$DISK/etc/machine-id" ] || fail leftover "$DISK/etc/machine-id" "names the instance of the bake"
fi
for leftover in "${leftovers[@]}"; do
  [ ! -e "$leftover" ] && [ ! -L "$leftover" ] || fail leftover "$leftover" "still there after the clean-up"
done
# On an instance that was started without a key pair cloud-init leaves a file without a key.
for keys in "$DISK"/{root,home/*}/.ssh/authorized_keys; do
  ! grep --quiet --no-messages '^[[:space:]]*[^#[:space:]]' "$keys" || fail leftover "$keys" "holds a key"
done

join() {
  local IFS=,
  printf '%s' "$*"
}
# All markers were found to be MODEL_MARKER, byte for byte, which is JSON itself.
printf '{"schema":"capctl.bake-evidence/1","instance_id":%s,"root":%s,"files":[%s],"markers":[%s],"marker":%s}\n' \
  "$(json_string "${INSTANCE_ID:-}")" "$(json_string "$MODEL_ROOT")" "$(join "${files[@]}")" "$(join "${markers[@]}")" \
  "$(<"$MODEL_MARKER")" >"$EVIDENCE"
chmod 0644 "$EVIDENCE"
printf 'validated %s files\n' "${#files[@]}"
sync
