// Text to token ids and back, by Hugging Face's own libraries; tools/text/tokenizer.py starts it and speaks with it.
//
//     node tokenizer_worker.mjs LIBRARY DIRECTORY
//
// LIBRARY holds node_modules; DIRECTORY holds tokenizer.json and, maybe, tokenizer_config.json. A request is a line of
// JSON on standard input, and so is its answer on standard output: {"value": ...}, or {"error": "one line"}. The first
// answer, which nobody asked for, says whether the tokenizer could be read.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [library, directory] = process.argv.slice(2);

function answer(work) {
  let reply;
  try {
    reply = { value: work() };
  } catch (problem) {
    reply = { error: String(problem.message ?? problem) };
  }
  process.stdout.write(JSON.stringify(reply) + "\n");
  return reply.error === undefined;
}

function readJson(name, otherwise) {
  let text;
  try {
    text = readFileSync(join(directory, name), "utf8");
  } catch (problem) {
    if (otherwise !== undefined && problem.code === "ENOENT") return otherwise;
    throw new Error(`${name}: cannot be read (${problem.code})`);
  }
  try {
    return JSON.parse(text);
  } catch (problem) {
    throw new Error(`${name}: ${problem.message}`);
  }
}

let tokenizer, Template;

function load() {
  const require = createRequire(join(library, "library.js"));
  ({ Template } = require("@huggingface/jinja"));
  const { Tokenizer } = require("@huggingface/tokenizers");
  const description = readJson("tokenizer.json");
  const config = readJson("tokenizer_config.json", {});
  try {
    tokenizer = new Tokenizer(description, config);
  } catch (problem) {
    throw new Error(`tokenizer.json: ${problem.message}`);
  }
  // Text is streamed piece by piece, which is right where a token stands for bytes, whatever its neighbours are.
  if (!JSON.stringify(description.decoder ?? null).includes('"ByteLevel"')) {
    throw new Error("tokenizer.json: its decoder is not ByteLevel, the only kind that is read here");
  }
  return null;
}

const requests = {
  encode: ({ text }) => {
    const ids = tokenizer.encode(text, { add_special_tokens: false }).ids;
    if (!ids.every(Number.isInteger)) throw new Error("tokenizer.json: it has no token for a part of the text");
    return ids;
  },
  decode: ({ ids }) =>
    tokenizer.decode(ids, { skip_special_tokens: true, clean_up_tokenization_spaces: false }),
  token: ({ id }) => tokenizer.id_to_token(id) ?? null,
  id: ({ token }) => tokenizer.token_to_id(token) ?? null,
  render: ({ template, variables }) => new Template(template).render(variables),
};

if (!answer(load)) process.exit(1);
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  answer(() => requests[request.ask](request));
}
