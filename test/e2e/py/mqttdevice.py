"""A device made of Eclipse Paho.

mqttdevice.py URL VERSION DEVICE TOKEN QOS COUNT CAFILE: asks for commands, publishes COUNT
messages of the topic t, with their numbers, and says "acked" when all are, answers one
command and ends. What happens is a line of JSON each, as in test/e2e/node/mqtt.js.
"""
import json
import sys
import urllib.parse

import paho.mqtt.client as mqtt

url, version, device, token, qos, count, ca = sys.argv[1:]
url, qos, count = urllib.parse.urlsplit(url), int(qos), int(count)


def emit(**event):
    print(json.dumps(event), flush=True)


def connected(client, _userdata, _flags, reason, _properties=None):
    if reason != 0:
        emit(event="failed", error=str(reason))
        sys.exit(1)
    client.subscribe("$edgeloop/command/#")


def subscribed(client, *_):
    emit(event="subscribed")
    for i in range(count):
        pending.add(client.publish("t", str(i), qos=qos).mid)
    settle(None)


def settle(mid):
    pending.discard(mid)
    if not pending:
        emit(event="acked")


def command(client, _userdata, message):
    emit(event="command", topic=message.topic, data=message.payload.decode())
    global answer
    answer = client.publish("$edgeloop/reply/" + message.topic.split("/")[2], '{"by":"paho"}', qos=qos).mid


def published(client, _userdata, mid):
    if mid == answer:
        client.disconnect()
    elif mid in pending:
        settle(mid)


pending, answer = set(), None
over = "websockets" if url.scheme in ("ws", "wss") else "tcp"
client = mqtt.Client(device, protocol=int(version), transport=over)
client.on_connect, client.on_subscribe = connected, subscribed
client.on_message, client.on_publish = command, published
client.on_disconnect = lambda *_: emit(event="closed")
client.username_pw_set("any", token)
if url.path:
    client.ws_set_options(path=url.path)
if url.scheme in ("wss", "mqtts"):
    client.tls_set(ca)
client.connect(url.hostname, url.port)
client.loop_forever(retry_first_connection=False)
