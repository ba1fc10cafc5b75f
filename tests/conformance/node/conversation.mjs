// What an app for Node does with runs; says what came of it as JSON.
// node conversation.mjs BASE_URL PACKAGE

const [baseURL, installed] = process.argv.slice(2);
const { default: OpenAI } = await import(installed);
const client = new OpenAI({ baseURL, apiKey: "sk-any", maxRetries: 0 });
const { assistants, threads } = client.beta;

const assistant = await assistants.create({
  model: "gpt-4o",
  tools: [{ type: "function", function: { name: "get_weather", parameters: { type: "object", properties: {} } } }],
});
const ask = (content) => threads.create({ messages: [{ role: "user", content }] });
const said = (messages) => messages.flatMap((each) => each.content.map((part) => part.text.value));

async function streamed() {
  const thread = await ask("!say One two three");
  const events = [];
  let text = "";
  const stream = threads.runs
    .stream(thread.id, { assistant_id: assistant.id })
    .on("event", (event) => events.push(event.event))
    .on("textDelta", (delta) => (text += delta.value));
  const run = await stream.finalRun();
  return {
    events,
    text,
    status: run.status,
    messages: said(await stream.finalMessages()),
    steps: (await stream.finalRunSteps()).map((step) => step.status),
  };
}

async function polled() {
  const thread = await ask("!say Yes");
  const run = await threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id }, { pollIntervalMs: 10 });
  return { status: run.status, messages: said((await threads.messages.list(thread.id)).data) };
}

async function called() {
  const thread = await ask('!call get_weather {"city": "Rome"}\n!call get_weather {"city": "Oslo"}');
  const calls = [];
  const first = threads.runs
    .stream(thread.id, { assistant_id: assistant.id })
    .on("toolCallCreated", (call) => calls.push(call.function.name));
  const waiting = await first.finalRun();
  const asked = waiting.required_action.submit_tool_outputs.tool_calls;
  const tool_outputs = asked.map((call) => ({
    tool_call_id: call.id,
    output: `18 in ${JSON.parse(call.function.arguments).city}`,
  }));
  const snapshots = (await first.finalRunSteps())[0].step_details.tool_calls.map((call) => call.function.arguments);
  const second = threads.runs.submitToolOutputsStream(waiting.id, { thread_id: thread.id, tool_outputs });
  const run = await second.finalRun();
  return { waiting: waiting.status, calls, snapshots, status: run.status, messages: said(await second.finalMessages()) };
}

async function refused() {
  const thread = await ask("!hang");
  const run = await threads.runs.create(thread.id, { assistant_id: assistant.id });
  const error = await threads.runs.create(thread.id, { assistant_id: assistant.id }).catch((error) => error);
  const cancelled = await threads.runs.cancel(run.id, { thread_id: thread.id });
  return {
    name: error.constructor.name,
    status: error.status,
    isTold: error.message.includes(`Thread ${thread.id} already has an active run ${run.id}.`),
    cancelled: cancelled.status,
  };
}

console.log(JSON.stringify({ streamed: await streamed(), polled: await polled(), called: await called(), refused: await refused() }));
