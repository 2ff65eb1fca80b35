# lib.sh: what the cases of bench/run share: rows of the table, processes that are measured, the testbed. Measures nothing itself.
# shellcheck shell=bash disable=SC2034 # the cases and bench/run use what is set here

ROWS=()    # finished rows of the table
STARTED=() # pids of what was started here
MISSED=0   # 1 when a budget is missed
TESTBED_OURS=0

say() { printf '%s\n' "$*" >&2; }
die() { say "bench: $*"; exit 2; }

# calc EXPRESSION: arithmetic with decimals; prints three significant digits, whole numbers from 100 on.
calc() { awk "BEGIN { x = $*; if (x >= 100) printf \"%.0f\", x; else printf \"%.3g\", x }"; }
# holds EXPRESSION: whether a comparison of decimals is true.
holds() { awk "BEGIN { exit !($*) }"; }

# row WHAT BUDGET FIGURE PEER RATIO CONDITION: one line of the table; CONDITION decides between met and missed.
row() {
  local verdict="met"
  if ! holds "$6"; then verdict="**missed**"; MISSED=1; fi
  ROWS+=("| $1 | $2 | $3 | ${4:-} | ${5:-} | $verdict |")
  say "${ROWS[-1]}"
}

# told WHAT FIGURE PEER RATIO: a figure without a budget.
told() {
  ROWS+=("| $1 | | $2 | ${3:-} | ${4:-} | |")
  say "${ROWS[-1]}"
}

# failed WHAT WHY: a case that gave no figure is a missed budget.
failed() {
  ROWS+=("| $1 | | $2 | | | **not measured** |")
  MISSED=1
  say "${ROWS[-1]}"
}

table() {
  echo
  echo "| What | Budget | Figure | Peer, same run | Ratio | Verdict |"
  echo "|---|---|---|---|---|---|"
  printf '%s\n' "${ROWS[@]}"
}

# About the machine: figures without it say nothing.
machine() {
  local model
  model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
  echo "$(date -u +%F) on $(nproc) cores of $model, Linux $(uname -r), load $(cut -d' ' -f1-3 /proc/loadavg)"
}

# --- processes

# cpu_ms PID: user and system time of a process in milliseconds, threads that ended included (proc(5) stat, 10 ms steps).
cpu_ms() { awk '{ sub(/^.*\) /, ""); print ($12 + $13) * 10 }' "/proc/$1/stat"; }
# memory_mb PID FIELD: VmRSS (now) or VmHWM (peak) in megabytes.
memory_mb() { awk -v f="$2:" '$1 == f { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }

started() { STARTED+=("$1"); }
# end PID: asks it to end and waits until it has.
end() {
  kill -TERM "$1" 2>/dev/null
  wait "$1" 2>/dev/null
}

tidy_up() {
  local pid
  for pid in "${STARTED[@]}"; do kill -0 "$pid" 2>/dev/null && end "$pid"; done
  rm -rf "${SCRATCH:?}"
  [ "$TESTBED_OURS" = 1 ] && testbed/testbed.sh down >/dev/null 2>&1
  return 0
}

# wait_line FILE PATTERN SECONDS: prints the first line of a growing file that matches.
wait_line() {
  local until=$((SECONDS + $3)) line
  while [ $SECONDS -lt $until ]; do
    line=$(grep -m1 -E "$2" "$1" 2>/dev/null) && { printf '%s\n' "$line"; return 0; }
    sleep 0.1
  done
  return 1
}

# start_site ADDRESSES [SEGMENT SECONDS]: the fast HTTP site; sets SITE_PORT.
start_site() {
  "$TARGET/release/examples/bench_site" "$@" >"$SCRATCH/site.port" 2>"$SCRATCH/site.log" &
  started $!
  SITE_PORT=$(wait_line "$SCRATCH/site.port" '^[0-9]+$' 10) || die "the site did not start: $(cat "$SCRATCH/site.log")"
}

# start_product FOLDER: the real program on FOLDER/streampulse.yaml; sets PRODUCT (pid) and PRODUCT_URL.
start_product() {
  local log=$1/log
  "$TARGET/release/streampulse" run --config "$1/streampulse.yaml" --state "$1/state" >/dev/null 2>"$log" &
  PRODUCT=$!
  started $PRODUCT
  PRODUCT_URL=$(wait_line "$log" 'dashboard and API on' 30 | grep -oE 'http://[0-9.:]+') || die "the program did not start: $(tail -n 3 "$log")"
}

# health FILTER: a figure of the program's own health, by jq.
health() { curl -fsS -m 10 "$PRODUCT_URL/api/v1/health" | jq -r "$1"; }

# config FOLDER: the part of a configuration that all cases share.
config() {
  mkdir -p "$1"
  printf "server: {listen: ['127.0.0.1:0'], login: false}\ntargets:\n" >"$1/streampulse.yaml"
}

# --- the testbed

reachable() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# need_testbed COMPONENT:PORT...: brings up what is not there.
need_testbed() {
  local part missing=()
  for part in "$@"; do reachable "${part#*:}" || missing+=("${part%:*}"); done
  [ ${#missing[@]} = 0 ] && return 0
  testbed/testbed.sh status >/dev/null 2>&1
  [ $? = 3 ] && TESTBED_OURS=1
  say "bringing up ${missing[*]} in $TESTBED_DIR"
  testbed/testbed.sh up "${missing[@]}" >"$SCRATCH/testbed.log" 2>&1
  for part in "$@"; do reachable "${part#*:}" || { tail -n 5 "$SCRATCH/testbed.log" >&2; return 1; }; done
}
