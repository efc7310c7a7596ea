"""A receiver of webhooks made of Python's http.server and hmac alone.

receiver.py ADDRESS FILE SECRET: checks the signature of each POST, unpacks it, and
answers 200 when its lines are synced to FILE. A body with a record of the topic
"poison" is refused as a whole, and a body of more than 100 records is too large.
"""
import base64
import gzip
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

host, port = sys.argv[1].rsplit(":", 1)
out = open(sys.argv[2], "ab+")
out.seek(0)
out.truncate(out.read().rfind(b"\n") + 1)  # it was killed while it wrote, and said nothing of that
secret = sys.argv[3].encode()


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(self.judge(body))

    def judge(self, body):
        signed = "{webhook-id}.{webhook-timestamp}.".format(**{k.lower(): v for k, v in self.headers.items()})
        want = base64.b64encode(hmac.new(secret, signed.encode() + body, hashlib.sha256).digest()).decode()
        if "v1," + want not in self.headers["Webhook-Signature"].split():
            return 401
        if abs(time.time() - int(self.headers["Webhook-Timestamp"])) > 300:
            return 401
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        records = [json.loads(line) for line in body.decode().splitlines()]
        if len(records) > 100:
            return 413
        if any(r.get("topic") == "poison" for r in records):
            return 422
        out.write(body)
        out.flush()
        os.fsync(out.fileno())
        return 200

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


HTTPServer((host, int(port)), Receiver).serve_forever()
