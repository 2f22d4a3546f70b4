"""What the tests of both SDKs share: where the gateway is, and what must not leak."""

import json
import os
import unittest
import urllib.request

GATEWAY = "http://127.0.0.1:" + os.environ["PORT"]
MODEL = "http://127.0.0.1:" + os.environ["PORT2"]

# What the model says, and what becomes of it.
SAID = "Ada is ada@example.com, card 4111 1111 1111 1111 – “naïve” café 😀, tel +49 30 1234567."
MASKED = "Ada is <EMAIL_ADDRESS>, card <CREDIT_CARD> – “naïve” café 😀, tel <PHONE_NUMBER>."
THOUGHT = "She signs as <EMAIL_ADDRESS>, so that is she."
CALLED = {"to": "<EMAIL_ADDRESS>", "body": "Call <PHONE_NUMBER>", "copies": 3, "card": "<CREDIT_CARD>"}

# What must be in nothing that comes out of a guarded route.
HIDDEN = ["ada@example", "example.com", "bob@", "4111", "1111", "1234567", "AKIA", "OSFODNN7"]

# How many bytes of a stream the model sends at a time; 0 means all at once.
CUTS = [0, 1, 7, 100]


def cut(n):
    """The header that asks the model for pieces of n bytes."""
    return {"x-cut": str(n)}


def last():
    """The request that the model got last: its path, its accept-encoding and its body."""
    with urllib.request.urlopen(MODEL + "/last") as answer:
        got = json.load(answer)
    return got["path"], got["accept-encoding"], json.loads(got["body"])


class Attempts:
    """A hook that counts the requests of a client: SDKs repeat what they take for accidents."""

    def __init__(self):
        self.n = 0

    def __call__(self, request):
        self.n += 1

    async def later(self, request):
        self.n += 1


class Case(unittest.TestCase):
    def assertClean(self, said):
        """Nothing hidden is in what somebody said, be it an object of an SDK, bytes or a text."""
        text = said.decode() if isinstance(said, bytes) else said if isinstance(said, str) else said.to_json()
        for hidden in HIDDEN:
            self.assertNotIn(hidden, text)
