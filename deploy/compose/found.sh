#!/bin/sh
# Founds a federation of four nodes in one folder: four times init, one charter, four signatures, four acceptances.
# In a real federation each organisation does its own line on its own machine, and only request and charter travel.
#   found.sh FOLDER [FIRST_PORT]
set -eu
folder=$1
first_port=${2:-7700}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
nodes="liberation-tools addvalue liberation-system harmonie"
if [ -e "$folder/founded" ]; then echo "The federation in $folder exists already." >&2; exit 0; fi
mkdir -p "$folder"

port=$first_port
requests=
for name in $nodes; do
    # Every step may run again: an interrupted founding begins where it stopped.
    if [ ! -e "$folder/$name/node.toml" ]; then
        mkdir -p "$folder/$name/offline"
        cp "$here/plan.yaml" "$folder/$name/plan.yaml"
        murmur init --data "$folder/$name/data" --config "$folder/$name/node.toml" --anchor "$folder/$name/anchor" \
            --name "$name" --organisation "$name" --plan "$folder/$name/plan.yaml" \
            --listen "127.0.0.1:$port" --advertise "http://127.0.0.1:$port" \
            --root-key "$folder/$name/offline/root.key" --governance-key "$folder/$name/offline/governance.key" \
            --request "$folder/$name/request.murmur"
    fi
    requests="$requests --with $folder/$name/request.murmur"
    port=$((port + 1))
done

if [ ! -e "$folder/charter.murmur" ]; then
    # shellcheck disable=SC2086 - a list of options
    murmur federation create $requests --metrics "$here/metrics" --name four-platforms \
        --counts-from "$(date -u +%Y-%m-%d)" --threshold 3 --allow-private --out "$folder/charter.murmur"
fi
for name in $nodes; do
    murmur charter sign "$folder/charter.murmur" --governance-key "$folder/$name/offline/governance.key"
done
for name in $nodes; do
    [ -d "$folder/$name/data/charter" ] ||
        murmur charter accept "$folder/charter.murmur" --config "$folder/$name/node.toml"
done
touch "$folder/founded"
