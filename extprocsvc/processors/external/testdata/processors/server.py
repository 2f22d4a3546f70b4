"""A server of test processors that answers as servers of F5's SDK do.

It is written from the description of the protocol, not from the SDK. It prints
its port, serves 127.0.0.1, and ends when its standard input does.
"""

import argparse
import json
import secrets
import socket
import ssl
import sys
import threading

import pydantic
import python_multipart.multipart
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

PROMPT, CHOICES = "input.messages", "response.choices"
PARAMS = {True: "response.parameters", False: "input.parameters"}


class Params(pydantic.BaseModel):
    """What every processor takes. Types are strict, unknown keys are ignored."""

    model_config = pydantic.ConfigDict(strict=True)
    annotate: bool = pydantic.Field(default=True, description="may add tags")
    modify: bool = pydantic.Field(default=False, description="may change what it sees")
    reject: bool = pydantic.Field(default=False, description="may reject")


class Open(pydantic.BaseModel):
    """A model that keeps what it does not know."""

    model_config = pydantic.ConfigDict(extra="allow")


class Message(Open):
    content: str
    role: str = "user"
    _null: bool = pydantic.PrivateAttr(default=False)

    @pydantic.model_validator(mode="wrap")
    @classmethod
    def accept_null(cls, value, build):
        empty = isinstance(value, dict) and value.get("content") is None
        made = build({**value, "content": ""} if empty else value)
        made._null = empty
        return made

    @pydantic.field_serializer("content")
    def write_null(self, content):
        return None if self._null and content == "" else content


class Prompt(Open):
    messages: list[Message]


class Choice(Open):
    message: Message


class Answer(Open):
    choices: list[Choice]


class Result:
    """Says something about a call: tags, a changed prompt or response, a rejection."""

    def __init__(self, tags=None, prompt=None, response=None, code=None, detail="", result=None):
        self.tags = {k.lower(): [v.lower() for v in vs] for k, vs in (tags or {}).items()}
        self.prompt, self.response = prompt, response
        self.code, self.detail, self.result = code, detail, result

    def __bool__(self):
        return any((self.tags, self.prompt, self.response, self.code, self.result))


class Failure(Exception):
    def __init__(self, status, detail, messages=None):
        self.status, self.body = status, {"detail": detail}
        if messages is not None:
            self.body["messages"] = messages


def complaints(error):
    told = []
    for e in error.errors():
        where = ",".join(str(part) for part in e["loc"])
        told.append(f"{e['msg']}: {where}" if where else e["msg"])
    return told


def parse(name, text, complaint):
    """Reads JSON. What came without a file name is told more about."""
    try:
        return json.loads(text)
    except ValueError as e:
        raise Failure(400, f"Unable to parse JSON field [{name}]: {e}" if isinstance(text, str) else complaint) from e


def as_json(body, status=200):
    return Response(json.dumps(body), status, {"Content-Type": "application/json"})


class Processor:
    """One processor. Subclasses say what they work on and do their work in run."""

    namespace, version, params = "Test", "v1", Params
    required, optional = (PROMPT,), ()

    def __init__(self, name, **facts):
        self.name = name
        self.__dict__.update(facts)

    @property
    def path(self):
        return f"{self.namespace.lower()}/{self.name.lower()}"

    @property
    def id(self):
        return f"{self.namespace}:{self.name}"

    def run(self, params, prompt, response, metadata):
        raise NotImplementedError

    def signature(self):
        fields = [{"type": t, "required": True} for t in self.required]
        fields += [{"type": t, "required": False} for t in self.optional]
        return {"fields": fields, "parameters": self.params.model_json_schema()}

    async def endpoint(self, request):
        if request.method == "HEAD":
            return Response(headers={"Content-Type": "multipart/form-data;charset=utf-8"})
        command = request.path_params["command"]
        if command == "signature":
            return await self.validate(request)
        if command != "execute":
            return as_json({"message": "Not found", "status_code": 404}, 404)
        if request.method != "POST":
            return as_json({"message": "Only POST requests are supported", "status_code": 405}, 405)
        try:
            return await self.execute(request)
        except Failure as f:
            return as_json(f.body, f.status)

    async def validate(self, request):
        body, status = self.signature(), 200
        if request.method == "POST":
            body["validation"] = {"valid": True, "errors": []}
            try:
                self.params.model_validate_json(await request.body())
            except pydantic.ValidationError as e:
                body["validation"], status = {"valid": False, "errors": complaints(e)}, 400
        return as_json(body, status)

    async def execute(self, request):
        header = request.headers.get("content-type")
        if header is None:
            raise Failure(415, "Content-Type header missing")
        kind, options = python_multipart.multipart.parse_options_header(header)
        if not kind:
            raise Failure(415, "Content-Type header is empty")
        if kind != b"multipart/form-data":
            raise Failure(415, "Content-Type header mismatch - expecting: multipart/form-data")
        if b"boundary" not in options:
            raise Failure(415, "Content-Type header missing boundary")
        async with request.form(max_fields=6, max_files=6) as form:
            parts = {}
            for name, part in form.multi_items():
                parts[name] = await part.read() if isinstance(part, UploadFile) else part
        backwards = self.check(parts)
        params = self.read_params(parts.get(PARAMS[backwards]))
        metadata = self.read_metadata(parts["metadata"])
        prompt = self.read(Prompt, PROMPT, parts, "invalid prompt field submitted")
        response = self.read(Answer, CHOICES, parts, "invalid response field submitted")
        try:
            before = [m and m.model_dump_json() for m in (prompt, response)]
            result = self.run(params, prompt, response, metadata)
            if result is not None:
                return self.reply(params, metadata, result, before)
        except Exception as e:
            raise Failure(500, "problem executing processor implementation") from e
        raise Failure(500, f"Processor[{self.id}] process() method returned None")

    def check(self, parts):
        if "metadata" not in parts:
            raise Failure(400, "metadata part is missing")
        if PROMPT not in parts and CHOICES not in parts:
            raise Failure(400, f"{PROMPT} (prompt) and {CHOICES} (response) fields are missing - at least one is required")
        backwards = CHOICES in parts
        listed = self.required + self.optional
        if backwards and CHOICES not in listed:
            raise Failure(400, "Processor signature does not allow response fields")
        if not backwards and PROMPT not in listed:
            raise Failure(400, "Processor signature does not allow input fields")
        for name in self.required:
            if name not in parts:
                raise Failure(400, f"Missing required field for {'response' if backwards else 'input'}: {name}")
        if backwards and PARAMS[False] in parts:
            raise Failure(400, f"prompt parameters cannot be present with {CHOICES} field")
        if not backwards and PARAMS[True] in parts:
            raise Failure(400, f"response parameters cannot be present with only a {PROMPT} field")
        return backwards

    def read_params(self, text):
        try:
            return self.params() if text is None else self.params.model_validate_json(text)
        except pydantic.ValidationError as e:
            raise Failure(400, "invalid parameters submitted", complaints(e)) from e

    @staticmethod
    def read_metadata(text):
        metadata = parse("metadata", text, "invalid metadata submitted")
        if not isinstance(metadata, dict):
            raise Failure(400, "metadata must be a JSON object")
        return metadata

    @staticmethod
    def read(model, name, parts, complaint):
        if name not in parts:
            return None
        try:
            return model.model_validate(parse(name, parts[name], complaint))
        except pydantic.ValidationError as e:
            raise Failure(400, complaint, complaints(e)) from e

    def reply(self, params, metadata, result, before):
        if not result:
            return Response(status_code=204)
        meta = {"processor_id": self.id, "processor_version": self.version}
        meta.update({k: metadata[k] for k in ("request_id", "step_id") if k in metadata})
        parts = {}
        if result.code and not params.reject:
            return self.multipart({"metadata": json.dumps(meta)})
        for name, model, old in ((PROMPT, result.prompt, before[0]), (CHOICES, result.response, before[1])):
            text = model and model.model_dump_json()
            if text and text != old and params.modify:
                parts[name] = text
        if result.code:
            reject = {"code": result.code, "detail": result.detail, "processor_result": result.result}
            parts["reject"] = json.dumps(reject, ensure_ascii=False, separators=(",", ":"))
        if result.tags and (params.annotate or result.code):
            meta["tags"] = result.tags
        if result.result is not None:
            meta["processor_result"] = result.result
        parts["metadata"] = json.dumps(meta)
        return self.multipart(parts)

    @staticmethod
    def multipart(parts):
        boundary = secrets.token_hex(32)

        async def chunks():
            for name, text in parts.items():
                head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n'
                yield (head + "Content-Type: application/json\r\n\r\n").encode()
                yield text.encode() + b"\r\n"
            yield f"--{boundary}--\r\n".encode()

        return StreamingResponse(chunks(), headers={"Content-Type": f'multipart/form-data;charset=utf-8;boundary="{boundary}"'})


class Nothing(Processor):
    """Has nothing to say about anything."""

    required, optional = (), (PROMPT, CHOICES)

    def run(self, params, prompt, response, metadata):
        return Result()


class Annotator(Processor):
    """Tags what the processor could see."""

    required, optional = (), (PROMPT, CHOICES)

    def run(self, params, prompt, response, metadata):
        seen = prompt if response is None else response
        texts = [m.content for m in prompt.messages] if response is None else [c.message.content for c in response.choices]
        return Result(
            tags={
                "Language": ["EN", "Code"],
                "# of few shots": ["Two Words"],
                "texts": ["|".join(texts) or "none"],
                "extras": [",".join(sorted(seen.model_extra)) or "none"],
                "prompt": ["no" if prompt is None else str(len(prompt.messages))],
                "ids": ["both" if {"request_id", "step_id"} <= metadata.keys() else "missing"],
            },
            result={"confidence": 0.5},
        )


class Modifier(Processor):
    """Puts a rule first and replaces a word."""

    class params(Params):
        word: str = "secret"
        prepend: bool = False

    def run(self, params, prompt, response, metadata):
        changed = prompt.model_copy(deep=True)
        for m in changed.messages:
            if params.word in m.content:
                m.content = m.content.replace(params.word, "*****")
        if params.prepend:
            changed.messages.insert(0, Message(content="a rule", role="system"))
        return Result(prompt=changed)


class Rejecter(Processor):
    """Rejects, with a tag."""

    class params(Params):
        code: str = "AIGW_POLICY_VIOLATION"
        detail: str = "Possible Prompt Injection detected"

    def run(self, params, prompt, response, metadata):
        return Result(code=params.code, detail=params.detail, tags={"Attacks-Detected": ["Prompt-Injection"]}, result={"confidence": 0.99})


class ResponseModifier(Processor):
    """Makes every answer loud. It is not interested in prompts."""

    required = (CHOICES,)

    def run(self, params, prompt, response, metadata):
        changed = response.model_copy(deep=True)
        for c in changed.choices:
            c.message.content = c.message.content.upper()
        return Result(response=changed)


class Rewriter(Processor):
    """Answers in place of the model, with nothing but messages."""

    required = (CHOICES,)

    def run(self, params, prompt, response, metadata):
        return Result(response=Answer(choices=[Choice(message=Message(content="new", role="assistant")) for _ in response.choices]))


class Comparer(Processor):
    """Needs the prompt beside the response."""

    required = (PROMPT, CHOICES)

    def run(self, params, prompt, response, metadata):
        return Result(tags={"pairs": [f"{len(prompt.messages)}-{len(response.choices)}"]})


class Demanding(Processor):
    """Has params without defaults and of every type."""

    class params(Params):
        must: str
        threshold: float = 0.5
        rules: list[str] = []

    def run(self, params, prompt, response, metadata):
        return Result(tags={"params": [f"{params.must} {params.threshold} {len(params.rules)}"]})


class Silent(Processor):
    """Forgets to say anything."""

    def run(self, params, prompt, response, metadata):
        return None


class Broken(Processor):
    """Fails, as code does."""

    def run(self, params, prompt, response, metadata):
        raise RuntimeError(prompt.messages[0].content)


PROCESSORS = [
    Nothing("Nothing"),
    Annotator("Annotator"),
    Modifier("Modifier"),
    Rejecter("Rejecter"),
    ResponseModifier("Louder"),
    Rewriter("Rewriter"),
    Comparer("Comparer"),
    Demanding("Demanding"),
    Silent("Silent"),
    Broken("Broken"),
]


async def info(request):
    listed = []
    for p in PROCESSORS:
        listed.append({
            "name": p.name, "namespace": p.namespace, "id": p.id,
            "available_versions": [p.version], "latest_version": p.version,
            "execute_path": f"/execute/{p.path}", "signature_path": f"/signature/{p.path}",
        })
    return Response(json.dumps({"api_versions": ["v1"], "processors": listed}))


def routes():
    made = [Route("/", lambda request: RedirectResponse("/api/v1/info")), Route("/api/v1/info", info, methods=["GET"])]
    for p in PROCESSORS:
        made.append(Route("/api/v1/{command:path}/" + p.path, p.endpoint, methods=["HEAD", "GET", "POST"]))
    return made


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--cert")
    flags.add_argument("--key")
    flags.add_argument("--client-ca")
    args = flags.parse_args()
    conf = uvicorn.Config(
        Starlette(routes=routes()), log_level="error", lifespan="off",
        ssl_certfile=args.cert, ssl_keyfile=args.key, ssl_ca_certs=args.client_ca,
        ssl_cert_reqs=ssl.CERT_REQUIRED if args.client_ca else ssl.CERT_NONE,
    )
    server = uvicorn.Server(conf)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)  # from here on clients can connect

    def until_end():
        sys.stdin.read()
        server.should_exit = server.force_exit = True

    threading.Thread(target=until_end, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
