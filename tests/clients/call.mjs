// Makes calls with Node's own fetch and with libraries from npm, and prints what each returned: one JSON object a line, or the library's
// own exception. Its argument is the folder the libraries are installed in. Input as call.py: a JSON list of calls; `client` names the
// library; a chat call has `model`, `prompt` and optionally `stream`, `tools`, and for openai `timeout` (seconds); a plain HTTP call
// has `method`, `url` and optionally `json`, or for fetch `form` (a file's text) and `timeout`.
// Nothing here knows of Tollgate.

import { createRequire } from "node:module";

const library = createRequire(`${process.argv[2]}/package.json`);
const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const made = {};

/** One client for all calls, so that its connections are used again, as they are in an agent. */
function once(name, make) {
  return (made[name] ??= make());
}

const shown = (text, tools, used, made) => ({ text: text ?? "", tools, usage: [used, made] });

async function openai(call) {
  const client = once("openai", () => new (library("openai").OpenAI)());
  const patience = call.timeout ? { timeout: 1000 * call.timeout } : undefined;
  const asked = { model: call.model, messages: [{ role: "user", content: call.prompt }] };
  if (call.tools) asked.tools = [{ type: "function", function: { name: "weather", parameters: SCHEMA } }];
  if (!call.stream) {
    const { choices, usage } = await client.chat.completions.create(asked, patience);
    const tools = (choices[0].message.tool_calls ?? []).map((tool) => [tool.function.name, tool.function.arguments]);
    return shown(choices[0].message.content, tools, usage.prompt_tokens, usage.completion_tokens);
  }
  let text = "", name, parts = "", usage;
  const streamed = { ...asked, stream: true, stream_options: { include_usage: true } };
  for await (const chunk of await client.chat.completions.create(streamed, patience)) {
    usage = chunk.usage ?? usage;
    for (const { delta } of chunk.choices) {
      text += delta.content ?? "";
      for (const tool of delta.tool_calls ?? []) {
        name ??= tool.function.name;
        parts += tool.function.arguments ?? "";
      }
    }
  }
  return shown(text, name ? [[name, parts]] : [], usage.prompt_tokens, usage.completion_tokens);
}

async function responses(call) {
  const client = once("openai", () => new (library("openai").OpenAI)());
  const asked = { model: call.model, input: call.prompt };
  if (call.tools) asked.tools = [{ type: "function", name: "weather", parameters: SCHEMA, strict: false }];
  let answer, said = "";
  if (call.stream) {
    for await (const event of await client.responses.create({ ...asked, stream: true })) {
      if (event.type === "response.output_text.delta") said += event.delta;
      answer = event.response ?? answer;
    }
  } else {
    answer = await client.responses.create(asked);
  }
  const texts = answer.output.flatMap((item) => item.content ?? []).map((part) => part.text).join("");
  if (call.stream && said !== texts) throw new Error(`${said} is not ${texts}`);
  const tools = answer.output.filter((item) => item.type === "function_call").map((item) => [item.name, item.arguments]);
  return shown(texts, tools, answer.usage.input_tokens, answer.usage.output_tokens);
}

async function langchain(call) {
  const { ChatOpenAI } = library("@langchain/openai");
  const plain = once(call.model, () => new ChatOpenAI({ model: call.model }));
  const tool = { type: "function", function: { name: "weather", parameters: SCHEMA } };
  const model = call.tools ? plain.bindTools([tool]) : plain;
  let answer;
  if (call.stream) {
    for await (const chunk of await model.stream(call.prompt)) answer = answer ? answer.concat(chunk) : chunk;
  } else {
    answer = await model.invoke(call.prompt);
  }
  const tools = (answer.tool_calls ?? []).map((tool) => [tool.name, JSON.stringify(tool.args)]);
  return shown(answer.text, tools, answer.usage_metadata.input_tokens, answer.usage_metadata.output_tokens);
}

/** One operation of Bedrock, with the key in the environment. */
async function bedrock({ region }, operation, asked) {
  const aws = library("@aws-sdk/client-bedrock-runtime");
  const client = once(`bedrock ${region}`, () => new aws.BedrockRuntimeClient({ region }));
  return client.send(new aws[`${operation}Command`](asked));
}

async function converse(call) {
  const asked = { modelId: call.model, messages: [{ role: "user", content: [{ text: call.prompt }] }] };
  if (call.tools) asked.toolConfig = { tools: [{ toolSpec: { name: "weather", description: "weather", inputSchema: { json: SCHEMA } } }] };
  if (!call.stream) {
    const { output, usage } = await bedrock(call, "Converse", asked);
    const calls = output.message.content.filter((block) => block.toolUse).map(({ toolUse }) => [toolUse.name, JSON.stringify(toolUse.input)]);
    const text = output.message.content.map((block) => block.text ?? "").join("");
    return shown(text, calls, usage.inputTokens, usage.outputTokens);
  }
  let text = "", name, parts = "", usage;
  for await (const event of (await bedrock(call, "ConverseStream", asked)).stream) {
    name ??= event.contentBlockStart?.start.toolUse?.name;
    text += event.contentBlockDelta?.delta.text ?? "";
    parts += event.contentBlockDelta?.delta.toolUse?.input ?? "";
    usage = event.metadata?.usage ?? usage;
  }
  return shown(text, name ? [[name, parts]] : [], usage.inputTokens, usage.outputTokens);
}

/** In the model's own format. */
async function invoke(call) {
  const asked = { anthropic_version: "bedrock-2023-05-31", max_tokens: 100, messages: [{ role: "user", content: call.prompt }] };
  if (call.tools) asked.tools = [{ name: "weather", description: "weather", input_schema: SCHEMA }];
  const request = { modelId: call.model, contentType: "application/json", body: JSON.stringify(asked) };
  const read = (bytes) => JSON.parse(new TextDecoder().decode(bytes));
  if (!call.stream) {
    const { content, usage } = read((await bedrock(call, "InvokeModel", request)).body);
    const calls = content.filter((block) => block.type === "tool_use").map((block) => [block.name, JSON.stringify(block.input)]);
    return shown(content.map((block) => block.text ?? "").join(""), calls, usage.input_tokens, usage.output_tokens);
  }
  let text = "", name, parts = "", metrics;
  for await (const { chunk } of (await bedrock(call, "InvokeModelWithResponseStream", request)).body) {
    const event = read(chunk.bytes);
    name ??= event.content_block?.name;
    text += event.delta?.text ?? "";
    parts += event.delta?.partial_json ?? "";
    metrics = event["amazon-bedrock-invocationMetrics"] ?? metrics;
  }
  return shown(text, name ? [[name, parts]] : [], metrics.inputTokenCount, metrics.outputTokenCount);
}

function options(call) {
  if (!call.json) return { method: call.method };
  return { method: call.method, body: JSON.stringify(call.json), headers: { "content-type": "application/json" } };
}

async function plainFetch(call) {
  const asked = options(call);
  if (call.form) {
    asked.body = new FormData();
    asked.body.append("file", new Blob([call.form]), "a.txt");
  }
  if (call.timeout) asked.signal = AbortSignal.timeout(1000 * call.timeout);
  const answer = await fetch(call.url, asked);
  return { status: answer.status, body: await answer.text() };
}

async function undici(call) {
  const answer = await library("undici").request(call.url, options(call));
  return { status: answer.statusCode, body: await answer.body.text() };
}

async function axios(call) {
  const asked = { url: call.url, method: call.method, data: call.json, responseType: "text", transformResponse: (text) => text };
  const answer = await library("axios").request(asked);
  return { status: answer.status, body: answer.data };
}

const clients = {
  openai, "openai-responses": responses, "langchain-openai": langchain, "aws-converse": converse, "aws-invoke": invoke,
  fetch: plainFetch, undici, axios,
};
let input = "";
for await (const piece of process.stdin) input += piece;
for (const call of JSON.parse(input)) {
  let result;
  try {
    result = await clients[call.client](call);
  } catch (error) {
    const body = error.response?.data;
    const message = `${error.message}: ${body ?? error.cause?.code ?? error.cause}`;
    result = { error: error.name === "Error" ? error.constructor.name : error.name, status: error.status ?? error.$metadata?.httpStatusCode ?? null, message };
  }
  console.log(JSON.stringify(result));
}
