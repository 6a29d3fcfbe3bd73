// Asks for one picture through the Node SDK, and prints the URL or the error's status.
// node buy.mjs MODULES BASE_URL KEY JSON: what JSON holds goes into the request as it is.
import { createRequire } from "node:module";

const [modules, baseURL, apiKey, more] = process.argv.slice(2);
const { default: OpenAI } = createRequire(`${modules}/`)("openai");
const client = new OpenAI({ apiKey, baseURL, maxRetries: 0 });
try {
  const { data } = await client.images.generate({ model: "flux-kontext-pro", prompt: "a cat", ...JSON.parse(more) });
  console.log(JSON.stringify({ url: data[0].url }));
} catch (error) {
  console.log(JSON.stringify({ status: error.status, code: error.code }));
}
