#!/usr/bin/env bash
# rdc train on the GPU nodes of a SLURM cluster, one process per GPU.
#
#   NODES=4 launch/slurm_gpu.sh [--dry-run] --config CONFIG [key=value ...]
#
# Submits itself as a job that runs in the present folder and environment, so start it where
# `rdc` works and CONFIG and the data are on a shared file system. SLURM sends SIGTERM two minutes
# before the time limit; the same command then goes on from the last checkpoint.
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

# All GPUs of a node are visible to its processes; JAX takes the one of its local rank.
step=(srun --kill-on-bad-exit=1 --cpus-per-task="$CPUS_PER_GPU" --gpu-bind=none --label
    rdc train "$@")
read -ra more <<<"$SBATCH_OPTIONS"
if [[ -z "${RDC_INSIDE_JOB:-}" ]]; then
    run sbatch --job-name=rdc-train --nodes="$NODES" --ntasks-per-node="$GPUS_PER_NODE" \
        --gpus-per-node="$GPUS_PER_NODE" --cpus-per-task="$CPUS_PER_GPU" --time="$TIME" \
        --signal=TERM@120 --export=ALL,RDC_INSIDE_JOB=1,RDC_DISTRIBUTED=auto \
        ${more[@]+"${more[@]}"} "$0" "$@"
    if ! "$dry_run"; then exit; fi
fi
run "${step[@]}"
