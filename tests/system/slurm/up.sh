#!/bin/sh
# A SLURM cluster of this one machine, for tests: loopback only, no systemd, everything in one folder.
#   apt-get install --no-install-recommends slurm-wlm munge
#   tests/slurm/up.sh DIR CPUS    starts it; SLURM_CONF=DIR/slurm.conf and DIR/bin before the PATH use it
#   tests/slurm/down.sh DIR       stops it
# It belongs to the user who starts it. GPUs are /dev/null: enough to see that they are asked for.
set -eu
dir=$(realpath -m "$1"); cpus=$2; host=$(hostname -s); user=$(id -un); port=${SLURM_TEST_PORT:-16917}
PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$dir/state" "$dir/spool" "$dir/log" "$dir/run" "$dir/bin"
chmod 755 "$dir" "$dir/run" "$dir/log"
(umask 077; head -c 1024 /dev/urandom > "$dir/munge.key")
cat > "$dir/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$dir/run/munge.socket
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SchedulerParameters=batch_sched_delay=0,sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
EnforcePartLimits=ALL
MinJobAge=3600
KillWait=20
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=16000 Gres=gpu:1 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
echo "NodeName=$host Name=gpu Count=1 File=/dev/null" > "$dir/gres.conf"
# The job steps of Snakemake's plugin drop SLURM_CONF before they call srun.
printf '#!/bin/sh\nSLURM_CONF=%s/slurm.conf exec /usr/bin/srun "$@"\n' "$dir" > "$dir/bin/srun"
chmod +x "$dir/bin/srun"
export SLURM_CONF="$dir/slurm.conf"
munged --key-file="$dir/munge.key" --socket="$dir/run/munge.socket" --pid-file="$dir/run/munged.pid" \
  --log-file="$dir/log/munged.log" --seed-file="$dir/run/munged.seed" --force
slurmctld -c
slurmd -c
for _ in $(seq 80); do
  sinfo -h -o %t 2> /dev/null | grep -q idle && exit 0
  sleep 0.25
done
echo "the node did not come up; see $dir/log" >&2
exit 1
