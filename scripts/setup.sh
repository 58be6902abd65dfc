#!/bin/sh
# Installs what the lab and the demo need and the machine lacks. Says nothing when nothing is missing.
set -eu

# Server programs are not on everybody's PATH.
PATH=$PATH:/usr/sbin:/usr/local/sbin:/sbin

has() { command -v "$1" >/dev/null 2>&1; }
say() { printf 'setup: %s\n' "$*" >&2; }

has_postgres() {
    for bin in "$(pg_config --bindir 2>/dev/null || true)" /usr/lib/postgresql/*/bin; do
        if [ -x "$bin/initdb" ] && [ -x "$bin/psql" ]; then return 0; fi
    done
    has initdb && has psql
}

has_nss_wrapper() {
    for library in /usr/lib/libnss_wrapper.so /usr/lib64/libnss_wrapper.so /usr/local/lib/libnss_wrapper.so /usr/lib/*-linux-*/libnss_wrapper.so; do
        if [ -e "$library" ]; then return 0; fi
    done
    return 1
}

# Debian's names of the packages that are absent, by what they are wanted for.
missing() {
    has sshd || echo openssh-server
    { has ssh && has ssh-keygen; } || echo openssh-client
    has_nss_wrapper || echo libnss-wrapper
    has_postgres || echo postgresql
    has pgbouncer || echo pgbouncer
    has setpriv || echo util-linux
    has cc || echo build-essential
    has openssl || echo openssl
    has ip || echo iproute2
    has_moto || has_venv || echo python3-venv
}

# Where virtual environments of the lab live; the lab looks for them there.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/terraform-provider-bastion
SCRIPTS=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
REQUIREMENTS=$SCRIPTS/moto-requirements.txt
MOTO=$CACHE/moto-$(sed -n 's/^moto==//p' "$REQUIREMENTS")

# Debian has the module without what it needs to work, so ask for that, too.
has_venv() { python3 -c 'import ensurepip, venv' 2>/dev/null; }

# Whole, from these very requirements, and its Python is still on the machine.
has_moto() { cmp -s "$REQUIREMENTS" "$MOTO/installed.txt" && "$MOTO/bin/python" -c '' 2>/dev/null; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        say "this wants root, and there is no sudo: $*"
        exit 1
    fi
}

# Shows what a command says only when it fails.
quietly() {
    if ! said=$("$@" 2>&1); then
        say "failed: $*"
        printf '%s\n' "$said" >&2
        exit 1
    fi
}

# Installs the packages without starting what they contain: the lab has servers of its own, and nobody asked for an sshd on port 22.
install() {
    created=
    # Debian's way to forbid it, which another's file is not to be bent for.
    if ! [ -e /usr/sbin/policy-rc.d ]; then
        # shellcheck disable=SC2016 # the text is for the file
        as_root sh -c 'printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d'
        created=yes
        trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    case " $* " in
    *" postgresql "*)
        if ! [ -e /etc/postgresql-common/createcluster.conf ]; then
            as_root mkdir -p /etc/postgresql-common
            as_root sh -c 'echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf'
        fi
        ;;
    esac
    units=
    case " $* " in *" openssh-server "*) units=ssh ;; esac
    case " $* " in *" pgbouncer "*) units="$units pgbouncer" ;; esac
    quietly as_root apt-get update -qq
    # confold: the file above is ours, and nobody is there to be asked about it.
    quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold "$@"
    # Else they would start with the next boot.
    # shellcheck disable=SC2086 # one word for each unit
    if [ -n "$units" ] && has systemctl; then as_root systemctl disable --quiet $units 2>/dev/null || true; fi
    if [ -n "$created" ]; then
        as_root rm -f /usr/sbin/policy-rc.d
        trap - EXIT
    fi
}

# Installs the Debian packages in $wanted, and looks whether that was enough.
install_packages() {
    if [ "$(uname -s)" != Linux ]; then
        say "the lab needs Linux: it runs a real sshd with logins of its own, through libnss_wrapper"
        exit 1
    fi
    if ! has apt-get; then
        say "please install what these Debian packages contain: $wanted"
        exit 1
    fi
    say "installing $wanted"
    # shellcheck disable=SC2086 # one word for each package
    install $wanted

    still=$(missing | tr '\n' ' ')
    if [ -n "$still" ]; then
        say "still missing after the installation: $still"
        exit 1
    fi
}

# Makes the virtual environment of moto_server anew, some 15 s and 120 MB. The copy of the requirements comes last: without it, the
# next run knows that this one was cut off.
install_moto() {
    mkdir -p "$CACHE"
    # Of two at a time, the second waits and finds everything done.
    exec 9>"$MOTO.lock"
    flock 9
    if has_moto; then return; fi
    say "installing moto_server into $MOTO"
    rm -rf "$MOTO"
    quietly python3 -m venv "$MOTO"
    quietly "$MOTO/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --requirement "$REQUIREMENTS"
    cp "$REQUIREMENTS" "$MOTO/installed.txt"
}

absent=
has cargo || absent="$absent cargo (https://rustup.rs)"
has terraform || absent="$absent terraform (https://developer.hashicorp.com/terraform/install)"
if [ -n "$absent" ]; then
    say "please install first:$absent"
    exit 1
fi

wanted=$(missing | tr '\n' ' ')
if [ -n "$wanted" ]; then install_packages; fi
if ! has_moto; then install_moto; fi
