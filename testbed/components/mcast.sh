# mcast.sh: multicast, inside a network namespace of our own so that no packet can leave it. Needs root.
# Look at it with `ip netns exec testbed ...`.
# shellcheck shell=bash

component mcast files=media
start_mcast() {
  [ "$(id -u)" = 0 ] || { fail "component mcast needs root"; return; }
  if ! ip netns list 2>/dev/null | grep -qw testbed; then ip netns add testbed && : >"$S/netns.made"; fi
  ip -n testbed link set lo up
  ip -n testbed link set lo multicast on
  ip -n testbed route replace 239.0.0.0/8 dev lo
  play h264_360p.mp4
  run mcast ip netns exec testbed "${FEED[@]}" -c copy -f mpegts "udp://239.255.42.1:18512?$TS_PACKETS&ttl=1"
}
stopped_mcast() {
  [ -e "$S/netns.made" ] || return 0
  ip netns del testbed 2>/dev/null && rm -f "$S/netns.made"
}
