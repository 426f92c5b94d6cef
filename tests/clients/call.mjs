// Makes HTTP calls with Node's own fetch and prints what each returned, one JSON object a line. Input as call.py: a JSON list of calls
// with `method`, `url` and optionally `json`.

let input = "";
for await (const piece of process.stdin) input += piece;
for (const call of JSON.parse(input)) {
  let result;
  try {
    const options = { method: call.method, headers: call.headers };
    if (call.json) {
      options.body = JSON.stringify(call.json);
      options.headers = { "content-type": "application/json", ...call.headers };
    }
    const answer = await fetch(call.url, options);
    result = { status: answer.status, body: await answer.text() };
  } catch (error) {
    result = { error: error.name, message: `${error.message}: ${error.cause?.code ?? error.cause}` };
  }
  console.log(JSON.stringify(result));
}
