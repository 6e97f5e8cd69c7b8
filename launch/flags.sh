#!/usr/bin/env bash
# Prints the variables that libtpu, XLA and NCCL should have on a chip, quoted for a shell.
#
#   launch/flags.sh CHIP              v5e, v5p, v6e, tpu7x or gpu; also v5litepod-256, v6e-64, ...
#   SLICES=2 launch/flags.sh v5e      several slices
#   eval "export $(launch/flags.sh gpu)" && rdc train ...
#
# The other scripts use it. Flags of your own in LIBTPU_INIT_ARGS or XLA_FLAGS come last, so they
# count. Unknown flags end a process at its start, so every flag here exists in libtpu 0.0.42 and
# jaxlib 0.10.2; tests/test_launch.py asks them. None has been measured on a pod with this program.
set -euo pipefail

chip="${1:-}"
SLICES="${SLICES:-1}"

flags=() variables=()
case "$chip" in
v5e* | v5lite* | v5p* | v6e* | tpu7x*)
    # With mesh.fsdp, kernels are gathered before their use. Fuse these gathers with the products
    # that do not need them yet, over several steps of the ring, so that they cost no time.
    flags+=(
        --xla_enable_async_all_gather=true
        --xla_tpu_enable_async_collective_fusion=true
        --xla_tpu_enable_async_collective_fusion_fuse_all_gather=true
        --xla_tpu_enable_async_collective_fusion_multiple_steps=true
        --xla_tpu_overlap_compute_collective_tc=true
    )
    ;;
gpu)
    flags+=(
        # Start gathers and reductions early and wait for them late, while other kernels run.
        --xla_gpu_enable_latency_hiding_scheduler=true
        # Gradients of many small layers: fewer and larger messages.
        --xla_gpu_all_reduce_combine_threshold_bytes=134217728
        --xla_gpu_all_gather_combine_threshold_bytes=134217728
        --xla_gpu_reduce_scatter_combine_threshold_bytes=67108864
    )
    variables+=(
        # JAX takes 75 % of a GPU's memory. A training host has nothing else to keep room for, except
        # cuDNN and NCCL, which allocate by themselves.
        "XLA_PYTHON_CLIENT_MEM_FRACTION=${XLA_PYTHON_CLIENT_MEM_FRACTION:-0.9}"
        # One queue to the GPU, so that a collective which was started first also runs first.
        "CUDA_DEVICE_MAX_CONNECTIONS=${CUDA_DEVICE_MAX_CONNECTIONS:-1}"
        # NCCL says why a collective failed. Its default is silence.
        "NCCL_DEBUG=${NCCL_DEBUG:-WARN}"
    )
    ;;
*)
    echo "usage: [SLICES=N] $0 v5e|v5p|v6e|tpu7x|gpu" >&2
    exit 2
    ;;
esac

case "$chip" in
v5p*)
    # Two cores work as one. There, gathers cannot be part of fused kernels, and libtpu must be
    # told so once gathers are fused as above.
    flags+=(--xla_tpu_megacore_fusion_allow_ags=false)
    ;;
esac

if [[ "$chip" != gpu ]] && ((SLICES > 1)); then
    # Gradients cross the slow network between slices once per step. Send those of the last layers
    # while the first ones are still computed, in messages of any size.
    flags+=(
        --xla_tpu_enable_data_parallel_all_reduce_opt=true
        --xla_tpu_data_parallel_opt_different_sized_ops=true
    )
fi

if [[ "$chip" == gpu ]]; then
    variables+=("XLA_FLAGS=${flags[*]} ${XLA_FLAGS:-}")
else
    variables+=("LIBTPU_INIT_ARGS=${flags[*]} ${LIBTPU_INIT_ARGS:-}")
fi
for variable in "${variables[@]}"; do
    variable="${variable% }"
    printf '%s=%q ' "${variable%%=*}" "${variable#*=}"
done
echo
