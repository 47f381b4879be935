// SPDX-License-Identifier: Apache-2.0
import type { Method, MethodParams, MethodResult } from "../../sandbox/messages/methods.ts";

/**
 * What answers each request. A handler owns the descriptors that it is given, also when it fails.
 */
export type Handlers = {
  [M in Method]: (
    params: MethodParams<M>,
    descriptors: readonly number[],
  ) => Promise<MethodResult<M>>;
};
