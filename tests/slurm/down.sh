#!/bin/sh
# Stops what up.sh started in DIR, by its pid files.
dir=$(realpath -m "$1")
export SLURM_CONF="$dir/slurm.conf"
scancel --user "$(id -un)" 2> /dev/null
for name in slurmd slurmctld munged; do
  [ -s "$dir/run/$name.pid" ] && kill "$(cat "$dir/run/$name.pid")"
done
exit 0
