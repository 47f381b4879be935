// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import { describeValue } from "../describe-value.ts";
import { flag } from "../kinds.ts";
import { ROOTLESS_ANNOTATIONS } from "./names.ts";

/** What a pod asks for. */
export interface RootlessRequest {
  readonly isRootless: boolean;
  /** The annotation that decided. */
  readonly annotation: string;
}

/** What the rootless annotation says, in either spelling; where the two differ, true wins. */
export function rootlessOf(
  annotations: Readonly<Record<string, string>>,
): RootlessRequest | undefined {
  const kind = flag();
  const requests = ROOTLESS_ANNOTATIONS.flatMap((annotation) => {
    if (!Object.hasOwn(annotations, annotation)) return [];
    const text = annotations[annotation] ?? "";
    const isRootless = kind.fromText(text);
    if (typeof isRootless === "boolean") return [{ isRootless, annotation }];
    throw new MukonError(
      "ANNOTATION_VALUE",
      `The annotation ${annotation} is ${describeValue(text)}, but must be ${kind.accepts}.`,
      { hint: "Correct the annotation's value.", details: { annotation } },
    );
  });
  return requests.find(({ isRootless }) => isRootless) ?? requests[0];
}
