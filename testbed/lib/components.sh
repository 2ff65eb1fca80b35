# components.sh: the table of components, and walking it. Knows no server by name.
# shellcheck shell=bash disable=SC2034 # the columns of the table are read by name, through all_of

COMPONENTS=()
declare -A KIND=() AFTER=() FILES=() PACKAGES=()

# component NAME [kind=core|extra] [after="NAME..."] [files="certs media www"] [packages="..."]
#   after   components that must listen before this one starts
#   files   what make_files prepares for it: certs (lib/certs.sh), media and www (lib/media.sh)
# Functions by the same name, with - written as _:
#   start_NAME     calls `run`, then waits for its ports (required)
#   ready_NAME     waits until it is of use to a test, for example until a first segment is written
#   stopping_NAME, stopped_NAME   around the end of all processes
component() {
  local name=$1 field
  shift
  COMPONENTS+=("$name")
  KIND[$name]=extra AFTER[$name]="" FILES[$name]="" PACKAGES[$name]=""
  for field in "$@"; do
    case $field in
      kind=*) KIND[$name]=${field#*=} ;;
      after=*) AFTER[$name]=${field#*=} ;;
      files=*) FILES[$name]=${field#*=} ;;
      packages=*) PACKAGES[$name]=${field#*=} ;;
      *) die "component $name: no such field: $field" ;;
    esac
  done
}

known() { [ -n "${KIND[$1]:-}" ] || die "no component '$1'; there are: ${COMPONENTS[*]}"; }

# The named components and all they stand on, each once, in an order in which they can start.
closure() {
  local -A seen=()
  local -a order=()
  visit() {
    local name
    for name in "$@"; do
      [ -n "${seen[$name]:-}" ] && continue
      seen[$name]=1
      # shellcheck disable=SC2086
      visit ${AFTER[$name]}
      order+=("$name")
    done
  }
  visit "$@"
  say "${order[*]:-}"
}

# all_of FIELD NAMES: the words of one field of several components.
all_of() {
  local -n field=$1
  local name
  for name in $2; do say "${field[$name]}"; done
}

make_files() {
  local wanted
  wanted=" $(all_of FILES "$1" | tr '\n' ' ') "
  case $wanted in *" certs "*) make_certs ;; esac
  case $wanted in *" media "* | *" www "*) make_media ;; esac
  case $wanted in *" www "*) make_www ;; esac
}

start_component() { CURRENT=$1; "start_${1//-/_}"; }

ready_component() {
  local function=ready_${1//-/_}
  declare -F "$function" >/dev/null || return 0
  "$function"
}

# hook stopping|stopped: runs those functions of all components that have one.
hook() {
  local name
  for name in "${COMPONENTS[@]}"; do
    declare -F "${1}_${name//-/_}" >/dev/null && "${1}_${name//-/_}"
  done
  return 0
}
