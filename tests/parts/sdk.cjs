// The official Node SDK, called as its input says: {baseURL, apiKey, maxRetries, calls: [{...parameters}]} on stdin.
// Says on stdout what came of each call: {url} or {error, status, code}.
const { OpenAI } = require("openai");

async function main() {
  const asked = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
  const client = new OpenAI({ baseURL: asked.baseURL, apiKey: asked.apiKey, maxRetries: asked.maxRetries });
  const outcomes = [];
  for (const call of asked.calls) {
    try {
      const answer = await client.images.generate(call);
      outcomes.push({ url: answer.data[0].url });
    } catch (error) {
      outcomes.push({ error: error.constructor.name, status: error.status ?? null, code: error.code ?? null });
    }
  }
  process.stdout.write(JSON.stringify(outcomes));
}

main();
