#!/bin/sh
# A node whose records go to the topic telemetry of a Kafka, without containers, until Ctrl-C:
#
#   BROKERS=127.0.0.1:9092 examples/kafka/run.sh     with flags of edgeloop serve, if any
#
# It starts no broker, for Debian has none. One that is unpacked (https://kafka.apache.org/downloads,
# 4.0 or newer, with a Java) starts in its folder by
#
#   bin/kafka-storage.sh format --standalone -t "$(bin/kafka-storage.sh random-uuid)" -c config/server.properties
#   bin/kafka-server-start.sh config/server.properties
#
# and shows what has arrived by
#
#   bin/kafka-console-consumer.sh --bootstrap-server 127.0.0.1:9092 --topic telemetry --from-beginning
#
# What the node has lies in DATA (./edgeloop-kafka).
set -eu
brokers=${BROKERS:-127.0.0.1:9092} data=${DATA:-$PWD/edgeloop-kafka}
mkdir -p "$data"
sed "s/kafka:9092/$brokers/" "$(dirname "$0")/edgeloop.yaml" >"$data/edgeloop.yaml"
exec edgeloop serve --config "$data/edgeloop.yaml" --data-dir "$data/node" "$@"
