"""An application made of Eclipse Paho.

mqttapp.py URL VERSION ID TENANT TOKEN FILTER QOS LAST CAFILE: subscribes to FILTER in a session
that is kept, says "subscribed", and prints each message as a line of JSON, until it has
acknowledged one whose payload is LAST. As test/e2e/node/mqttapp.js.
"""
import json
import sys
import urllib.parse

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

url, version, name, tenant, token, topics, qos, last, ca = sys.argv[1:]
url = urllib.parse.urlsplit(url)


def emit(event):
    print(json.dumps(event, separators=(",", ":")), flush=True)


def connected(client, _userdata, _flags, reason, _properties=None):
    if reason != 0:
        sys.exit(str(reason))
    client.subscribe(topics, int(qos))


def subscribed(*_):
    global granted
    emit({"event": "subscribed"})
    granted = True
    for message in early:
        emit(message)


def received(_client, _userdata, message):
    global done
    event = {"topic": message.topic, "payload": message.payload.decode()}
    if granted:
        emit(event)
    else:
        early.append(event)  # a session that is there goes on before it subscribes
    done = done or event["payload"] == last


granted, done, early = False, False, []
over = "websockets" if url.scheme in ("ws", "wss") else "tcp"
kept = {} if version == "5" else {"clean_session": False}
client = mqtt.Client(name, protocol=int(version), transport=over, **kept)
client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, received
client.username_pw_set(tenant, token)
if url.path:
    client.ws_set_options(path=url.path)
if url.scheme in ("wss", "mqtts"):
    client.tls_set(ca)
if version == "5":
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 3600
    client.connect(url.hostname, url.port, clean_start=False, properties=properties)
else:
    client.connect(url.hostname, url.port)
while not done or not granted or client.want_write():
    if client.loop() != mqtt.MQTT_ERR_SUCCESS:
        sys.exit("the connection is lost")
client.disconnect()
