# Shared by the scripts; sourced, not run.

LBCTL_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Progress goes to stderr, so that output can be piped.
say() { printf '== %s\n' "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# Says what takes long, runs it, and shows its output only if it fails.
quietly() {
  local what=$1 log began=$SECONDS
  shift
  log=$(mktemp)
  say "$what …"
  if "$@" >"$log" 2>&1; then
    say "$what: done in $((SECONDS - began)) s"
    rm -f "$log"
  else
    local status=$?
    cat "$log" >&2
    rm -f "$log"
    say "$what: FAILED (exit status $status)"
    return "$status"
  fi
}
