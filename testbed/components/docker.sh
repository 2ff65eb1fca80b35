# docker.sh: a Docker engine of our own on a socket in the state folder, with one small image. No bridge, no firewall rules,
# no route: its containers have the loopback interface and nothing else. Needs root.
# shellcheck shell=bash

component docker packages="docker.io busybox-static"

engine() { curl -fsS --unix-socket "$S/docker/docker.sock" "$@"; }

start_docker() {
  [ "$(id -u)" = 0 ] || { fail "component docker needs root"; return; }
  mkdir -p "$S/docker"
  run docker dockerd -H "unix://$S/docker/docker.sock" --data-root "$S/docker/data" --exec-root "$S/docker/exec" \
    -p "$S/docker/dockerd.pid" --storage-driver vfs --bridge=none --iptables=false --ip6tables=false --ip-forward=false \
    --ip-masq=false --userland-proxy=false --log-level warn
}

ready_docker() {
  wait_for 20 engine "http://d/_ping" || return
  engine -o /dev/null "http://d/v1.41/images/testbed/busybox:1/json" 2>/dev/null && return
  busybox_root
  engine -o /dev/null -X POST -H 'Content-Type: application/x-tar' --data-binary "@$S/rootfs.tar" \
    "http://d/v1.41/images/create?fromSrc=-&repo=testbed/busybox&tag=1" || fail "the image testbed/busybox could not be imported"
}

busybox_root() { # nothing can be pulled, so the image is made of one static binary
  local root=$S/rootfs applet
  mkdir -p "$root/bin" "$root/tmp"
  cp -f /bin/busybox "$root/bin/busybox"
  for applet in sh sleep echo cat date ls ps httpd wget kill true false seq dd; do ln -sf busybox "$root/bin/$applet"; done
  tar -C "$root" -cf "$S/rootfs.tar" .
}

stopping_docker() { # all containers of this engine are ours
  local id
  alive docker || return 0
  for id in $(engine "http://d/v1.41/containers/json?all=1" 2>/dev/null | jq -r '.[].Id'); do
    engine -o /dev/null -X DELETE "http://d/v1.41/containers/$id?force=1&v=1"
  done
}

stopped_docker() { # the engine leaves its network namespace mounted
  local mount=$S/docker/exec/netns/default
  mountpoint -q "$mount" 2>/dev/null && umount "$mount"
  return 0
}
