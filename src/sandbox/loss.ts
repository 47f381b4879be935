// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import type { LaunchedProcess } from "../host/launcher/types.ts";
import type { LostEvent } from "./messages/events.ts";

/** The end of a VMM is seen by then. */
const OF_VMM_MS = 200;

/** Takes note, once, of why a pod is over. */
export class Loss {
  /** Resolves when the pod is over without having been asked to end; never rejects. */
  readonly happened: Promise<MukonError>;
  #settle: (error: MukonError) => void = () => {};
  #error: MukonError | undefined;
  #isExpected = false;

  constructor() {
    this.happened = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  get error(): MukonError | undefined {
    return this.#error;
  }

  /** From now on the end of a process is what was asked for. */
  expect(): void {
    this.#isExpected = true;
  }

  report(error: MukonError): void {
    if (this.#isExpected || this.#error !== undefined) return;
    this.#error = error;
    this.#settle(error);
  }

  /**
   * Reports the end of a process. One that serves the VMM ends by itself when that is gone, which is
   * the reason then, and may be seen later.
   */
  watch(
    role: string,
    { child, stderrTail }: LaunchedProcess,
    { isServant = false }: { isServant?: boolean } = {},
  ): void {
    const report = (): void => {
      const how = child.signalCode ?? `exit code ${child.exitCode}`;
      const said = stderrTail().trim().slice(-1000);
      const reason = `its ${role} ended (${how})${said === "" ? "" : `: ${said}`}`;
      this.report(podEnded(reason, { role }));
    };
    if (child.exitCode !== null || child.signalCode !== null) report();
    // "close" rather than "exit": by then its last words are here.
    else
      child.once("close", () => {
        if (isServant && child.signalCode === null) setTimeout(report, OF_VMM_MS);
        else report();
      });
  }

  reportLost(event: LostEvent): void {
    const { reason, consoleTail } = event;
    this.report(podEnded(reason, consoleTail === "" ? {} : { consoleTail }));
  }
}

export function podEnded(
  reason: string,
  details: { role?: string; consoleTail?: string } = {},
): MukonError {
  return new MukonError("POD_ENDED", `The pod is over: ${reason}`, {
    hint: "Remove it, and start it again.",
    details,
  });
}
