#!/usr/bin/env bash
# What an instance runs to check its own AMI: fetches the CHECK of the bake, MODEL_LIST and MODEL_MARKER by URL, lets the check read
# everything again, sends what came of it to REPORT_URL, and shuts down, which ends the instance. The URLs are secrets for a while.
set -uo pipefail
export LC_ALL=C

: "${CHECK_URL:?}" "${MODEL_LIST_URL:?}" "${MODEL_MARKER_URL:?}" "${REPORT_URL:?}" "${LIMIT_S:?}"
MODEL_ROOT=${MODEL_ROOT:-/opt/dl-models}
# Below /run, where nothing lies on the disk that is checked.
work=$(mktemp -d "${WORK:-/run}/capctl-boot.XXXXXX")
# In any case: an instance that stays costs money.
trap 'rm -rf "$work"; shutdown -h now' EXIT

# URL, then curl's options; through a pipe, where `ps` does not show the URL.
ask() {
  printf 'url = "%s"\n' "$1" |
    curl --fail --silent --show-error --retry 5 --retry-connrefused --max-time 120 "${@:2}" --config -
}

report_failure() {
  local line=${1//\\/\\\\}
  line=$(printf '%s' "${line//\"/\\\"}" | tr '\000-\037\177' '?')
  printf '{"schema":"capctl.boot-failure/1","line":"%s"}\n' "$line" >"$work/report.json"
}

check() {
  local name url said status
  for name in CHECK MODEL_LIST MODEL_MARKER; do
    url=${name}_URL
    ask "${!url}" --output "$work/$name" || {
      report_failure "capctl-bake: input-unreadable: $name: curl ended with status $?"
      return
    }
  done
  said=$(MODEL_LIST=$work/MODEL_LIST MODEL_MARKER=$work/MODEL_MARKER MODEL_ROOT=$MODEL_ROOT EVIDENCE=$work/report.json BOOTED=yes \
    timeout "$LIMIT_S" bash "$work/CHECK" 2>&1)
  status=$?
  [ "$status" != 0 ] || return 0
  case $said in
    *capctl-bake:*) report_failure "capctl-bake:${said#*capctl-bake:}" ;;
    *) report_failure "capctl-bake: check-failed: status $status: ${said:$((${#said} > 300 ? ${#said} - 300 : 0))}" ;;
  esac
}

check
ask "$REPORT_URL" --request PUT --header 'Expect:' --upload-file "$work/report.json"
