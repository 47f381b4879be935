// SPDX-License-Identifier: Apache-2.0
// Runs where /etc cannot be written to: prints the code of the failure, and whether it helps.
import { asMukonError } from "../../../src/errors/mukon-error.ts";
import { createUser } from "../../../src/host/identity/useradd.ts";

async function main(): Promise<void> {
  try {
    await createUser({ name: "mkhost-readonly", id: 0x6000_0001 });
    console.log("it was made");
  } catch (error) {
    const { code, hint } = asMukonError(error);
    console.log(code, /user-records/.exec(hint ?? "")?.[0]);
  }
}

await main();
