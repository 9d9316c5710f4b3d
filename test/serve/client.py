# What Python's openai client asks of the server; run by python.test.ts with its address. Ends with exit code 0 if all is as it should be.
import json
import sys

from openai import AuthenticationError, BadRequestError, NotFoundError, OpenAI

client = OpenAI(base_url=sys.argv[1] + "/v1", api_key="secret", max_retries=0)
model = client.models.list().data[0].id
messages = [{"role": "user", "content": "Tell me of a king."}]


def chat(**more):
    return client.chat.completions.create(model=model, messages=messages, **{"max_tokens": 8, "seed": 3, **more})


def refused(error, **more):
    try:
        chat(**more)
    except error as found:
        return str(found)
    raise AssertionError(f"{more} was not refused")


noise = {"sigma": 0.1, "dynamics": "andersen", "tau": 8}
moved = chat(temperature=0, extra_body=noise)
assert moved.choices[0].message.content == chat(temperature=0, extra_body=noise).choices[0].message.content
assert moved.usage.completion_tokens <= 8

pieces = chat(temperature=0, extra_body=noise, stream=True, stream_options={"include_usage": True})
chunks = list(pieces)
streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
assert streamed == moved.choices[0].message.content, streamed
assert chunks[-1].usage.completion_tokens == moved.usage.completion_tokens

several = chat(n=3, temperature=1)
assert [choice.index for choice in several.choices] == [0, 1, 2]
assert len({choice.message.content for choice in several.choices}) > 1
whole = chat(temperature=0, max_tokens=20).choices[0].message.content
word = whole.split()[3]
assert word not in chat(temperature=0, max_tokens=20, stop=[word]).choices[0].message.content

told = chat(temperature=0, logprobs=True, top_logprobs=2).choices[0].logprobs.content
assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in told)
unsure = chat(temperature=0, logprobs=True, extra_body={"uncertainty": True, "members": 2}).choices[0].logprobs.content
assert all(token.uncertainty["information"] >= 0 for token in unsure)

schema = {"type": "object", "properties": {"king": {"enum": ["Arthur", "Lear"]}}, "required": ["king"]}
format = {"type": "json_schema", "json_schema": {"name": "king", "schema": schema}}
fitting = chat(response_format=format, max_tokens=40).choices[0].message.content
assert json.loads(fitting)["king"] in ("Arthur", "Lear")

assert client.responses.create(model=model, input="A king?", max_output_tokens=16).output_text != ""
assert client.completions.create(model=model, prompt="Once", max_tokens=3).choices[0].text != ""

assert "sigma" in refused(BadRequestError, extra_body={"sigmo": 0.1})
refused(NotFoundError, extra_body={"model": "another"})
wrong = OpenAI(base_url=sys.argv[1] + "/v1", api_key="wrong", max_retries=0)
try:
    wrong.models.list()
    raise AssertionError("a wrong key was let in")
except AuthenticationError:
    pass

abandoned = chat(stream=True, max_tokens=200, temperature=1)
next(iter(abandoned))
abandoned.close()
