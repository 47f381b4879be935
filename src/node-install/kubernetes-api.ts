// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { request as requestPlain } from "node:http";
import { request as requestSecure } from "node:https";
import { join } from "node:path";
import { MukonError } from "../errors/mukon-error.ts";

const TIMEOUT_MS = 15_000;
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Set where mukon is installed; RuntimeClasses select nodes by it. */
export const NODE_LABEL = "mukon.dev/runtime";

/** Where the API is, and by which account's files it is asked. */
export interface ApiOptions {
  /** `https://10.96.0.1:443` */
  readonly url: string;
  /** A directory with `token` and `ca.crt`. */
  readonly account?: string;
}

/** The few calls of Kubernetes' API that the installer makes. */
export class KubernetesApi {
  readonly #url: string;
  readonly #account: string;

  constructor(options: ApiOptions) {
    this.#url = options.url;
    this.#account = options.account ?? ACCOUNT;
  }

  /** Sets the node's label, or takes it away. @throws INSTALL_API_FAILED */
  async labelNode(node: string, isInstalled: boolean): Promise<void> {
    const labels = { [NODE_LABEL]: isInstalled ? "true" : null };
    const path = `/api/v1/nodes/${encodeURIComponent(node)}`;
    await this.#expect(200, "PATCH", path, { metadata: { labels } });
  }

  /**
   * Whether a DaemonSet is there to stay: a pod of it that is told to end is then replaced, not removed.
   * @throws INSTALL_API_FAILED when that cannot be known
   */
  async staysDaemonSet(namespace: string, name: string): Promise<boolean> {
    const path = `/apis/apps/v1/namespaces/${encodeURIComponent(namespace)}/daemonsets/${encodeURIComponent(name)}`;
    const { status, text } = await this.#call("GET", path);
    if (status === 404) return false;
    if (status !== 200) throw failure("GET", path, `${status}: ${text.slice(0, 200)}`);
    const found = JSON.parse(text) as { metadata?: { deletionTimestamp?: string } };
    return found.metadata?.deletionTimestamp === undefined;
  }

  async #expect(wanted: number, method: string, path: string, body: unknown): Promise<void> {
    const { status, text } = await this.#call(method, path, body);
    if (status !== wanted) throw failure(method, path, `${status}: ${text.slice(0, 200)}`);
  }

  async #call(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; text: string }> {
    const url = new URL(path, this.#url);
    const isSecure = url.protocol === "https:";
    return await new Promise((resolve, reject) => {
      const request = (isSecure ? requestSecure : requestPlain)(url, {
        method,
        timeout: TIMEOUT_MS,
        headers: {
          // The kubelet renews it every hour.
          authorization: `Bearer ${readFileSync(join(this.#account, "token"), "utf8").trim()}`,
          accept: "application/json",
          ...(body === undefined ? {} : { "content-type": "application/merge-patch+json" }),
        },
        ...(isSecure ? { ca: readFileSync(join(this.#account, "ca.crt")) } : {}),
      });
      request.on("timeout", () => request.destroy(new Error("no answer in time")));
      request.on("error", (error) => reject(failure(method, path, error.message)));
      request.on("response", (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > MAX_ANSWER_BYTES) request.destroy(new Error("an endless answer"));
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

function failure(method: string, path: string, why: string): MukonError {
  return new MukonError("INSTALL_API_FAILED", `${method} ${path}: ${why}`, {
    hint: "Look at the service account's rights: deploy/kubernetes/rbac.yaml",
  });
}
