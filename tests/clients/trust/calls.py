"""Makes one call with each Python library that is named, to `https://PREFIX<library>.trust.test`, and prints a line of JSON for each: its name,
its version, and the library's own exception if there was one. The arguments are PREFIX and the libraries. Nothing here knows of Tollgate.
"""

import asyncio
import importlib.metadata
import json
import os
import sys

PREFIX = sys.argv[1]


def host(name):
    return f"{PREFIX}{name}.trust.test"


def url(name):
    return f"https://{host(name)}"


def requests(name):
    import requests

    requests.get(url(name) + "/hello", timeout=10)


def httpx(name):
    import httpx

    httpx.get(url(name) + "/hello", timeout=10)


def httpx2(name):
    import httpx2

    httpx2.get(url(name) + "/hello", timeout=10)


def urllib3(name):
    import urllib3

    urllib3.PoolManager().request("GET", url(name) + "/hello", timeout=10, retries=False)


def urllib(name):
    from urllib.request import urlopen

    urlopen(url(name) + "/hello", timeout=10)


async def aiohttp(name):
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get(url(name) + "/hello"):
        pass


async def websockets(name):
    from websockets.asyncio.client import connect

    async with connect(url(name).replace("https", "wss") + "/socket"):
        pass


def openai(name):
    import openai

    openai.OpenAI(base_url=url(name) + "/v1", api_key="k", max_retries=0, timeout=10).models.list()


async def openai_async(name):
    import openai

    await openai.AsyncOpenAI(base_url=url(name) + "/v1", api_key="k", max_retries=0, timeout=10).models.list()


def anthropic(name):
    import anthropic

    anthropic.Anthropic(base_url=url(name), api_key="k", max_retries=0, timeout=10).models.list()


def langchain_openai(name):
    from langchain_openai import ChatOpenAI

    ChatOpenAI(base_url=url(name) + "/v1", api_key="k", model="gpt-5-mini", max_retries=0, timeout=10).invoke("hello")


def langchain_anthropic(name):
    from langchain_anthropic import ChatAnthropic

    ChatAnthropic(base_url=url(name), api_key="k", model="claude-haiku-4-5", max_retries=0, timeout=10).invoke("hello")


def grpcio(name):
    import grpc

    channel = grpc.secure_channel(host(name) + ":443", grpc.ssl_channel_credentials())
    channel.unary_unary("/test.Echo/Say")(b"hello", timeout=5)


def boto3(name):
    import boto3
    from botocore.config import Config

    patience = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1})
    boto3.client("sts", endpoint_url=url(name), region_name="eu-central-1", aws_access_key_id="k", aws_secret_access_key="k", config=patience).get_caller_identity()


def google_genai(name):
    from google import genai

    client = genai.Client(api_key="k", http_options=genai.types.HttpOptions(base_url=url(name), timeout=10000))
    client.models.get(model="gemini")


def huggingface_hub(name):
    from huggingface_hub import HfApi

    HfApi(endpoint=url(name)).model_info("some/model", timeout=10)


def langsmith(name):
    import langsmith

    langsmith.Client(api_url=url(name), api_key="k", timeout_ms=10000, auto_batch_tracing=False).read_run("00000000-0000-0000-0000-000000000000")


def tiktoken(name):
    from tiktoken.load import read_file

    read_file(url(name) + "/hello")


def qdrant_client(name):
    from qdrant_client import QdrantClient

    QdrantClient(url=url(name), port=443, timeout=10, check_compatibility=False).get_collections()


def pymongo(name):
    import pymongo

    pymongo.MongoClient(host(name), 443, tls=True, serverSelectionTimeoutMS=2000).admin.command("ping")


def redis(name):
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    redis.Redis(host(name), 443, ssl=True, socket_timeout=5, retry=Retry(NoBackoff(), 0)).ping()


async def asyncpg(name):
    """TLS from the first byte. Asked for inside its protocol, it is not opened."""
    import ssl

    import asyncpg

    await asyncpg.connect(host=host(name), port=443, user="u", database="d", direct_tls=True, ssl=ssl.create_default_context(), timeout=5)


async def asyncpg_verify_full(name):
    import asyncpg

    await asyncpg.connect(f"postgresql://u@{host(name)}:443/d?sslmode=verify-full", timeout=5)


def psycopg_verify_full(name):
    import psycopg

    psycopg.connect(f"host={host(name)} port=443 user=u dbname=d sslmode=verify-full sslrootcert=system connect_timeout=5")


# Each with the distribution whose version it has; none is the interpreter itself.
EVERY = {
    requests: "requests", httpx: "httpx", httpx2: "httpx2", urllib3: "urllib3", urllib: None, aiohttp: "aiohttp", websockets: "websockets",
    openai: "openai", openai_async: "openai", anthropic: "anthropic", langchain_openai: "langchain-openai", langchain_anthropic: "langchain-anthropic",
    grpcio: "grpcio", boto3: "boto3", google_genai: "google-genai", huggingface_hub: "huggingface_hub", langsmith: "langsmith", tiktoken: "tiktoken",
    qdrant_client: "qdrant-client", pymongo: "pymongo", redis: "redis", asyncpg: "asyncpg", asyncpg_verify_full: "asyncpg", psycopg_verify_full: "psycopg",
}


def version(distribution):
    return importlib.metadata.version(distribution) if distribution else sys.version.split()[0]


CALLS = {call.__name__.replace("_", "-"): (call, distribution) for call, distribution in EVERY.items()}
for name in sys.argv[2:]:
    call, distribution = CALLS[name]
    row = {"client": PREFIX + name, "version": version(distribution), "error": None}
    try:
        answer = call(name)
        if asyncio.iscoroutine(answer):
            asyncio.run(answer)
    except BaseException as error:  # what the library raised is told
        row["error"] = f"{type(error).__name__}: {error}"[:400]
    print(json.dumps(row), flush=True)
# Threads of some libraries would wait for their servers.
os._exit(0)
