#!/usr/bin/env bash
# Tells Bazel which revision is built, for manifest.json; never fails, so that a tree without git builds too.
set -euo pipefail
revision=$(git rev-parse HEAD 2>/dev/null) || revision=unknown
dirty=false
if [ "$revision" != unknown ]; then
  [ -z "$(git status --porcelain -- . ':!results' 2>/dev/null)" ] || dirty=true
fi
echo "STABLE_GIT_REVISION $revision"
echo "STABLE_GIT_DIRTY $dirty"
