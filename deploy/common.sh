# Shared by the scripts in deploy/ and tests/: folders, messages, root. Sourced, not run.
FATHOM_CACHE=${FATHOM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fathom}
LIBTORCH_ROOT=${LIBTORCH_ROOT:-$FATHOM_CACHE/torch-2.11.0}
LOG=${LOG:-$FATHOM_CACHE/install.log}
PYTHON=/usr/bin/python3
export FATHOM_CACHE LIBTORCH_ROOT LOG
mkdir -p "$FATHOM_CACHE" "$(dirname "$LOG")"

say() { printf '%s\n' "$*"; printf '== %s\n' "$*" >>"$LOG"; }

fail() {  # MESSAGE [EXIT_CODE]
  printf 'error: %s\n' "$1" >&2
  [ -s "$LOG" ] && [ "${2:-1}" != 2 ] && printf 'The log is %s; its last lines:\n%s\n' "$LOG" "$(tail -n 5 "$LOG")" >&2
  exit "${2:-1}"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else fail "installing Debian packages needs root: run as root or install sudo"; fi
}

# Path of the CUDA toolkit's compiler, or nothing.
find_nvcc() { command -v nvcc || { [ -x /usr/local/cuda/bin/nvcc ] && echo /usr/local/cuda/bin/nvcc; } || true; }

# build PRESET [TARGET...]: configures when needed and builds with every core, at most one compiler per 2 GiB of memory.
build() {
  local preset=$1; shift
  local root; root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  local cores memory jobs
  cores=$(nproc); memory=$(awk '/MemAvailable/{print int($2/2097152)}' /proc/meminfo)
  jobs=$(( memory < cores ? memory : cores )); [ "$jobs" -ge 1 ] || jobs=1
  export CCACHE_DIR=${CCACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/ccache} CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
  (cd "$root" && cmake --preset "$preset" >>"$LOG" 2>&1) || fail "cmake could not configure the preset '$preset'"
  (cd "$root" && cmake --build "build/$preset" --parallel "$jobs" ${*:+--target "$@"} >>"$LOG" 2>&1) || {
    grep -E -m 5 'error|undefined reference' "$LOG" >&2 || true
    fail "the build of '$preset' failed"
  }
}
