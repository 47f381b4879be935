// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";

/** What containerd, or mukon's own command line, calls a shim with. */
export interface ShimArguments {
  /** `start` and `delete` are containerd's; `serve` is what `start` leaves running. */
  verb: "start" | "delete" | "serve" | "info" | "version";
  namespace: string;
  /** Of containerd's own socket; part of the name of ours. */
  address: string;
  id: string;
  bundle: string;
  /** Only for `serve`: the path that its listening descriptor is bound to. */
  socket: string;
  isDebug: boolean;
}

const TEXT_FLAGS = ["namespace", "address", "publish-binary", "id", "bundle", "socket"] as const;
const SWITCHES = ["debug", "info", "v"] as const;
type TextFlag = (typeof TEXT_FLAGS)[number];
type Switch = (typeof SWITCHES)[number];

/**
 * Reads arguments in the manner of Go's flag package: `-x v`, `--x v`, `-x=v`, then a verb.
 * @throws SHIM_ARGUMENTS
 */
export function parseShimArguments(argv: readonly string[]): ShimArguments {
  const texts = new Map<TextFlag, string>();
  const switches = new Set<Switch>();
  const verbs: string[] = [];
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const flag = /^--?([a-z-]+)(?:=(.*))?$/s.exec(word);
    if (flag === null) {
      verbs.push(word);
      continue;
    }
    const [, name = "", inline] = flag;
    if (isOneOf(SWITCHES, name)) {
      if (inline !== "false") switches.add(name);
    } else if (isOneOf(TEXT_FLAGS, name)) {
      const value = inline ?? rest.shift();
      if (value === undefined) throw wrong(`-${name} needs a value`);
      texts.set(name, value);
    } else throw wrong(`-${name} is not known`);
  }
  return {
    verb: verbOf(verbs, switches),
    namespace: texts.get("namespace") ?? "",
    address: texts.get("address") ?? "",
    id: texts.get("id") ?? "",
    bundle: texts.get("bundle") ?? "",
    socket: texts.get("socket") ?? "",
    isDebug: switches.has("debug"),
  };
}

function verbOf(verbs: readonly string[], switches: ReadonlySet<Switch>): ShimArguments["verb"] {
  if (switches.has("v")) return "version";
  if (switches.has("info")) return "info";
  const [verb, more] = verbs;
  if (more !== undefined) throw wrong(`more than one verb: ${verbs.join(" ")}`);
  if (isOneOf(["start", "delete", "serve"] as const, verb ?? "")) {
    return verb as "start" | "delete" | "serve";
  }
  throw wrong(verb === undefined ? "there is no verb" : `"${verb}" is not known`);
}

function isOneOf<Word extends string>(words: readonly Word[], word: string): word is Word {
  return (words as readonly string[]).includes(word);
}

function wrong(why: string): MukonError {
  return new MukonError("SHIM_ARGUMENTS", `the shim's arguments are wrong: ${why}`, {
    hint: "containerd calls it: -namespace NS -address SOCKET -id ID start|delete",
  });
}
