#!/usr/bin/env bash
# rdc train as several processes on this machine, on its CPU or its GPUs.
#
#   PROCESSES=2 launch/local_processes.sh [--dry-run] --config CONFIG [key=value ...]
#
# Every line of output begins with the number of its process. If one process fails, the script ends
# the others and returns the exit code of the failed one. After code 75 (terminated and saved), the
# others end by themselves. Ctrl-C and SIGTERM are passed on to every process. Processes that still
# run after GRACE seconds are killed, and a second signal kills all of them at once.
set -euo pipefail

PROCESSES="${PROCESSES:-2}"
PORT="${PORT:-8476}"                      # port of the coordinator, process 0, on 127.0.0.1
GPUS_PER_PROCESS="${GPUS_PER_PROCESS:-0}" # 0: JAX chooses the devices
GRACE="${GRACE:-60}"

dry_run=false
if [[ "${1:-}" == --dry-run ]]; then
    dry_run=true
    shift
fi
if (($# == 0)); then
    echo "usage: $0 [--dry-run] --config CONFIG [key=value ...]" >&2
    exit 2
fi

set_command() { # sets the command of process $1; other arguments: those of rdc train
    local process="$1" first=$(($1 * GPUS_PER_PROCESS))
    shift
    command=(env "RDC_COORDINATOR=127.0.0.1:$PORT" "RDC_NUM_PROCESSES=$PROCESSES"
        "RDC_PROCESS_ID=$process")
    if ((GPUS_PER_PROCESS > 0)); then
        command+=("CUDA_VISIBLE_DEVICES=$(seq -s, $first $((first + GPUS_PER_PROCESS - 1)))")
    fi
    command+=(rdc train "$@")
}

run_process() { # runs the command as process $1, then reports "process code"
    trap : INT TERM # only the command reacts to signals; its last output must be printed
    {
        trap : INT TERM
        code=0
        "${command[@]}" 2>&1 </dev/null 3>&- || code=$?
        echo "$1 $code" >&3
    } | (trap '' INT TERM && exec sed -u "s/^/[$1] /" 3>&-)
}

signal_all() { # each process leads a process group, so its children get the signal, too
    local pid
    for pid in "${pids[@]}"; do
        kill "-$1" -- "-$pid" 2>/dev/null || true
    done
}

stop() { # sends signal $1, then KILL after GRACE seconds or at the second call
    if [[ -n "$killer" ]]; then
        signal_all KILL
        echo "all 137" >&3
        return
    fi
    signal_all "$1"
    (sleep "$GRACE" && signal_all KILL && echo "all 137" >&3) &
    killer=$!
    disown "$killer" # no message when it ends
}

if ((GPUS_PER_PROCESS > 0)); then
    flags="$("$(dirname "$0")/flags.sh" gpu)"
    eval "export $flags"
fi
pids=() killer=""
if ! "$dry_run"; then
    reports="$(mktemp -u)"
    mkfifo "$reports"
    exec 3<>"$reports"
    rm "$reports"
    set -m # process groups
    trap 'stop INT' INT
    trap 'stop TERM' TERM
fi
for ((process = 0; process < PROCESSES; process++)); do
    set_command "$process" "$@"
    if "$dry_run"; then
        printf '[%d]' "$process"
        printf ' %q' "${command[@]}"
        echo
    else
        run_process "$process" &
        pids+=("$!")
    fi
done

code=0
for ((ended = 0; ended < ${#pids[@]}; ended++)); do
    read -r process status <&3
    if ((code == 0)); then code="$status"; fi
    if [[ "$process" == all ]]; then break; fi
    if ((status != 0 && status != 75)) && [[ -z "$killer" ]]; then
        echo "process $process ended with code $status; ending the others" >&2
        stop TERM
    fi
done
if ((${#pids[@]} > 0)); then
    if [[ -z "$killer" ]]; then stop TERM; else signal_all TERM; fi # children left behind
    wait "${pids[@]}" || true
    kill -- "-$killer" 2>/dev/null || true
fi
exit "$code"
