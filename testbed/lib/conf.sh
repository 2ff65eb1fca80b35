# conf.sh: configuration files from the templates in conf/. @STATE@ becomes the state folder, @ADDR@ the loopback address.
# shellcheck shell=bash

render_text() { # TEMPLATE: to standard output
  local text
  text=$(cat "$1") || die "no template $1"
  text=${text//@STATE@/"$S"}
  say "${text//@ADDR@/"$A"}"
}

# render NAME: conf/NAME.in to $S/conf/NAME, and prints where it stands.
render() {
  render_text "$HERE/conf/$1.in" >"$S/conf/$1" || die "cannot write $S/conf/$1"
  say "$S/conf/$1"
}
