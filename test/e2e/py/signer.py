"""Signs tokens with PyJWT, as an identity provider does. One JSON order a line:

{"make": "RS256", "kid": "a"}            answers the public key as a JSON Web Key
{"sign": "a", "claims": {...}, "headers": {...}, "key": "b"}  answers {"token": ...}
"""

import json
import sys

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import algorithms

MAKE = {
    "RS256": (lambda: rsa.generate_private_key(65537, 2048), algorithms.RSAAlgorithm),
    "PS256": (lambda: rsa.generate_private_key(65537, 2048), algorithms.RSAAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), algorithms.ECAlgorithm),
    "ES384": (lambda: ec.generate_private_key(ec.SECP384R1()), algorithms.ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, algorithms.OKPAlgorithm),
}
keys = {}

for line in sys.stdin:
    order = json.loads(line)
    if "make" in order:
        make, kind = MAKE[order["make"]]
        private = make()
        keys[order["kid"]] = (order["make"], private)
        answer = kind.to_jwk(private.public_key())
        answer = json.loads(answer) if isinstance(answer, str) else answer
        answer.update(kid=order["kid"], alg=order["make"], use="sig")
        answer.pop("key_ops", None)
    else:
        algorithm, private = keys[order["sign"]]
        headers = {"kid": order["sign"], **(order.get("headers") or {})}
        answer = {"token": jwt.encode(order["claims"], private, algorithm, headers=headers)}
    print(json.dumps(answer), flush=True)
