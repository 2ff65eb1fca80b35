# processes.sh: starting, finding and ending processes. Never signals what it did not start.
#
# One file per process in $S/pid. First line: pid and start time in clock ticks since boot, which together identify a
# process even after its pid was given to another one. Second line: the component that started it.
# shellcheck shell=bash

LAST=""    # the process started most recently: a wait for its port gives up when it has ended
CURRENT="" # the component being started

# Fields of /proc/PID/stat after the command name, which itself may hold blanks and brackets: $1 is the state, $20 the start time.
stat_field() { awk -v n="$2" '{ sub(/^.*\) /, ""); print $n }' "/proc/$1/stat" 2>/dev/null; }

recorded() { [ -s "$S/pid/$1" ] && read -r PID TICKS <"$S/pid/$1"; }

alive() { # NAME: sets PID and TICKS, succeeds while that very process runs
  recorded "$1" || return 1
  [ -n "$TICKS" ] && [ "$(stat_field "$PID" 20)" = "$TICKS" ] && [ "$(stat_field "$PID" 1)" != Z ]
}

any_alive() {
  local file
  for file in "$S"/pid/*; do alive "${file##*/}" && return 0; done
  return 1
}

# run NAME COMMAND...: in a session and process group of its own, output to $S/log/NAME.log. Does nothing when it is up.
run() {
  local name=$1 pid
  shift
  LAST=$name
  if alive "$name"; then say "  $name already up"; return 0; fi
  # 9 is our lock: a server must not hold it for us.
  setsid "$@" >>"$S/log/$name.log" 2>&1 </dev/null 9>&- &
  pid=$!
  sleep 0.05 # setsid forks only when it must; give it the time to become the command
  printf '%s %s\n%s\n' "$pid" "$(stat_field "$pid" 20)" "$CURRENT" >"$S/pid/$name"
  disown "$pid" 2>/dev/null || true
}

component_of() { sed -n 2p "$S/pid/$1" | grep . || say "$1"; }

# Asks a whole group to end; SIGCONT first, because a stalled process cannot act on SIGTERM.
ask_to_end() {
  alive "$1" || return 0
  kill -CONT -- "-$PID" 2>/dev/null
  kill -TERM -- "-$PID" 2>/dev/null
}

end_process() { # NAME: SIGTERM, five seconds of patience, SIGKILL
  local name=$1 _
  [ -s "$S/pid/$name" ] || return 0
  ask_to_end "$name"
  for _ in $(seq 100); do alive "$name" || break; sleep 0.05; done
  alive "$name" && kill -KILL -- "-$PID" 2>/dev/null
  # The leader is gone; helpers of its group may not be. The group id stays ours as long as one of them lives.
  [ -n "$TICKS" ] && kill -0 -- "-$PID" 2>/dev/null && kill -KILL -- "-$PID" 2>/dev/null
  rm -f "$S/pid/$name"
}

# end_processes leaning|any: all of them together, so that the waits overlap. "leaning" are those of components that stand on another.
end_processes() {
  local file name chosen=""
  for file in "$S"/pid/*; do
    [ -e "$file" ] || continue
    name=${file##*/}
    [ "$1" = leaning ] && [ -z "${AFTER[$(component_of "$name")]:-}" ] && continue
    chosen="$chosen $name"
  done
  for name in $chosen; do ask_to_end "$name"; done
  for name in $chosen; do end_process "$name"; done
}

signal_process() { # SIGNAL NAME
  alive "$2" || die "$2 is not up"
  kill "-$1" -- "-$PID"
}

report_dead() { # COMPONENTS: complains about processes of these that have ended
  local file name
  for file in "$S"/pid/*; do
    [ -e "$file" ] || continue
    name=${file##*/}
    case " $1 " in *" $(component_of "$name") "*) ;; *) continue ;; esac
    alive "$name" || fail "$name has ended, see $S/log/$name.log: $(tail -n 1 "$S/log/$name.log" 2>/dev/null)"
  done
}

describe_process() { # NAME: one line; fails when it has ended
  local state=up
  if ! alive "$1"; then printf '%-12s ENDED\n' "$1"; return 1; fi
  [ "$(stat_field "$PID" 1)" = T ] && state=stalled
  printf '%-12s %-8s pid %-7s %7s KiB  %s\n' "$1" "$state" "$PID" "$(awk '/VmRSS/ { print $2 }' "/proc/$PID/status")" \
    "$(tr '\0' ' ' <"/proc/$PID/cmdline" | cut -c1-90)"
}

wait_tcp() { # PORT...: until something listens there, at most 10 s each; gives up early when the process just started has ended
  local port _
  for port in "$@"; do
    for _ in $(seq 200); do
      (exec 3<>"/dev/tcp/$A/$port") 2>/dev/null && continue 2
      alive "$LAST" || break
      sleep 0.05
    done
    fail "nothing listens on $A:$port, see $S/log/$LAST.log"
  done
}

wait_for() { # SECONDS COMMAND...: until it succeeds
  local seconds=$1 _
  shift
  for _ in $(seq $((seconds * 10))); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done
  fail "still not true after ${seconds} s: $*"
}
