#!/usr/bin/env bash
# rdc train on the GPU nodes of a SLURM cluster, one process per GPU.
#
#   NODES=4 launch/slurm_gpu.sh [--dry-run] --config CONFIG [key=value ...]
#
# Submits itself as a job that runs in the current folder and environment. Start it where `rdc`
# works, with CONFIG and the data on a shared file system. SLURM sends SIGTERM two minutes before
# the time limit. The run then saves, exits with code 75, and the job is queued again. SLURM itself
# queues the job again after a preemption or a node failure. A cancelled job does not run again.
set -euo pipefail

NODES="${NODES:-1}"
GPUS_PER_NODE="${GPUS_PER_NODE:-8}"
CPUS_PER_GPU="${CPUS_PER_GPU:-8}"
TIME="${TIME:-24:00:00}"
SBATCH_OPTIONS="${SBATCH_OPTIONS:-}" # such as "--partition=gpu --account=me", split at spaces

dry_run=false
if [[ "${1:-}" == --dry-run ]]; then
    dry_run=true
    shift
fi
if (($# == 0)); then
    echo "usage: $0 [--dry-run] --config CONFIG [key=value ...]" >&2
    exit 2
fi

run() {
    if "$dry_run"; then
        printf '%q ' "$@"
        echo
    else
        "$@"
    fi
}

if [[ -z "${RDC_INSIDE_JOB:-}" ]]; then
    read -ra more <<<"$SBATCH_OPTIONS"
    # SLURM runs a copy of this script, which is not beside flags.sh.
    launch="$(cd "$(dirname "$0")" && pwd)"
    run sbatch --job-name=rdc-train --nodes="$NODES" --ntasks-per-node="$GPUS_PER_NODE" \
        --gpus-per-node="$GPUS_PER_NODE" --cpus-per-task="$CPUS_PER_GPU" --time="$TIME" \
        --signal=TERM@120 --requeue --open-mode=append \
        --export=ALL,RDC_INSIDE_JOB=1,RDC_LAUNCH="$launch",RDC_DISTRIBUTED=auto \
        ${more[@]+"${more[@]}"} "$0" "$@"
    if ! "$dry_run"; then exit; fi
fi

# From here on, the script runs inside the job. --signal=TERM reaches the processes of srun, not
# this shell. The shell gets SIGTERM only if the job is cancelled or preempted. Every process sees
# all GPUs of its node, and JAX uses the one of its local rank. Processes that still run two minutes
# after one has ended are killed, because they would have noticed by then.
flags="$("${RDC_LAUNCH:-$(dirname "$0")}/flags.sh" gpu)"
eval "export $flags"
cancelled=false code=0
trap 'cancelled=true' TERM
run srun --wait=120 --cpus-per-task="$CPUS_PER_GPU" --gpu-bind=none --label \
    rdc train "$@" || code=$?
if "$dry_run" || { ((code == 75)) && ! "$cancelled"; }; then
    run scontrol requeue "${SLURM_JOB_ID:-JOB}"
fi
exit "$code"
