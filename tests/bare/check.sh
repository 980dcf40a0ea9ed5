#!/bin/sh
# The two commands of the README on a machine with nothing on it: a fresh debootstrap tree, in a chroot of its own.
# usage: tests/bare/check.sh bookworm|trixie [--json FILE] [--tree DIR] [--keep]   (root; needs debootstrap, about 6 GB in DIR)
set -eu
suite=${1:?usage: tests/bare/check.sh bookworm|trixie [--json FILE] [--tree DIR] [--keep]}
shift
json="" tree="" keep=0
while [ $# -gt 0 ]; do
    case "$1" in
        --json) json=$2; shift 2 ;;
        --tree) tree=$2; shift 2 ;;
        --keep) keep=1; shift ;;
        *) echo "check.sh: '$1' is not an option" >&2; exit 2 ;;
    esac
done
[ "$(id -u)" = 0 ] || { echo "check.sh: needs root for debootstrap and chroot" >&2; exit 1; }
root=$(cd "$(dirname "$0")/../.." && pwd)
tree=${tree:-$(mktemp -d)}
out=$(mktemp -d)

cleanup() {
    for m in dev/shm dev/pts dev proc sys; do umount -l "$tree/$m" 2>/dev/null || true; done
    [ "$keep" = 1 ] || rm -rf "$tree"
}
trap cleanup EXIT INT TERM

mirror=$(awk '/^URIs:/ {print $2; exit} /^deb / {print $2; exit}' /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null)
[ -e "$tree/etc/debian_version" ] || debootstrap --variant=minbase --include=ca-certificates "$suite" "$tree" "$mirror" >"$out/debootstrap.log" 2>&1 \
    || { tail -n 20 "$out/debootstrap.log" >&2; exit 1; }

# A closed network reaches its registries through settings of the host: they are borrowed, never written into the repository.
for f in /etc/pip.conf /etc/resolv.conf /etc/hosts /etc/apt/apt.conf.d/99* /root/.cargo/config.toml; do
    [ -e "$f" ] || continue
    mkdir -p "$tree$(dirname "$f")"
    cp -L "$f" "$tree$f"
done
cp -rL /etc/ssl/certs "$tree/etc/ssl/" 2>/dev/null || true
[ ! -d /usr/local/share/ca-certificates ] || cp -rL /usr/local/share/ca-certificates "$tree/usr/local/share/"
if [ "$suite" = bookworm ] && ls /etc/apt/sources.list.d/*.sources >/dev/null 2>&1; then
    cp /etc/apt/sources.list.d/debian.sources "$tree/etc/apt/sources.list.d/" 2>/dev/null && rm -f "$tree/etc/apt/sources.list" || true
else
    printf 'deb %s %s main\ndeb %s %s-updates main\n' "$mirror" "$suite" "$mirror" "$suite" >"$tree/etc/apt/sources.list"
fi
for m in dev proc sys dev/pts dev/shm; do mkdir -p "$tree/$m"; mount --bind "/$m" "$tree/$m"; done

rm -rf "$tree/root/pitdesk"
git clone -q "$root" "$tree/root/pitdesk"
borrowed=$(env | grep -E '^(PIP_|CARGO_|SSL_CERT|REQUESTS_CA|CURL_CA|https?_proxy|HTTPS?_PROXY|no_proxy)' | grep -v '^CARGO_HOME=' || true)
run() { env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 $borrowed chroot "$tree" sh -c "cd /root/pitdesk && $1"; }

# Who has a clone has git; nothing else is put there.
env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$tree" sh -c "apt-get update -qq && apt-get install -y -qq --no-install-recommends git" \
    >"$out/git.log" 2>&1 || { tail -n 5 "$out/git.log" >&2; exit 1; }

started=$(date +%s)
test_rc=0
run "./dev test" >"$out/test.log" 2>&1 || test_rc=$?
test_s=$(($(date +%s) - started))
tail -n 15 "$out/test.log" >&2

run "apt-get install -y -qq --no-install-recommends xvfb xauth" >"$out/xvfb.log" 2>&1 || true
run "xvfb-run -a -s '-screen 0 1920x1080x24' .venv/bin/python -m tests.bare.first_paint /root/first_paint.json /root/window.png" >"$out/window.log" 2>&1 \
    || tail -n 15 "$out/window.log" >&2
python=$(run ".venv/bin/python -V" 2>/dev/null | awk '{print $2}')
rust=$(run "cargo --version" 2>/dev/null | awk '{print $2}')
paint=$(cat "$tree/root/first_paint.json" 2>/dev/null || echo '{"first_paint_ms": null, "font_families": 0}')
shot=""
if [ -e "$tree/root/window.png" ]; then shot="$out/window.png"; cp "$tree/root/window.png" "$shot"; fi
answer=$(printf '{"suite": "%s", "python": "%s", "rust": "%s", "test_rc": %s, "test_s": %s, "screenshot": "%s", %s}' \
    "$suite" "$python" "$rust" "$test_rc" "$test_s" "$shot" "$(printf '%s' "$paint" | sed 's/^{//; s/}$//')")
echo "$answer"
[ -z "$json" ] || echo "$answer" >"$json"
exit "$test_rc"
