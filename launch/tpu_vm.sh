#!/usr/bin/env bash
# rdc train on every worker of a TPU VM pod, or on a single TPU VM.
#
#   TPU=my-pod ZONE=us-east5-b launch/tpu_vm.sh [--dry-run] [--install] \
#       --config CONFIG [key=value ...]
#   TPU=my-pod ZONE=us-east5-b launch/tpu_vm.sh [--dry-run] --stop
#
# --install first copies HEAD of this repository to the workers and installs it there with uv, which
# brings its own Python: the images of TPU VMs have an older one. CONFIG is a path inside the
# repository. Data and workdir must be paths that all workers share, such as gs://BUCKET/runs/a. The
# workers' own disks are not shared. Ctrl-C ends only the connection; --stop makes the run save and
# end.
set -euo pipefail

TPU="${TPU:-rdc}"
ZONE="${ZONE:-us-east5-b}"
PROJECT="${PROJECT:-}"           # "": the default of gcloud
FOLDER="${FOLDER:-rdc_jax}"      # on the workers, below their home folder
PYTHON="${PYTHON:-3.12}"         # version for uv, 3.11 or newer
CHIP="${CHIP:-v5e}"              # v5e, v5p, v6e or tpu7x, for flags.sh
SLICES="${SLICES:-1}"

dry_run=false install=false stop=false
while true; do
    case "${1:-}" in
    --dry-run) dry_run=true ;;
    --install) install=true ;;
    --stop) stop=true ;;
    *) break ;;
    esac
    shift
done
if (($# == 0)) && ! "$stop"; then
    echo "usage: $0 [--dry-run] [--install] --config CONFIG [key=value ...] | --stop" >&2
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

where=(--zone="$ZONE" --worker=all)
if [[ -n "$PROJECT" ]]; then where+=(--project="$PROJECT"); fi

if "$stop"; then # the brackets keep pkill from matching its own shell
    run gcloud compute tpus tpu-vm ssh "$TPU" "${where[@]}" --command="pkill -TERM -f '[r]dc train'"
    exit
fi

if "$install"; then
    archive=rdc_jax.tar.gz
    run git archive --format=tar.gz --prefix="$FOLDER/" --output="/tmp/$archive" HEAD
    run gcloud compute tpus tpu-vm scp "/tmp/$archive" "$TPU:$archive" "${where[@]}"
    run gcloud compute tpus tpu-vm ssh "$TPU" "${where[@]}" \
        --command="tar -xzf $archive && cd $FOLDER && PATH=\"\$HOME/.local/bin:\$PATH\" && \
{ command -v uv >/dev/null || curl -LsSf https://astral.sh/uv/install.sh | sh; } && \
uv venv --quiet --clear --python $PYTHON .venv && uv pip install --quiet -e '.[tpu,gcs]'"
fi

flags="$(SLICES="$SLICES" "$(dirname "$0")/flags.sh" "$CHIP")"
train="$(printf ' %q' rdc train "$@")"
run gcloud compute tpus tpu-vm ssh "$TPU" "${where[@]}" \
    --command="cd $FOLDER && PATH=\"\$PWD/.venv/bin:\$PATH\" $flags RDC_DISTRIBUTED=auto$train"
