"""Makes calls with real client libraries and prints what each returned: one JSON object a line, or the library's own exception.

Input: a JSON list of calls. `client` names the library; a chat call has `model`, `prompt` and optionally `stream`, `tools`, `async`,
`timeout`; a plain HTTP call has `method`, `url` and optionally `json`, or `form` (a file's text), and `timeout`. With `--at-once` each
call has a thread and clients of its own. Nothing here knows of Tollgate.
"""

import asyncio
import functools
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


CLIENTS = {}


def once(name, make):
    """One client for all calls, so that its connections are used again, as they are in an agent."""
    mine = CLIENTS.setdefault(threading.get_ident(), {})
    if name not in mine:
        mine[name] = make()
    return mine[name]


def made(module, name):
    return once((module, name), lambda: getattr(__import__(module), name)())


def patience(call):
    return {"timeout": call["timeout"]} if call.get("timeout") else {}


def said(call):
    """What is asked in the format of OpenAI's chat completions."""
    asked = {"model": call["model"], "messages": [{"role": "user", "content": call["prompt"]}]}
    if call.get("tools"):
        asked["tools"] = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
    return asked


def joined(chunks):
    """A chat completion in chunks, of which one has the counts."""
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    parts = [part for delta in deltas for part in delta.tool_calls or []]
    tools = [[parts[0].function.name, "".join(part.function.arguments or "" for part in parts)]] if parts else []
    usage = next(chunk.usage for chunk in chunks if chunk.usage)
    return shown("".join(delta.content or "" for delta in deltas), tools, usage.prompt_tokens, usage.completion_tokens)


def completed(answer):
    """One in one piece."""
    message = answer.choices[0].message
    tools = [[tool.function.name, tool.function.arguments] for tool in message.tool_calls or []]
    return shown(message.content, tools, answer.usage.prompt_tokens, answer.usage.completion_tokens)


async def openai(call, client=None):
    client = client or made("openai", "AsyncOpenAI" if call.get("async") else "OpenAI")
    arguments = {**said(call), **patience(call)}
    if not call.get("stream"):
        answer = client.chat.completions.create(**arguments)
        return completed(await answer if call.get("async") else answer)
    stream = client.chat.completions.create(**arguments, stream=True, stream_options={"include_usage": True})
    return joined([chunk async for chunk in await stream] if call.get("async") else list(stream))


async def openai_responses(call):
    client = made("openai", "AsyncOpenAI" if call.get("async") else "OpenAI")
    arguments = {"model": call["model"], "input": call["prompt"], **patience(call)}
    if call.get("tools"):
        arguments["tools"] = [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}]
    answer = client.responses.create(**arguments, stream=bool(call.get("stream")))
    answer = await answer if call.get("async") else answer
    if call.get("stream"):
        events = [event async for event in answer] if call.get("async") else list(answer)
        assert [event.sequence_number for event in events] == list(range(len(events)))
        answer = events[-1].response
        # A client may read the deltas or what repeats them.
        said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        again = [event.text for event in events if event.type == "response.output_text.done"]
        assert said == answer.output_text and again in ([], [said]), f"{said} {again} {answer.output_text}"
    tools = [[item.name, item.arguments] for item in answer.output if item.type == "function_call"]
    return shown(answer.output_text, tools, answer.usage.input_tokens, answer.usage.output_tokens)


async def openai_realtime(call):
    """A conversation, as the library dispatches its events; the result of a tool goes back to the model."""
    client = made("openai", "AsyncOpenAI" if call.get("async") else "OpenAI")
    manager = client.realtime.connect(model=call["model"])
    connection = await manager.enter() if call.get("async") else manager.enter()
    events, tools, usage = [], [], [0, 0]
    kind, field = ("output_audio_transcript", "transcript") if call.get("spoken") else ("output_text", "text")
    session = {"type": "realtime", "output_modalities": ["audio" if call.get("spoken") else "text"]}
    if call.get("tools"):
        session["tools"] = [{"type": "function", "name": "weather", "parameters": SCHEMA}]
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": call["prompt"]}]}
    answers = []

    def said(item):
        return [{"type": "conversation.item.create", "item": item}, {"type": "response.create"}]

    def answered(event):
        answers.append(event.response)
        usage[0] += event.response.usage.input_tokens
        usage[1] += event.response.usage.output_tokens
        calls = [item for item in event.response.output if item.type == "function_call"]
        for item in calls:
            tools.append([item.name, item.arguments])
            for more in said({"type": "function_call_output", "call_id": item.call_id, "output": weather(**json.loads(item.arguments))}):
                yield more
        if not calls:
            yield None

    async def asynchronously(event):
        for more in answered(event):
            await (connection.send(more) if more else connection.close())

    def blocking(event):
        for more in answered(event):
            connection.send(more) if more else connection.close()

    connection.on("response.done", asynchronously if call.get("async") else blocking)
    for heard in (f"response.{kind}.delta", f"response.{kind}.done", "response.output_audio.delta", "response.function_call_arguments.delta", "response.function_call_arguments.done"):
        connection.on(heard, events.append)
    for event in [{"type": "session.update", "session": session}, *said(item)]:
        await connection.send(event) if call.get("async") else connection.send(event)
    await connection.dispatch_events() if call.get("async") else connection.dispatch_events()
    text = "".join(event.delta for event in events if event.type == f"response.{kind}.delta")
    again = [getattr(event, field) for event in events if event.type == f"response.{kind}.done"]
    last = [getattr(part, field) for item in answers[-1].output for part in item.content]
    assert [text] == again == last, f"{text} {again} {last}"
    arguments = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    assert arguments == "".join(arguments for _, arguments in tools), f"{arguments} {tools}"
    sound = [event.delta for event in events if event.type == "response.output_audio.delta"]
    return {**shown(text, tools, *usage), "events": len(events), "sound": sound}


async def openai_connected(call):
    """Responses over a WebSocket, as the library dispatches their events; the result of a tool goes back to the model."""
    client = made("openai", "AsyncOpenAI" if call.get("async") else "OpenAI")
    manager = client.responses.connect()
    connection = await manager.enter() if call.get("async") else manager.enter()
    events, tools, usage, answers = [], [], [0, 0], []
    asked = {"model": call["model"]}
    if call.get("tools"):
        asked["tools"] = [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}]
    said = [{"role": "user", "content": call["prompt"]}]

    def answered(event):
        """What to say next; nothing at the end."""
        answers.append(event.response)
        usage[0] += event.response.usage.input_tokens
        usage[1] += event.response.usage.output_tokens
        calls = [item for item in event.response.output if item.type == "function_call"]
        for item in calls:
            tools.append([item.name, item.arguments])
            said.append({"type": "function_call", "call_id": item.call_id, "name": item.name, "arguments": item.arguments})
            said.append({"type": "function_call_output", "call_id": item.call_id, "output": weather(**json.loads(item.arguments))})
        return calls

    async def asynchronously(event):
        await (connection.response.create(**asked, input=said) if answered(event) else connection.close())

    def blocking(event):
        connection.response.create(**asked, input=said) if answered(event) else connection.close()

    connection.on("response.completed", asynchronously if call.get("async") else blocking)
    for heard in ("output_text.delta", "output_text.done", "function_call_arguments.delta", "function_call_arguments.done"):
        connection.on(f"response.{heard}", events.append)
    first = connection.response.create(**asked, input=said)
    await first if call.get("async") else first
    await connection.dispatch_events() if call.get("async") else connection.dispatch_events()
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    again = [event.text for event in events if event.type == "response.output_text.done"]
    assert [text] == again == [answers[-1].output_text], f"{text} {again} {answers[-1].output_text}"
    arguments = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    assert arguments == "".join(arguments for _, arguments in tools), f"{arguments} {tools}"
    return {**shown(text, tools, *usage), "events": len(events)}


async def openai_completions(call):
    client = made("openai", "AsyncOpenAI" if call.get("async") else "OpenAI")
    arguments = {"model": call["model"], "prompt": call["prompt"], **patience(call)}
    if not call.get("stream"):
        answer = client.completions.create(**arguments)
        answer = await answer if call.get("async") else answer
        return shown(answer.choices[0].text, [], answer.usage.prompt_tokens, answer.usage.completion_tokens)
    stream = client.completions.create(**arguments, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in await stream] if call.get("async") else list(stream)
    text = "".join(choice.text for chunk in chunks for choice in chunk.choices)
    usage = next(chunk.usage for chunk in chunks if chunk.usage)
    return shown(text, [], usage.prompt_tokens, usage.completion_tokens)


async def openai_embeddings(call):
    client = made("openai", "AsyncOpenAI" if call.get("async") else "OpenAI")
    answer = client.embeddings.create(model=call["model"], input=call["prompt"], **call.get("with", {}))
    answer = await answer if call.get("async") else answer
    return {"vectors": [data.embedding for data in answer.data], "usage": answer.usage.prompt_tokens}


async def openai_models(call):
    client = made("openai", "AsyncOpenAI" if call.get("async") else "OpenAI")
    if call.get("async"):
        return {"ids": [model.id async for model in client.models.list()], "one": (await client.models.retrieve(call["model"])).id}
    return {"ids": [model.id for model in client.models.list()], "one": client.models.retrieve(call["model"]).id}


async def openai_kept(call):
    """What is done with a response that the provider keeps."""
    responses = made("openai", "OpenAI").responses
    asked = [part.text for item in responses.input_items.list(call["id"]) for part in item.content]
    return {"text": responses.retrieve(call["id"]).output_text, "asked": asked, "status": responses.cancel(call["id"]).status, "deleted": responses.delete(call["id"])}


async def anthropic_count(call):
    client = made("anthropic", "AsyncAnthropic" if call.get("async") else "Anthropic")
    answer = client.messages.count_tokens(model=call["model"], messages=[{"role": "user", "content": call["prompt"]}])
    return {"tokens": (await answer if call.get("async") else answer).input_tokens}


async def anthropic_models(call):
    client = made("anthropic", "AsyncAnthropic" if call.get("async") else "Anthropic")
    return {"ids": [model.id async for model in client.models.list()] if call.get("async") else [model.id for model in client.models.list()]}


async def anthropic(call):
    client = made("anthropic", "AsyncAnthropic" if call.get("async") else "Anthropic")
    arguments = {"model": call["model"], "max_tokens": 100, "messages": [{"role": "user", "content": call["prompt"]}], **patience(call)}
    if call.get("tools"):
        arguments["tools"] = [{"name": "weather", "description": "weather", "input_schema": SCHEMA}]
    if call.get("stream") and call.get("async"):
        async with client.messages.stream(**arguments) as stream:
            answer = await stream.get_final_message()
    elif call.get("stream"):
        with client.messages.stream(**arguments) as stream:
            answer = stream.get_final_message()
    else:
        answer = client.messages.create(**arguments)
        answer = await answer if call.get("async") else answer
    text = "".join(block.text for block in answer.content if block.type == "text")
    tools = [[block.name, json.dumps(block.input)] for block in answer.content if block.type == "tool_use"]
    return shown(text, tools, answer.usage.input_tokens, answer.usage.output_tokens)


async def langchain(call, model):
    """An agent's loop: the model may call a tool, whose result goes back to it."""
    from langchain_core.messages import HumanMessage, ToolMessage

    model = model(model=call["model"], **patience(call))
    model = model.bind_tools([weather]) if call.get("tools") else model
    messages, tools = [HumanMessage(call["prompt"])], []
    while True:
        if call.get("stream"):
            chunks = [chunk async for chunk in model.astream(messages)] if call.get("async") else list(model.stream(messages))
            answer = functools.reduce(lambda whole, chunk: whole + chunk, chunks)
        else:
            answer = await model.ainvoke(messages) if call.get("async") else model.invoke(messages)
        if not answer.tool_calls:
            usage = answer.usage_metadata
            return shown(answer.text, tools, usage["input_tokens"], usage["output_tokens"])
        messages.append(answer)
        for tool in answer.tool_calls:
            tools.append([tool["name"], json.dumps(tool["args"])])
            messages.append(ToolMessage(weather(**tool["args"]), tool_call_id=tool["id"]))


async def langchain_openai(call):
    from langchain_openai import ChatOpenAI

    return await langchain(call, ChatOpenAI)


async def langchain_responses(call):
    from langchain_openai import ChatOpenAI

    return await langchain(call, functools.partial(ChatOpenAI, use_responses_api=True))


async def langchain_embeddings(call):
    from langchain_openai import OpenAIEmbeddings

    model = OpenAIEmbeddings(model=call["model"], check_embedding_ctx_length=False)
    return {"vectors": await model.aembed_documents(call["prompt"]) if call.get("async") else model.embed_documents(call["prompt"])}


async def langchain_anthropic(call):
    from langchain_anthropic import ChatAnthropic

    return await langchain(call, ChatAnthropic)


async def langgraph(call):
    """The loop again, as LangGraph's own agent runs it."""
    from langchain_openai import ChatOpenAI
    from langgraph.prebuilt import create_react_agent

    agent = create_react_agent(ChatOpenAI(model=call["model"]), [weather] if call.get("tools") else [])
    asked = {"messages": [("user", call["prompt"])]}
    if call.get("stream"):
        states = [state async for state in agent.astream(asked, stream_mode="values")] if call.get("async") else list(agent.stream(asked, stream_mode="values"))
        state = states[-1]
    else:
        state = await agent.ainvoke(asked) if call.get("async") else agent.invoke(asked)
    answers = [message for message in state["messages"] if message.type == "ai"]
    tools = [[tool["name"], json.dumps(tool["args"])] for answer in answers for tool in answer.tool_calls]
    usage = answers[-1].usage_metadata
    return shown(answers[-1].text, tools, usage["input_tokens"], usage["output_tokens"])


async def openai_azure(call):
    """The model is named by the path."""
    from openai import AsyncAzureOpenAI, AzureOpenAI

    kind = AsyncAzureOpenAI if call.get("async") else AzureOpenAI
    options = {"azure_endpoint": "https://acme.openai.azure.com", "api_key": "agent-key", "api_version": "2025-04-01-preview"}
    return await openai(call, once(kind, lambda: kind(**options)))


async def google_genai(call, vertex=False):
    from google.genai import Client

    options = {"timeout": 1000 * call["timeout"]} if call.get("timeout") else None
    client = once(("google-genai", vertex), lambda: Client(vertexai=vertex, http_options=options))
    models = client.aio.models if call.get("async") else client.models
    arguments = {"model": call["model"], "contents": call["prompt"]}
    if call.get("tools"):
        arguments["config"] = {"tools": [{"function_declarations": [{"name": "weather", "parameters_json_schema": SCHEMA}]}]}
    if call.get("stream") and call.get("async"):
        chunks = [chunk async for chunk in await models.generate_content_stream(**arguments)]
    elif call.get("stream"):
        chunks = list(models.generate_content_stream(**arguments))
    else:
        answer = models.generate_content(**arguments)
        chunks = [await answer if call.get("async") else answer]
    parts = [part for chunk in chunks for candidate in chunk.candidates for part in candidate.content.parts]
    tools = [[part.function_call.name, json.dumps(part.function_call.args)] for part in parts if part.function_call]
    usage = chunks[-1].usage_metadata
    return shown("".join(part.text or "" for part in parts), tools, usage.prompt_token_count, usage.candidates_token_count)


async def google_vertex(call):
    """The same at Vertex AI, with a key."""
    return await google_genai(call, vertex=True)


async def google_measured(call):
    """Vectors, and the number of tokens."""
    from google.genai import Client

    client = once("google-measured", Client)
    models = client.aio.models if call.get("async") else client.models
    vectors = models.embed_content(model=call["model"], contents=call["prompt"])
    vectors = await vectors if call.get("async") else vectors
    tokens = models.count_tokens(model=call["model"], contents=call["prompt"])
    tokens = await tokens if call.get("async") else tokens
    return {"vectors": [vector.values for vector in vectors.embeddings], "tokens": tokens.total_tokens}


def ollama_client(call):
    import ollama

    kind = ollama.AsyncClient if call.get("async") else ollama.Client
    return once(kind, lambda: kind("https://ollama.com", **patience(call)))


async def ollama_parts(call, answer):
    """The parts of an answer, one of an answer in one piece."""
    answer = await answer if call.get("async") else answer
    if not call.get("stream"):
        return [answer]
    return [part async for part in answer] if call.get("async") else list(answer)


async def ollama(call):
    arguments = {"model": call["model"], "messages": [{"role": "user", "content": call["prompt"]}], "stream": bool(call.get("stream"))}
    if call.get("tools"):
        arguments["tools"] = [{"type": "function", "function": {"name": "weather", "description": "weather", "parameters": SCHEMA}}]
    parts = await ollama_parts(call, ollama_client(call).chat(**arguments))
    calls = [tool.function for part in parts for tool in part.message.tool_calls or []]
    tools = [[tool.name, json.dumps(dict(tool.arguments))] for tool in calls]
    text = "".join(part.message.content or "" for part in parts)
    return shown(text, tools, parts[-1].prompt_eval_count, parts[-1].eval_count)


async def ollama_generate(call):
    answer = ollama_client(call).generate(model=call["model"], prompt=call["prompt"], stream=bool(call.get("stream")))
    parts = await ollama_parts(call, answer)
    return shown("".join(part.response for part in parts), [], parts[-1].prompt_eval_count, parts[-1].eval_count)


async def ollama_embed(call):
    answer = ollama_client(call).embed(model=call["model"], input=call["prompt"])
    answer = await answer if call.get("async") else answer
    return {"vectors": [list(vector) for vector in answer.embeddings]}


async def langchain_google_genai(call):
    from langchain_google_genai import ChatGoogleGenerativeAI

    return await langchain(call, ChatGoogleGenerativeAI)


async def langchain_ollama(call):
    from langchain_ollama import ChatOllama

    return await langchain(call, functools.partial(ChatOllama, base_url="https://ollama.com"))


def cohere_client(call, kind):
    import cohere

    name = ("Async" if call.get("async") else "") + kind
    return once(("cohere", name), lambda: getattr(cohere, name)("agent-key", timeout=call.get("timeout") or 300))


def unless_error(end, text):
    """The library raises nothing inside a stream: whoever reads it finds there why it ended."""
    from cohere.core.api_error import ApiError

    if end.finish_reason == "ERROR":
        raise ApiError(body=text)
    return end


async def cohere(call):
    client = cohere_client(call, "ClientV2")
    arguments = {"model": call["model"], "messages": [{"role": "user", "content": call["prompt"]}]}
    if call.get("tools"):
        arguments["tools"] = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
    if not call.get("stream"):
        answer = client.chat(**arguments)
        answer = await answer if call.get("async") else answer
        tools = [[tool.function.name, tool.function.arguments] for tool in answer.message.tool_calls or []]
        text = "".join(part.text for part in answer.message.content or [])
        return shown(text, tools, answer.usage.billed_units.input_tokens, answer.usage.billed_units.output_tokens)
    stream = client.chat_stream(**arguments)
    events = [event async for event in stream] if call.get("async") else list(stream)
    text = "".join(event.delta.message.content.text for event in events if event.type == "content-delta")
    calls = [event.delta.message.tool_calls.function for event in events if event.type in ("tool-call-start", "tool-call-delta")]
    tools = [[calls[0].name, "".join(function.arguments for function in calls)]] if calls else []
    end = unless_error(events[-1].delta, events[-1].delta.error)
    return shown(text, tools, end.usage.billed_units.input_tokens, end.usage.billed_units.output_tokens)


async def cohere_older(call):
    """The first version of the API, whose streams are lines."""
    client = cohere_client(call, "Client")
    arguments = {"model": call["model"], "message": call["prompt"]}
    if call.get("tools"):
        city = {"city": {"description": "a city", "type": "str", "required": True}}
        arguments["tools"] = [{"name": "weather", "description": "weather", "parameter_definitions": city}]
    if not call.get("stream"):
        answer = client.chat(**arguments)
        answer = await answer if call.get("async") else answer
    else:
        stream = client.chat_stream(**arguments)
        events = [event async for event in stream] if call.get("async") else list(stream)
        answer = unless_error(events[-1], getattr(events[-1], "error", None)).response
        said = "".join(event.text for event in events if event.event_type == "text-generation")
        assert said == answer.text, f"{said} {answer.text}"
    tools = [[tool.name, json.dumps(tool.parameters)] for tool in answer.tool_calls or []]
    return shown(answer.text, tools, answer.meta.billed_units.input_tokens, answer.meta.billed_units.output_tokens)


async def cohere_measured(call):
    """Vectors, and an order."""
    client = cohere_client(call, "ClientV2")
    vectors = client.embed(model=call["model"], texts=[call["prompt"], "and this"], input_type="search_document", embedding_types=["float"])
    vectors = await vectors if call.get("async") else vectors
    ranked = client.rerank(model=call["model"], query=call["prompt"], documents=["one", "another"])
    ranked = await ranked if call.get("async") else ranked
    return {"vectors": vectors.embeddings.float_, "texts": vectors.texts, "ranked": [result.index for result in ranked.results]}


async def mistral(call):
    return await mistral_chat(call, mistral_client().chat, said(call))


async def mistral_chat(call, api, asked):
    timeout = {"timeout_ms": 1000 * call["timeout"]} if call.get("timeout") else {}
    answer = getattr(api, ("stream" if call.get("stream") else "complete") + ("_async" if call.get("async") else ""))(**asked, **timeout)
    answer = await answer if call.get("async") else answer
    if not call.get("stream"):
        return completed(answer)
    return joined([event.data async for event in answer] if call.get("async") else [event.data for event in answer])


def mistral_client():
    from mistralai.client import Mistral

    return once("mistral", lambda: Mistral(api_key="agent-key"))


async def mistral_fim(call):
    return await mistral_chat(call, mistral_client().fim, {"model": call["model"], "prompt": call["prompt"], "suffix": "return x"})


async def mistral_agent(call):
    asked = said(call)
    return await mistral_chat(call, mistral_client().agents, {"agent_id": asked.pop("model"), **asked})


async def mistral_conversation(call, kept=None):
    """An answer in a conversation: its first, or one in a conversation that is kept."""
    api = mistral_client().beta.conversations
    asked = {"inputs": call["prompt"], **({"conversation_id": kept} if kept else {"model": call["model"]})}
    if call.get("tools"):
        asked["tools"] = said(call)["tools"]
    if call.get("timeout"):
        asked["timeout_ms"] = 1000 * call["timeout"]
    name = ("append" if kept else "start") + ("_stream" if call.get("stream") else "") + ("_async" if call.get("async") else "")
    answer = getattr(api, name)(**asked)
    answer = await answer if call.get("async") else answer
    if call.get("stream"):
        events = [event.data async for event in answer] if call.get("async") else [event.data for event in answer]
        text = "".join(event.content for event in events if event.type == "message.output.delta")
        calls = [event for event in events if event.type == "function.call.delta"]
        tools = [[calls[0].name, "".join(event.arguments for event in calls)]] if calls else []
        usage = events[-1].usage
    else:
        text = "".join(output.content for output in answer.outputs if output.type == "message.output")
        tools = [[output.name, output.arguments] for output in answer.outputs if output.type == "function.call"]
        usage = answer.usage
    return shown(text, tools, usage.prompt_tokens, usage.completion_tokens)


async def mistral_kept(call):
    """What is done with a conversation that the provider keeps."""
    api = mistral_client().beta.conversations
    answers = [(await mistral_conversation({"prompt": "hello", "stream": stream}, kept=call["id"]))["text"] for stream in (False, True)]
    entries = [entry.content for entry in api.get_history(conversation_id=call["id"]).entries]
    api.delete(conversation_id=call["id"])
    return {"answers": answers, "entries": entries}


async def groq(call):
    chat = made("groq", "AsyncGroq" if call.get("async") else "Groq").chat.completions
    answer = chat.create(**said(call), **patience(call), stream=bool(call.get("stream")))
    answer = await answer if call.get("async") else answer
    if not call.get("stream"):
        return completed(answer)
    chunks = [chunk async for chunk in answer] if call.get("async") else list(answer)
    # Where nobody asks for the counts, they stand beside the chunk.
    counted = [chunk for chunk in chunks if chunk.x_groq and chunk.x_groq.usage]
    counted[-1].usage = counted[-1].x_groq.usage
    return joined(chunks)


async def openrouter(call):
    from openrouter import OpenRouter

    chat = once("openrouter", lambda: OpenRouter(api_key="agent-key")).chat
    timeout = {"timeout_ms": 1000 * call["timeout"]} if call.get("timeout") else {}
    answer = (chat.send_async if call.get("async") else chat.send)(**said(call), **timeout, stream=bool(call.get("stream")))
    answer = await answer if call.get("async") else answer
    if not call.get("stream"):
        return {**completed(answer), "cost": answer.usage.cost}
    chunks = [chunk async for chunk in answer] if call.get("async") else list(answer)
    return {**joined(chunks), "cost": next(chunk.usage.cost for chunk in chunks if chunk.usage)}


def boto3_client(call):
    """A client for Bedrock, with the key in the environment, or with one that signs."""
    from boto3.session import Session
    from botocore.config import Config

    options = {"read_timeout": call["timeout"]} if call.get("timeout") else {}
    key, secret = call["key"].split(":") if call.get("key") else (None, None)
    if key:
        options["signature_version"] = "v4"
    session = functools.partial(Session, key, secret, region_name=call.get("region"))
    return once(("boto3", key, call.get("region"), call.get("timeout")), lambda: session().client("bedrock-runtime", config=Config(**options)))


async def boto3_converse(call):
    arguments = {"modelId": call["model"], "messages": [{"role": "user", "content": [{"text": call["prompt"]}]}]}
    if call.get("tools"):
        arguments["toolConfig"] = {"tools": [{"toolSpec": {"name": "weather", "description": "weather", "inputSchema": {"json": SCHEMA}}}]}
    if not call.get("stream"):
        answer = boto3_client(call).converse(**arguments)
        blocks = answer["output"]["message"]["content"]
        tools = [[block["toolUse"]["name"], json.dumps(block["toolUse"]["input"])] for block in blocks if "toolUse" in block]
        usage = answer["usage"]
        return shown("".join(block.get("text", "") for block in blocks), tools, usage["inputTokens"], usage["outputTokens"])
    events = list(boto3_client(call).converse_stream(**arguments)["stream"])
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    names = [event["contentBlockStart"]["start"]["toolUse"]["name"] for event in events if "contentBlockStart" in event]
    tools = [[names[0], "".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta)]] if names else []
    usage = next(event["metadata"]["usage"] for event in events if "metadata" in event)
    return shown("".join(delta.get("text", "") for delta in deltas), tools, usage["inputTokens"], usage["outputTokens"])


async def boto3_invoke(call):
    """In the model's own format."""
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": [{"role": "user", "content": call["prompt"]}]}
    if call.get("tools"):
        body["tools"] = [{"name": "weather", "description": "weather", "input_schema": SCHEMA}]
    arguments = {"modelId": call["model"], "body": json.dumps(body)}
    if not call.get("stream"):
        answer = json.loads(boto3_client(call).invoke_model(**arguments)["body"].read())
        blocks, usage = answer["content"], answer["usage"]
        tools = [[block["name"], json.dumps(block["input"])] for block in blocks if block["type"] == "tool_use"]
        return shown("".join(block.get("text", "") for block in blocks), tools, usage["input_tokens"], usage["output_tokens"])
    chunks = boto3_client(call).invoke_model_with_response_stream(**arguments)["body"]
    events = [json.loads(chunk["chunk"]["bytes"]) for chunk in chunks]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    names = [event["content_block"]["name"] for event in events if event["type"] == "content_block_start" and "name" in event["content_block"]]
    tools = [[names[0], "".join(delta.get("partial_json", "") for delta in deltas)]] if names else []
    metrics = events[-1]["amazon-bedrock-invocationMetrics"]
    return shown("".join(delta.get("text", "") for delta in deltas), tools, metrics["inputTokenCount"], metrics["outputTokenCount"])


async def boto3_count(call):
    asked = {"converse": {"messages": [{"role": "user", "content": [{"text": call["prompt"]}]}]}}
    return {"tokens": boto3_client(call).count_tokens(modelId=call["model"], input=asked)["inputTokens"]}


async def boto3_count_own(call):
    """Of a call in the model's own format."""
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": [{"role": "user", "content": call["prompt"]}]}
    asked = {"invokeModel": {"body": json.dumps(body)}}
    return {"tokens": boto3_client(call).count_tokens(modelId=call["model"], input=asked)["inputTokens"]}


async def boto3_guardrail(call):
    content = [{"text": {"text": call["prompt"]}}]
    answer = boto3_client(call).apply_guardrail(guardrailIdentifier=call["model"], guardrailVersion="1", source="INPUT", content=content)
    return {"action": answer["action"], "outputs": [output["text"] for output in answer["outputs"]]}


async def langchain_aws(call):
    from langchain_aws import ChatBedrockConverse

    return await langchain(call, functools.partial(ChatBedrockConverse, provider="amazon", disable_streaming=False))


def files(call):
    return {"file": ("a.txt", call["form"])} if "form" in call else None


async def requests(call):
    answer = made("requests", "Session").request(call["method"], call["url"], json=call.get("json"), files=files(call), timeout=call.get("timeout", 30))
    return {"status": answer.status_code, "body": answer.text}


async def httpx(call, module="httpx"):
    client = made(module, "AsyncClient" if call.get("async") else "Client")
    answer = client.request(call["method"], call["url"], json=call.get("json"), files=files(call), timeout=call.get("timeout", 30))
    answer = await answer if call.get("async") else answer
    return {"status": answer.status_code, "body": answer.text}


async def httpx2(call):
    return await httpx(call, "httpx2")


async def aiohttp(call):
    async with made("aiohttp", "ClientSession").request(call["method"], call["url"], json=call.get("json")) as answer:
        return {"status": answer.status, "body": await answer.text()}


async def urllib3(call):
    answer = made("urllib3", "PoolManager").request(call["method"], call["url"], json=call.get("json"), timeout=30)
    return {"status": answer.status, "body": answer.data.decode()}


async def urllib(call):
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    data = json.dumps(call["json"]).encode() if "json" in call else None
    try:
        answer = urlopen(Request(call["url"], data, {"content-type": "application/json"} if data else {}, method=call["method"]), timeout=30)
    except HTTPError as refused:
        answer = refused
    return {"status": answer.status, "body": answer.read().decode()}


async def grpc(call):
    """`method` of a service at `target`; a stream sends its next message when the last was answered."""
    import queue

    import grpc

    channel = once(("grpc", call["target"]), lambda: grpc.secure_channel(call["target"], grpc.ssl_channel_credentials()))
    messages = [message.encode() for message in call["messages"]]
    try:
        if not call.get("stream"):
            answer, done = channel.unary_unary(call["method"]).with_call(messages[0], timeout=30)
            answers = [answer]
        else:
            asked, answers = queue.SimpleQueue(), []
            done = channel.stream_stream(call["method"])(iter(asked.get, None), timeout=30)
            for message in messages:
                asked.put(message)
                answers.append(next(done))
            asked.put(None)
            answers += list(done)
    except grpc.RpcError as error:
        return {"code": error.code().name, "details": error.details()}
    trailers = {pair.key: pair.value for pair in done.trailing_metadata()}
    return {"code": done.code().name, "answers": [answer.decode() for answer in answers], "trailers": trailers}


async def websockets(call):
    """Sends each message and hears what comes back; then a ping, and the goodbye."""
    from websockets.asyncio.client import connect

    heard = []
    async with connect(call["url"], max_size=None, subprotocols=["chat"]) as socket:
        for message in call["send"]:
            message = message * call.get("times", 1)
            await socket.send(bytes(message, "utf-8") if call.get("binary") else message)
            answer = await socket.recv()
            heard.append([type(answer).__name__, answer.decode() if isinstance(answer, bytes) else answer])
        await (await socket.ping(b"still there?"))
        await socket.close(call.get("code", 1000), "bye")
        return {"heard": heard, "subprotocol": socket.subprotocol, "code": socket.close_code, "reason": socket.close_reason}


def shown(text, tools, used, made):
    return {"text": text or "", "tools": tools, "usage": [used, made]}


CHAT = (openai, openai_azure, openai_responses, openai_completions, anthropic, langchain_openai, langchain_responses, langchain_anthropic, langgraph)
FAMILIES = (google_genai, google_vertex, google_measured, ollama, ollama_generate, ollama_embed, langchain_google_genai, langchain_ollama, cohere, cohere_older, cohere_measured, mistral, mistral_conversation, groq, openrouter, boto3_converse, boto3_invoke, boto3_count, boto3_count_own, boto3_guardrail, langchain_aws)
OTHER = (mistral_fim, mistral_agent, mistral_kept, openai_realtime, openai_connected, openai_embeddings, openai_models, openai_kept, anthropic_count, anthropic_models, langchain_embeddings)
PLAIN = (requests, websockets, httpx, httpx2, aiohttp, urllib3, urllib, grpc)
KNOWN = {f.__name__.replace("_", "-"): f for f in CHAT + FAMILIES + OTHER + PLAIN}


async def result(call):
    try:
        return await KNOWN[call["client"]](call)
    except Exception as error:  # what the library raised is the result
        module = type(error).__module__.split(".")[0]
        status = getattr(error, "code" if module == "google" else "status_code", None)
        if module == "botocore":
            status = getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode")
        # Libraries that check a stream's events by a schema have the whole of a strange one apart.
        message = error.body if type(error).__name__ == "ResponseValidationError" else str(error)
        return {"error": type(error).__name__, "module": module, "status": status, "message": message}


async def main():
    calls = json.load(sys.stdin)
    if "--at-once" in sys.argv:
        with ThreadPoolExecutor(len(calls)) as threads:
            for answer in threads.map(lambda call: asyncio.run(result(call)), calls):
                print(json.dumps(answer))
        return
    for call in calls:
        print(json.dumps(await result(call)), flush=True)
    if session := CLIENTS.get(threading.get_ident(), {}).get(("aiohttp", "ClientSession")):
        await session.close()


asyncio.run(main())
