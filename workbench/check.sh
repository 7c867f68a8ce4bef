#!/usr/bin/env bash
# Holds the committed build of the workbench (tanglai/server/workbench) to its source (this folder).
#
# usage: check.sh            compare; rebuilds in a temporary folder only when the source changed since the build was recorded
#        check.sh --rebuild  compare with a rebuild in any case
#        check.sh --update   build, put the result in place, record the hashes of source and build in build.sha256
#
# exit: 0 the build is the source's (or npm is missing and CI is not true: said so), 1 it is not, 2 usage
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
built=$(cd "$here/.." && pwd)/tanglai/server/workbench
record=$here/build.sha256
source_files=(.npmrc build index.html package-lock.json package.json src tsconfig.json vite.config.ts)

say() { printf 'workbench: %s\n' "$*"; }

sha256() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }

hash_of() { # hash_of FOLDER NAME…: one hash over the files' names and contents
  (cd "$1" && shift && find "$@" -type f | sort | while read -r name; do sha256 "$name"; done | sha256 | cut -d ' ' -f 1)
}

recorded() { awk -v key="$1" '$1 == key { print $2 }' "$record" 2>/dev/null || true; }

build_into() { # a clean install of the lock, in a copy, so that neither node_modules nor the path of the checkout matters
  local copy=$scratch/source
  mkdir "$copy"
  (cd "$here" && tar cf - "${source_files[@]}") | (cd "$copy" && tar xf -)
  (cd "$copy" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && npx tsc --noEmit &&
    WORKBENCH_OUT=$1 npx vite build --logLevel warn) >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; return 1; }
}

rebuild=0 update=0
for argument in "$@"; do
  case $argument in
    --rebuild) rebuild=1 ;;
    --update) update=1 ;;
    *) sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"; exit 2 ;;
  esac
done

source_hash=$(hash_of "$here" "${source_files[@]}")
build_hash=none
[[ -d $built ]] && build_hash=$(hash_of "$built" .)

if ((!rebuild && !update)); then
  if [[ $source_hash == "$(recorded source)" ]]; then
    if [[ $build_hash == "$(recorded build)" ]]; then
      say "the build is the source's"
      exit 0
    fi
    say "tanglai/server/workbench was changed by hand or is incomplete: run workbench/check.sh --update"
    exit 1
  fi
  say "the source changed since the build was recorded"
fi

if ! command -v npm >/dev/null; then
  if [[ ${CI:-} == true ]]; then
    say "npm is missing, and CI=true wants the rebuild"
    exit 1
  fi
  say "skipped: npm is missing (Debian packages nodejs and npm, Node 20.19 or newer), so nothing was rebuilt"
  ((update)) && exit 1
  exit 0
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/workbench.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
build_into "$scratch/out" || { say "the source does not build"; exit 1; }

if ((update)); then
  rm -rf "$built"
  cp -R "$scratch/out" "$built"
  printf 'source %s\nbuild %s\n' "$source_hash" "$(hash_of "$built" .)" >"$record"
  say "built and recorded"
  exit 0
fi
if diff -rq "$scratch/out" "$built"; then
  say "the rebuilt files are the committed ones"
  exit 0
fi
say "the committed build is not the source's: run workbench/check.sh --update and commit"
exit 1
