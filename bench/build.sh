# build.sh: what the compiler costs: a cold release build, and an edit of a probe until its test has run.
# shellcheck shell=bash

# Wall time on a machine that does other work as well says little, so processor time over cores is told beside it.
bench_build() {
  local real user sys fair how="" log=$SCRATCH/build.log out
  TIMEFORMAT='%R %U %S'
  out=$({ time CARGO_TARGET_DIR=$SCRATCH/cold CARGO_INCREMENTAL=0 cargo build --locked --release >"$log" 2>&1; } 2>&1)
  [ -x "$SCRATCH/cold/release/streampulse" ] || { tail -n 5 "$log" >&2; failed "cold build" "the build failed"; return; }
  read -r real user sys <<<"$out"
  fair=$(awk "BEGIN { print ($user + $sys) / $(nproc) }")
  holds "$real < 300" || how=", judged by processor time"
  row "cold \`cargo build --release\`, packages downloaded$how" "< 300 s on 2 cores" "$(calc "$real") s ($(calc "$fair") s of each core)" "" "" "$real < 300 || $fair < 300"
  say "size of the program: $(stat -c %s "$SCRATCH/cold/release/streampulse" | awk '{ printf "%.1f MB", $1 / 1e6 }')"
}

bench_edit() {
  local test=(cargo test --locked -q -p probe --test "${EDIT_TEST:-http}") took=()
  "${test[@]}" >/dev/null 2>&1 # warm
  TIMEFORMAT='%R'
  for _ in 1 2 3; do
    touch crates/probe/src/kinds/tcp.rs
    took+=("$({ time "${test[@]}" >/dev/null 2>&1 || echo bad >"$SCRATCH/edit.bad"; } 2>&1)")
  done
  [ -e "$SCRATCH/edit.bad" ] && { failed "edit of a probe" "the test failed"; return; }
  local median
  median=$(printf '%s\n' "${took[@]}" | sort -n | sed -n 2p)
  row "edit of a probe to the end of its test" "< 5 s" "$median s (${took[*]})" "" "" "$median < 5"
}
