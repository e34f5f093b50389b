#!/bin/sh
# Stops what up.sh started in DIR, by its pid files.
dir=$(realpath -m "$1")
export SLURM_CONF="$dir/slurm.conf"
scancel --user "$(id -un)" 2> /dev/null
for name in slurmd slurmctld munged; do
  pid=$(cat "$dir/run/$name.pid" 2> /dev/null) || continue
  kill "$pid"
  # slurmd waits for its jobs, which may be in no hurry.
  for _ in $(seq 40); do
    kill -0 "$pid" 2> /dev/null || break
    sleep 0.25
  done
  kill -KILL "$pid" 2> /dev/null
done
exit 0
