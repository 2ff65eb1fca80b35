# icecast.sh: internet radio: MP3, Opus in Ogg, and a mount that asks for a password.
# shellcheck shell=bash

component icecast kind=core packages="icecast2 media-types"
start_icecast() {
  printf 'viewer:%s\n' "$(printf s3cret | md5sum | cut -d' ' -f1)" >"$S/conf/icecast.users"
  mkdir -p "$S/icelog" && chmod 777 "$S/icelog" # icecast gives up root before it opens its logs
  run icecast icecast2 -c "$(render icecast.xml)"
  wait_tcp 18000
}

component ice-src kind=core after=icecast files=media
start_ice_src() {
  local server=icecast://source:hackme@$A:18000
  play tone.mp3
  run ice-mp3 "${FEED[@]}" -c copy -content_type audio/mpeg -ice_name "Tone FM" -ice_genre test -f mp3 "$server/tone.mp3"
  run ice-mem "${FEED[@]}" -c copy -content_type audio/mpeg -f mp3 "$server/members.mp3"
  play tone.opus.ogg
  run ice-ogg "${FEED[@]}" -c copy -content_type application/ogg -f ogg "$server/tone.ogg"
}
ready_ice_src() {
  local mount
  for mount in tone.mp3 tone.ogg; do wait_for 15 plays "http://$A:18000/$mount"; done
}
# An endless answer: curl ends by its time limit (28) after it wrote the first bytes.
plays() { [ "$(curl -sf -m 2 "$1" | head -c 16 | wc -c)" = 16 ]; }
