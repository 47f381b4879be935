// SPDX-License-Identifier: Apache-2.0
// Puts mukon onto a node of Kubernetes:
//   node node-install.cjs install|uninstall|run [--root DIR] [--payload DIR] [--handlers a,b] …
import { parseArgs } from "node:util";
import { formatError, MukonError } from "../errors/mukon-error.ts";
import { FLAVOUR_NAMES, type FlavourName } from "./containerd/flavour.ts";
import { runDaemon } from "./daemon.ts";
import { HostRoot } from "./host-root.ts";
import { type InstallOptions, install, uninstall } from "./install.ts";
import { KubernetesApi } from "./kubernetes-api.ts";
import { ON_NODE } from "./restart.ts";

const USAGE =
  "node-install install|uninstall|run [--root DIR] [--payload DIR] [--handlers NAME,NAME] [--flavour containerd|k3s|rke2] [--systemctl PROGRAM] [--no-restart] [--wait SECONDS] [--ready-file FILE]";
/** As RuntimeClass has it: a label of DNS. */
const HANDLER = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const MS_PER_S = 1000;

async function main(argv: readonly string[]): Promise<void> {
  const { values, command } = readArguments(argv);
  const common = {
    host: new HostRoot(values.root),
    flavour: flavourOf(values.flavour),
    systemctl: values["no-restart"] ? undefined : (values.systemctl?.split(" ") ?? ON_NODE),
    say: (line: string) => console.log(line),
  };
  const waitMs = Number(values.wait) * MS_PER_S;
  if (command === "uninstall") return await uninstall({ ...common, waitMs });
  const options: InstallOptions = {
    ...common,
    payload: values.payload,
    handlers: handlersOf(values.handlers),
  };
  if (command === "install") return await install(options);
  await runDaemon({
    ...options,
    waitMs,
    readyFile: values["ready-file"],
    api: new KubernetesApi({
      url: apiUrl(),
      ...(process.env.SERVICE_ACCOUNT_DIRECTORY === undefined
        ? {}
        : { account: process.env.SERVICE_ACCOUNT_DIRECTORY }),
    }),
    node: required("NODE_NAME"),
    daemonSet: { namespace: required("NAMESPACE"), name: required("DAEMONSET_NAME") },
    // From the start: a signal that comes while it installs is not lost, nor does it leave half.
    ended: new Promise((resolve) => {
      const keepAlive = setInterval(() => {}, 1 << 30);
      for (const signal of ["SIGTERM", "SIGINT"]) {
        process.once(signal, () => {
          clearInterval(keepAlive);
          resolve();
        });
      }
    }),
  });
}

function readArguments(argv: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        root: { type: "string", default: "/host" },
        payload: { type: "string", default: "/opt/mukon-payload" },
        handlers: { type: "string", default: "mukon" },
        flavour: { type: "string" },
        systemctl: { type: "string" },
        "no-restart": { type: "boolean", default: false },
        wait: { type: "string", default: "0" },
        "ready-file": { type: "string", default: "/tmp/installed" },
      },
    });
    const [command = ""] = positionals;
    if (positionals.length === 1 && ["install", "uninstall", "run"].includes(command)) {
      if (/^[0-9]{1,6}$/.test(values.wait)) return { values, command };
    }
  } catch (cause) {
    throw usage((cause as Error).message);
  }
  throw usage("one command, and --wait in whole seconds");
}

function usage(why: string): MukonError {
  return new MukonError("INSTALL_USAGE", why, { hint: USAGE });
}

function handlersOf(text: string): string[] {
  const handlers = text.split(",").map((one) => one.trim());
  const wrong = handlers.find((handler) => !HANDLER.test(handler));
  if (wrong === undefined) return [...new Set(handlers)];
  throw usage(`--handlers: ${JSON.stringify(wrong)} cannot be the name of a handler`);
}

function flavourOf(text: string | undefined): FlavourName | undefined {
  const found = FLAVOUR_NAMES.find((name) => name === text);
  if (text === undefined || text === "" || found !== undefined) return found;
  throw usage(`--flavour: ${JSON.stringify(text)} is none of ${FLAVOUR_NAMES.join(", ")}`);
}

function apiUrl(): string {
  const { KUBERNETES_API, KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT } = process.env;
  if (KUBERNETES_API !== undefined) return KUBERNETES_API;
  const host = required("KUBERNETES_SERVICE_HOST", KUBERNETES_SERVICE_HOST);
  const name = host.includes(":") ? `[${host}]` : host;
  return `https://${name}:${KUBERNETES_SERVICE_PORT ?? "443"}`;
}

function required(name: string, value = process.env[name]): string {
  if (value !== undefined && value !== "") return value;
  throw usage(`the environment lacks ${name}: deploy/kubernetes/daemonset.yaml sets it`);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(formatError(error));
  process.exitCode = 1;
});
