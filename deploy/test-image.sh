#!/usr/bin/env bash
# deploy/test-image.sh [BINARY]: builds the image around a binary and sees it live, on the testbed's own Docker engine.
#
# BINARY defaults to target/release/streampulse. Needs root: debootstrap makes the base (nothing has to be pulled from a
# registry, only Debian's mirror is asked, once), and the engine is the testbed's. Containers have no network but their own
# loopback interface. Removes its containers and volume; keeps the base image in $TESTBED_DIR for the next run.

set -eu -o pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."

BINARY=${1:-target/release/streampulse}
export TESTBED_DIR=${TESTBED_DIR:-$PWD/target/testbed}
export DOCKER_HOST=unix://$TESTBED_DIR/docker/docker.sock
export DOCKER_BUILDKIT=0 # the engine's own builder: Debian ships no other
BASE=testbed/bookworm:1
IMAGE=testbed/streampulse:test
NAME=streampulse-image-test
VOLUME=streampulse-image-test
HEALTHY_WITHIN_S=60
STOPS_WITHIN_S=30

SCRATCH=$(mktemp -d)
OURS=0 # 1 when the engine was started here

say() { printf '%s\n' "$*"; }
die() {
  say "test-image: $*" >&2
  docker logs --tail 40 "$NAME" >&2 2>/dev/null || true
  exit 1
}

finish() {
  docker rm -f "$NAME" >/dev/null 2>&1 || true
  docker volume rm "$VOLUME" >/dev/null 2>&1 || true
  [ $OURS = 0 ] || testbed/testbed.sh kill docker
  rm -rf "$SCRATCH"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---------------------------------------------------------------- engine, base, image

engine() {
  docker version >/dev/null 2>&1 || OURS=1
  testbed/testbed.sh up docker
}

base() {
  docker image inspect "$BASE" >/dev/null 2>&1 && return
  local tar=$TESTBED_DIR/bookworm.tar
  if [ ! -s "$tar" ]; then
    command -v debootstrap >/dev/null || apt-get install -y -q --no-install-recommends debootstrap >/dev/null
    say "making a Debian base"
    debootstrap --variant=minbase --include=ca-certificates bookworm "$SCRATCH/root" >"$SCRATCH/debootstrap.log" 2>&1 \
      || die "debootstrap: $(tail -n 3 "$SCRATCH/debootstrap.log")"
    # Package lists and archives are of no use in an image; devices cannot be imported everywhere.
    tar -C "$SCRATCH/root" --exclude=./var/lib/apt/lists/* --exclude=./var/cache/apt/archives/*.deb --exclude=./dev/* -cf "$tar.part" .
    mv "$tar.part" "$tar"
  fi
  docker import "$tar" "$BASE" >/dev/null
}

image() {
  [ -x "$BINARY" ] || die "no binary $BINARY: cargo build --release"
  mkdir "$SCRATCH/context"
  install -m 0755 "$BINARY" "$SCRATCH/context/streampulse"
  docker build --quiet --network none --target prebuilt --build-arg BASE="$BASE" -t "$IMAGE" -f deploy/Dockerfile "$SCRATCH/context" >/dev/null
}

# ---------------------------------------------------------------- looking at it

start() {
  docker rm -f "$NAME" >/dev/null 2>&1 || true
  # As in compose.yaml. Only the health check is asked sooner than in real life, so that the test need not wait for it.
  docker run -d --name "$NAME" --network none --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
    --health-interval 1s --health-start-period 0s -v "$VOLUME:/host" "$IMAGE" >/dev/null
}

health() { docker inspect -f '{{.State.Health.Status}}' "$NAME"; }

wait_healthy() {
  local deadline=$((SECONDS + HEALTHY_WITHIN_S))
  until [ "$(health)" = healthy ]; do
    [ "$(docker inspect -f '{{.State.Running}}' "$NAME")" = true ] || die "it ended before it was healthy"
    [ $SECONDS -lt $deadline ] || die "not healthy after $HEALTHY_WITHIN_S s: $(docker inspect -f '{{json .State.Health.Log}}' "$NAME")"
    sleep 0.5
  done
}

inside() { docker exec "$NAME" "$@"; }

# get PORT PATH: the status line of an answer, asked from inside. The base has no curl, but bash can open a socket.
get() {
  # shellcheck disable=SC2016
  inside bash -c 'exec 3<>/dev/tcp/127.0.0.1/$0; printf "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n" "$1" >&3; head -n 1 <&3' "$1" "$2" | tr -d '\r'
}

expect() { # WHAT ACTUAL EXPECTED-PATTERN
  # shellcheck disable=SC2254
  case $2 in $3) say "ok  $1: $2" ;; *) die "$1: is '$2', expected '$3'" ;; esac
}

stop() {
  local started=$SECONDS
  docker stop --time "$STOPS_WITHIN_S" "$NAME" >/dev/null
  expect "exit code after SIGTERM" "$(docker inspect -f '{{.State.ExitCode}}' "$NAME")" 0
  expect "seconds to stop" "$((SECONDS - started))" "[0-9]"
}

sum() { inside sha256sum /host/config.yaml | cut -d' ' -f1; }

engine
base
image
expect "image size in MB" "$(($(docker image inspect -f '{{.Size}}' "$IMAGE") / 1000000))" "[0-9]*"
docker volume rm "$VOLUME" >/dev/null 2>&1 || true

say "-- an empty volume"
start
wait_healthy
expect "health" "$(health)" healthy
expect "user" "$(inside id -u)" 10001
expect "default config.yaml" "$(inside sh -c 'test -s /host/config.yaml && echo made')" made
expect "history" "$(inside sh -c 'test -s /host/streams.db && echo made')" made
expect "dashboard port" "$(get 8000 /healthz)" "HTTP/1.? 200*"
expect "status port" "$(get 7000 /api/status)" "HTTP/1.? 200*"
config=$(sum)
stop

say "-- the same volume again"
start
wait_healthy
expect "config.yaml after a restart" "$(sum)" "$config"
stop

say "-- a folder of StreamPulse 2.x that belongs to root, as compose prepares it"
old=$SCRATCH/host
mkdir -m 0755 "$old"
printf 'heartbeat_seconds: 15\ntimezone: Europe/Zurich\nstreams:\n- name: Gate\n  url: rtsp://u:p@127.0.0.1:1/s1\n' >"$old/config.yaml"
docker run --rm --network none --read-only --cap-drop ALL --cap-add CHOWN --cap-add DAC_READ_SEARCH --security-opt no-new-privileges \
  --user 0:0 --entrypoint /bin/chown -v "$old:/host" "$IMAGE" -R 10001:10001 /host
VOLUME=$old start
wait_healthy
expect "the 2.x stream is watched" "$(inside bash -c 'exec 3<>/dev/tcp/127.0.0.1/7000; printf "GET /api/status HTTP/1.0\r\nHost: localhost\r\n\r\n" >&3; tail -n 1 <&3')" '*"Gate"*'
expect "the 2.x file is as it was" "$(head -n 1 "$old/config.yaml")" "heartbeat_seconds: 15"
stop

say "the image is good"
