#!/usr/bin/env bash
# Puts a Vulkan driver that needs no GPU (Mesa's lavapipe), the Vulkan loader and glslangValidator into DIR, from the
# Debian or Ubuntu mirror that this machine already uses. Nothing outside of DIR is changed and no root is needed.
# The shader tests look in .cache/software-vulkan and skip, saying why, where there is nothing.
# usage: tools/software_vulkan.sh [DIR]
set -euo pipefail
dir=$(realpath -m "${1:-$(dirname "${BASH_SOURCE[0]}")/../.cache/software-vulkan}")
driver=$dir/driver.json
[[ -f $driver ]] && exit 0

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "software_vulkan: expected a Debian or Ubuntu with apt-get; install Mesa's lavapipe (24 or newer) yourself" >&2
  exit 1
fi
rm -rf "$dir"  # what an interrupted run has left
mkdir -p "$dir"/{parts,lists/partial,archives/partial,debs,root}

# The machine's own sources, and beside them its backports: Debian 12's Mesa 22 is too old for slangpy.
cp /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list "$dir/parts/" 2>/dev/null || true
[[ -s /etc/apt/sources.list ]] && cp /etc/apt/sources.list "$dir/parts/main.list"
. /etc/os-release
backports=$VERSION_CODENAME-backports
if [[ -f $dir/parts/debian.sources ]]; then
  awk 'BEGIN { RS = ""; ORS = "\n\n" } NR == 1' "$dir/parts/debian.sources" |
    sed "s/^Suites:.*/Suites: $backports/" > "$dir/parts/backports.sources"
fi
options=(-qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$dir/parts" -o "Dir::State::lists=$dir/lists"
  -o "Dir::Cache=$dir/archives" -o APT::Sandbox::User=root -o Debug::NoLocking=true)
apt-get "${options[@]}" update
[[ -f $dir/parts/backports.sources ]] && options+=(-t "$backports")

# What an installation would bring that is not installed, by name and version; and the three wanted in any case.
missing=$(apt-get "${options[@]}" --simulate --no-install-recommends --reinstall install \
  mesa-vulkan-drivers libvulkan1 glslang-tools | awk '/^Inst / { gsub(/[()]/, ""); print }' |
  awk '{ version = $3; if ($3 ~ /^\[/) version = $4; print $2 "=" version }')
(cd "$dir/debs" && apt-get "${options[@]}" download $missing)
for package in "$dir"/debs/*.deb; do dpkg-deb -x "$package" "$dir/root"; done
library=$(find "$dir/root" -name 'libvulkan_lvp.so' | head -n 1)
printf '{"file_format_version": "1.0.0", "ICD": {"api_version": "1.3.0", "library_path": "%s"}}\n' "$library" > "$driver.unfinished"
rm -rf "$dir"/{parts,lists,archives,debs}
mv "$driver.unfinished" "$driver"
