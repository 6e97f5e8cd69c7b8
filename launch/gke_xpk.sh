#!/usr/bin/env bash
# rdc train on the TPU slices of a GKE cluster, through XPK.
#
#   CLUSTER=my-cluster IMAGE=... launch/gke_xpk.sh [--dry-run] --config CONFIG [key=value ...]
#
# IMAGE contains `rdc` with the extras `tpu` and `gcs`, and CONFIG in its working folder, see
# launch/Dockerfile. Data and workdir are paths that all pods share, such as gs://BUCKET/runs/a. Pods
# that were preempted (exit code 75), lost another pod (69) or crashed are restarted up to RESTARTS
# times and continue from the last checkpoint. An error that the user must fix (2) ends the workload.
set -euo pipefail

CLUSTER="${CLUSTER:-rdc}"
ZONE="${ZONE:-us-east5-b}"
PROJECT="${PROJECT:-}"              # "": the default of gcloud
TPU_TYPE="${TPU_TYPE:-v5litepod-256}"
SLICES="${SLICES:-1}"
IMAGE="${IMAGE:-rdc_jax:latest}"
WORKLOAD="${WORKLOAD:-rdc-train}"
RESTARTS="${RESTARTS:-10}"

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

where=(--cluster="$CLUSTER" --zone="$ZONE")
if [[ -n "$PROJECT" ]]; then where+=(--project="$PROJECT"); fi

# XPK runs the command in a subshell. Without exec, SIGTERM would end the subshell, not reach rdc.
flags="$(SLICES="$SLICES" "$(dirname "$0")/flags.sh" "$TPU_TYPE")"
train="$(printf ' %q' rdc train "$@")"
run xpk workload create --workload="$WORKLOAD" "${where[@]}" \
    --tpu-type="$TPU_TYPE" --num-slices="$SLICES" --docker-image="$IMAGE" \
    --max-restarts="$RESTARTS" --restart-on-exit-codes=69,75 \
    --termination-grace-period-seconds=120 --command="$flags RDC_DISTRIBUTED=auto exec$train"
