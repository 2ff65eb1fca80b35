#!/usr/bin/env bash
# testbed.sh: real servers on fixed loopback ports, for the tests of a program that watches streams.
#
#   up [COMPONENT...]   start everything (core plus $TESTBED_WITH), or only the named components and what they stand on
#   down                end what was started here, and nothing else
#   status              one line per process; exit 0 all alive, 1 something ended, 3 nothing was started
#   restart [...]       down, then up
#   stall NAME          freeze a process (SIGSTOP): sockets stay open, nothing moves
#   resume NAME         let it run again
#   kill NAME           end one process; `start` of its component brings it back
#   start COMPONENT     start one component of a testbed that is already set up
#   urls                everything there is to watch
#   list                the components, what they stand on and whether they belong to the core
#
#   TESTBED_DIR         folder for the state: logs, pid files, certificates, media (required)
#   TESTBED_WITH        extra components for a plain `up`: names, or "all"
#   TESTBED_INSTALL=0   never call apt-get
#
# Every component is one block in components/*.sh (see README.md for its form). What must hold everywhere: a signal goes
# only to a process whose pid AND start time were recorded by us, and nothing listens outside the loopback interface.

set -u
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
PATH=$PATH:/usr/sbin:/sbin # servers live there; an ordinary user's PATH may lack it

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
S=${TESTBED_DIR:?set TESTBED_DIR to a folder for the state}
# shellcheck disable=SC2034 # the parts below use it
A=127.0.0.1
FAILED=0 # becomes 1 when a wait gives up; the verb goes on and reports it at the end

say() { printf '%s\n' "$*"; }
die() { say "testbed: $*" >&2; exit 1; }
fail() { say "  ! $*"; FAILED=1; return 1; }

# shellcheck disable=SC1090
for part in "$HERE"/lib/*.sh "$HERE"/components/*.sh; do . "$part"; done

# Takes the state folder for this command alone. The lock is a file descriptor, so it ends with us however we end.
lock() {
  mkdir -p "$S/log" "$S/pid" "$S/conf" || die "cannot write to $S"
  chmod 755 "$S"
  S=$(cd "$S" && pwd)
  exec 9>"$S/lock"
  flock -w 300 9 || die "another testbed command holds $S/lock for more than 300 s"
}

# The components of a plain `up`.
default_set() {
  local name with=${TESTBED_WITH:-}
  for name in "${COMPONENTS[@]}"; do
    case " $with " in *" all "* | *" $name "*) say "$name"; continue ;; esac
    [ "${KIND[$name]}" = core ] && say "$name"
  done
  return 0
}

verb_up() {
  local chosen name
  local -a names
  for name in "$@" ${TESTBED_WITH:-}; do [ "$name" = all ] || known "$name"; done
  lock
  names=("$@")
  [ $# = 0 ] && mapfile -t names < <(default_set)
  chosen=$(closure "${names[@]}")
  install_packages "$chosen"
  make_files "$chosen"
  for name in $chosen; do start_component "$name"; done
  for name in $chosen; do ready_component "$name"; done
  report_dead "$chosen"
  say "testbed: $(find "$S/pid" -type f | wc -l) processes, state in $S, $([ $FAILED = 0 ] && echo ok || echo NOT ALL UP)"
  return $FAILED
}

verb_start() {
  known "$1"
  [ -d "$S/pid" ] || die "nothing is set up in $S: use up"
  lock
  make_files "$1"
  start_component "$1"
  ready_component "$1"
  return $FAILED
}

verb_down() {
  [ -d "$S/pid" ] || { say "testbed: nothing to end"; return 0; }
  lock
  hook stopping
  # Whatever leans on a server goes before the server: otherwise publishers log a broken connection as their last word.
  end_processes leaning
  end_processes any
  hook stopped
  say "testbed: down"
}

verb_status() {
  [ -d "$S/pid" ] || { say "testbed: down (no $S)"; return 3; }
  local file any=0 bad=0
  for file in "$S"/pid/*; do
    [ -e "$file" ] || continue
    any=1
    describe_process "${file##*/}" || bad=1
  done
  [ $any = 1 ] || { say "testbed: down"; return 3; }
  return $bad
}

verb_urls() {
  [ -d "$S" ] && S=$(cd "$S" && pwd)
  render_text "$HERE/conf/urls.txt.in"
}

verb_list() {
  local name
  for name in "${COMPONENTS[@]}"; do printf '%-12s %-6s %s\n' "$name" "${KIND[$name]}" "${AFTER[$name]:+stands on ${AFTER[$name]}}"; done
}

usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

verb=${1:-}
[ $# = 0 ] || shift
case $verb in
  up) verb_up "$@" ;;
  down) verb_down ;;
  restart) (verb_down) && verb_up "$@" ;;
  status) verb_status ;;
  start) verb_start "${1:?which component}" ;;
  stall) signal_process STOP "${1:?which process}" ;;
  resume) signal_process CONT "${1:?which process}" ;;
  kill) end_process "${1:?which process}" ;;
  urls) verb_urls ;;
  list) verb_list ;;
  help | -h | --help) usage ;;
  *) usage >&2; exit 2 ;;
esac
