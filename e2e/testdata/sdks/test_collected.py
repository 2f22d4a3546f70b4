"""What is different where a step has to see answers as a whole: streams are collected, and
sent on when they were judged. A rejection comes before anything else, with its status."""

import anthropic
import openai

import test_anthropic
import test_openai
from gateway import CUTS, cut


class ChatCompletions(test_openai.ChatCompletions):
    route = "collected"
    test_rejected_stream_helper = test_async = None

    def test_rejected_stream(self):
        for n in CUTS:
            with self.subTest(cut=n):
                before = self.attempts.n
                with self.assertRaises(openai.UnprocessableEntityError) as raised:
                    self.client.chat.completions.create(model="secret", messages=test_openai.ASK, stream=True, extra_headers=cut(n))
                self.assertEqual(raised.exception.body["message"], "Sensitive data detected")
                self.assertEqual(self.attempts.n - before, 1)


class Responses(test_openai.Responses):
    route = "collected"
    test_error_event = None

    def test_rejected_stream(self):
        for n in CUTS:
            with self.subTest(cut=n), self.assertRaises(openai.UnprocessableEntityError) as raised:
                self.client.responses.create(model="secret", input="Which key?", stream=True, extra_headers=cut(n))
            self.assertEqual(raised.exception.body["message"], "Sensitive data detected")


class Messages(test_anthropic.Messages):
    route = "collected"
    test_async = None

    def test_rejected_stream(self):
        for n in CUTS:
            with self.subTest(cut=n), self.assertRaises(anthropic.UnprocessableEntityError) as raised:
                self.client.messages.create(**self.ask("secret"), stream=True, extra_headers=cut(n))
            self.assertEqual(raised.exception.body["error"]["message"], "Sensitive data detected")
