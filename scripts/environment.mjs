// What scripts and benchmarks take from this machine's environment, and nothing else reads (test/house/environment.test.ts): variables, npm,
// compilers, and the headers that came with Node. Needs nothing but Node: setup begins with it.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

const { env } = process;
const given = (name) => env[name] || undefined;
const PREFIX = dirname(dirname(process.execPath));

/** The variables of this process with others in the place of theirs, for a child. */
export const withVariables = (others = {}) => ({ ...env, ...others });

/** CC and CXX: the compilers that were asked for, with their flags, if any. */
export const cCompiler = given("CC");
export const cxxCompiler = given("CXX");

/** npm_command, where npm runs this as the script `prepare`: "install", "ci", "pack" and the like. */
export const preparingFor = given("npm_lifecycle_event") === "prepare" ? given("npm_command") : undefined;

/** BROWNIAN_SETUP: setup has started the npm that started this, and does itself what npm's `prepare` would ask for. */
export const startedBySetup = given("BROWNIAN_SETUP") !== undefined;

/** What setup tells the npm that it starts. */
export const SETUP = { BROWNIAN_SETUP: "1" };

/** PRACTRAND: where PractRand's program lies, if it is not on the path. */
export const practrand = given("PRACTRAND") ?? "RNG_test";

/** BROWNIAN_REDIS_SERVER: a Redis or Valkey server, if none is on the path. */
export const redisServer = () => given("BROWNIAN_REDIS_SERVER") ?? ["redis-server", "valkey-server"].find(onPath);

/** BROWNIAN_SMOLLM2: where SmolLM2-135M-Instruct lies already, if it does. */
export const smollm2 = given("BROWNIAN_SMOLLM2");

/** A program is on the path. */
export const onPath = (name) => (env.PATH ?? "").split(delimiter).some((dir) => dir !== "" && existsSync(join(dir, name)));

const hasHeaders = (prefix) => prefix !== undefined && existsSync(join(prefix, "include", "node", "node_api.h"));

/** The folder that has Node's headers in include/node: npm_config_nodedir, or where this Node lies; undefined where neither has them. */
export const headersPrefix = [given("npm_config_nodedir"), PREFIX].find(hasHeaders);

/** What tells node-gyp of them, so that it need not download any. npm_config_nodedir it reads itself. */
export const gypHeaders = given("npm_config_nodedir") === undefined && hasHeaders(PREFIX) ? [`--nodedir=${PREFIX}`] : [];

/** npm's own program: that of the npm that started this, or the one beside this Node; undefined where neither is found. */
export const npmProgram = [
  given("npm_execpath"),
  join(PREFIX, "lib/node_modules/npm/bin/npm-cli.js"),
  join(dirname(process.execPath), "node_modules/npm/bin/npm-cli.js"), // Windows
  "/usr/share/nodejs/npm/bin/npm-cli.js",
].find((place) => place?.endsWith(".js") && existsSync(place));

/** Runs npm to its end: {@link npmProgram} on this Node, else the one on the path. */
export function npm(args, options = {}) {
  return npmProgram === undefined
    ? spawnSync("npm", args, { encoding: "utf8", ...options, shell: process.platform === "win32" })
    : spawnSync(process.execPath, [npmProgram, ...args], { encoding: "utf8", ...options });
}
