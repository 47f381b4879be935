// SPDX-License-Identifier: Apache-2.0

/** Codes of the program that puts mukon onto a node of Kubernetes. */
export const NODE_INSTALL_CODES = {
  INSTALL_USAGE: "The installer was called in a way that it does not know.",
  INSTALL_PAYLOAD_INVALID: "What is to be installed is incomplete.",
  INSTALL_PATH_INVALID: "A path on the node leads to something that the installer will not touch.",
  INSTALL_PROGRAMS_MISSING: "The node lacks programs that mukon starts.",
  INSTALL_CONTAINERD_MISSING: "The node has no containerd that the installer knows, or several.",
  INSTALL_CONTAINERD_CONFIG: "containerd's configuration is not one that the installer may change.",
  INSTALL_HANDLER_TAKEN: "containerd already has another runtime of that name.",
  INSTALL_IN_USE: "Pods of mukon are still on the node.",
  INSTALL_RESTART_FAILED: "containerd could not be restarted.",
  INSTALL_API_FAILED: "Kubernetes' API did not do what the installer asked for.",
} as const;
