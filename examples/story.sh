#!/bin/sh
# The newcomer's first minute: a grid, better words, one seed at four ages; made again and compared; how we got here.
#   sh examples/story.sh [promptlab [WORKSPACE]]
set -eu
promptlab=${1:-promptlab}
PROMPTLAB_WORKSPACE=${2:-.}
export PROMPTLAB_WORKSPACE
tell() { printf '\n$ promptlab'; for word; do case $word in *[!A-Za-z0-9._/+-]*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac; done; printf '\n'; "$promptlab" "$@"; }

tell run "portrait photo of a old warrior chief" --seeds 0-7 --scheduler dpmsolver++ --steps 20 \
  --guidance 5 --experiment warrior
tell rerun last --append ", tribal panther make up, blue on red, side profile, looking away, serious eyes" \
  --append " 50mm portrait photography, hard rim lighting photography--beta --ar 2:3  --beta --upbeta"
tell rerun last --seed 1 --steps 25 --replace "a old=>{the oldest|a old|a|a young}"
tell verify last
tell tree
tell list
printf '\nThe pictures are in %s/images. To browse them, type:\n\n    %s ui --workspace %s --open\n\n' \
  "$PROMPTLAB_WORKSPACE" "$promptlab" "$PROMPTLAB_WORKSPACE"
