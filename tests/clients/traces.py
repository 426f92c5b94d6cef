"""Sends what was said to a model where traces go, with real client libraries, and prints one JSON object for each.

Input: a JSON list of calls with `client` (`langsmith` or `otlp`), `url`, and `text`. Nothing here knows of Tollgate.
"""

import json
import sys


def langsmith(url, text):
    from langsmith import Client
    from langsmith.run_trees import RunTree

    # As the service says of itself at /info.
    limits = {"size_limit": 100, "size_limit_bytes": 20 << 20, "scale_up_nthreads_limit": 4, "scale_up_qsize_trigger": 1000, "scale_down_nempty_trigger": 4}
    info = {"batch_ingest_config": {"use_multipart_endpoint": True, **limits}, "instance_flags": {"zstd_compression_enabled": True}}
    client = Client(api_url=url, api_key="agent-key", info=info)
    run = RunTree(name="chat", run_type="llm", inputs={"messages": [{"role": "user", "content": text}]}, client=client)
    run.post()
    run.end(outputs={"said": json.dumps({"to": text})})
    run.patch()
    client.flush()


def otlp(url, text):
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{url}/v1/traces")))
    with provider.get_tracer("agent").start_as_current_span("chat") as span:
        span.set_attribute("gen_ai.input.messages", json.dumps([{"role": "user", "content": text}]))
        span.add_event("said", {"content": text})
    provider.shutdown()


def main():
    clients = {"langsmith": langsmith, "otlp": otlp}
    for call in json.load(sys.stdin):
        clients[call["client"]](call["url"], call["text"])
        print(json.dumps({"client": call["client"], "sent": True}), flush=True)


main()
