# packages.sh: Debian packages of the chosen components. Calls apt-get only when one is missing.
# shellcheck shell=bash

# What the scripts themselves call.
BASE_PACKAGES="curl jq openssl iproute2 util-linux procps ffmpeg"

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || say "$package"
  done
}

# A package must not start its own service: the ports, the files and the life span are ours. policy-rc.d is Debian's switch
# for that. It stands only while apt-get runs, and one that is already there is left alone.
apt_install() {
  local policy=/usr/sbin/policy-rc.d made=0 result=0
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null && as_root chmod 755 $policy && made=1
  fi
  as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" || result=1
  [ $made = 1 ] && as_root rm -f $policy
  return $result
}

install_packages() { # COMPONENTS
  [ "${TESTBED_INSTALL:-1}" = 0 ] && return 0
  local missing
  # shellcheck disable=SC2046,SC2086
  missing=$(missing_packages $BASE_PACKAGES $(all_of PACKAGES "$1") | sort -u | tr '\n' ' ')
  [ -z "$missing" ] && return 0
  say "  installing: $missing"
  # shellcheck disable=SC2086
  apt_install $missing >>"$S/log/apt.log" 2>&1 </dev/null || die "packages could not be installed, see $S/log/apt.log"
}
