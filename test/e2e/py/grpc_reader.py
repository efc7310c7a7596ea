"""A service made of Python's grpcio alone.

grpc_reader.py MODULES ADDRESS TOKEN READER COUNT: reads COUNT records under a name,
prints each as a line of JSON, acknowledges the last and waits until that is kept.
MODULES is where protoc has put edgeloop/v1/services_pb2.py.
"""
import json
import queue
import sys

import grpc

sys.path.insert(0, sys.argv[1])
from edgeloop.v1 import services_pb2 as v1  # noqa: E402

address, token, reader, count = sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
requests = queue.Queue()
requests.put(v1.ReadRequest(open=v1.Open(reader=reader)))
channel = grpc.insecure_channel(address)
read = channel.stream_stream(
    "/edgeloop.v1.Log/Read",
    request_serializer=v1.ReadRequest.SerializeToString,
    response_deserializer=v1.ReadResponse.FromString,
)
answers = read(iter(requests.get, None), metadata=[("authorization", "Bearer " + token)])
left = count
for answer in answers:
    kind = answer.WhichOneof("response")
    if kind == "acked":
        break
    if kind != "records" or left == 0:
        continue
    for r in answer.records.records[:left]:
        left -= 1
        last = r.position
        print(json.dumps({
            "tenant": r.tenant, "device": r.device, "seq": r.seq, "position": r.position,
            "data": json.loads(r.payload), "content_type": r.content_type,
        }))
    if left == 0 and last:
        requests.put(v1.ReadRequest(ack=v1.Ack(position=last)))
requests.put(None)
