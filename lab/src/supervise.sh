#!/bin/sh
# Keeps one server of the lab alive, and no longer than the lab.
#
# Standard input is a pipe whose other end only the lab's process holds, so it ends when the lab ends, also by kill -9.
# Standard output is the pipe by which the janitor of the folder knows that somebody still works in there.
# A line on standard input is the order to stop gently; the end of it is the order to stop at once.
#
# $1 file for the server's pid, $2 log, $3 signal to stop at once, $4 signal to stop gently, then the command.
pidfile=$1 log=$2 signal=$3 gentle=$4
shift 4
exec 2>>"$log"

# How often the end of the server is looked for before it is killed: 150 x 20 ms = 3 s when gentle (a Postgres that finishes its
# checkpoint), 50 x 20 ms = 1 s at once, so that a lab whose process was killed is gone well within 3 s.
looks=50

# A process group whose last parent goes while one of its processes is stopped is sent a HUP by the kernel, and below, the server is
# stopped for a moment just then. It is caught, not ignored, because what is ignored stays ignored in the server.
trap : HUP

"$@" </dev/null >>"$log" 2>&1 &
server=$!
echo "$server" >"$pidfile.new" && mv "$pidfile.new" "$pidfile"

if read -r _; then
    signal=$gentle looks=150
fi

# Whether process $1 runs: a zombie does not.
runs() {
    { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
    case ${line##*) } in Z* | X*) return 1 ;; esac
}

# Sets `family` to $1 and all that descend from it, and stops each of them where it stands, until no more are found: what is stopped
# starts nothing new. Sessions of sshd have sessions of their own, so neither a process group nor a terminal session holds them together.
stop_family() {
    kill -STOP "$1" 2>/dev/null
    family=$1 grown=yes
    while [ "$grown" = yes ]; do
        grown=no
        for stat in /proc/[0-9]*/stat; do
            { read -r line <"$stat"; } 2>/dev/null || continue
            pid=${stat#/proc/} pid=${pid%/stat}
            # shellcheck disable=SC2086 # the fields after the command's name: state, parent, …
            set -- ${line##*) }
            case " $family " in
            *" $pid "*) ;;
            *" ${2:-none} "*)
                kill -STOP "$pid" 2>/dev/null
                family="$family $pid" grown=yes
                ;;
            esac
        done
    done
}

family_runs() {
    for pid in $family; do
        if runs "$pid"; then return 0; fi
    done
    return 1
}

stop_family "$server"
if [ "$signal" != KILL ]; then
    # The server ends its children; for that, all have to run.
    kill "-$signal" "$server" 2>/dev/null
    # shellcheck disable=SC2086 # one word for each process
    kill -CONT $family 2>/dev/null
    while [ "$looks" -gt 0 ] && family_runs; do
        looks=$((looks - 1))
        sleep 0.02
    done
fi
if family_runs; then
    # shellcheck disable=SC2086 # one word for each process
    kill -KILL $family 2>/dev/null
fi
# A kill is not refused, but it takes its moment: 50 x 20 ms.
looks=50
while [ "$looks" -gt 0 ] && family_runs; do
    looks=$((looks - 1))
    sleep 0.02
done
wait
