// SPDX-License-Identifier: Apache-2.0

/** Codes of reading the configuration file and the annotations of a pod. */
export const CONFIG_CODES = {
  CONFIG_NOT_FOUND: "A configuration file that was named does not exist.",
  CONFIG_UNREADABLE: "The configuration file exists, but cannot be read or is no regular file.",
  CONFIG_UNSAFE: "Any user of the machine may write to the configuration file.",
  CONFIG_TOO_LARGE: "The configuration file is larger than any configuration can be.",
  CONFIG_SYNTAX: "The configuration file is not valid TOML.",
  CONFIG_VALUE: "A setting has the wrong type or a value that is not accepted.",
  CONFIG_CONFLICT: "Two settings, each valid alone, cannot go together.",
  CONFIG_UNSUPPORTED: "The configuration asks for a protection that mukon does not have.",
  ANNOTATION_UNSUPPORTED: "A pod's annotation asks for a protection that mukon does not have.",
  ANNOTATION_NOT_ENABLED: "The configuration does not let pods change this setting.",
  ANNOTATION_VALUE: "The value of an annotation is malformed or not accepted.",
  ANNOTATION_PATH: "A path given by an annotation matches none of the allowed patterns.",
  ANNOTATION_PATTERN_SLOW: "The patterns of enable_annotations take too long to match.",
  POD_TYPE_UNKNOWN: "The annotation that tells a sandbox from a container has an unknown value.",
  POD_SANDBOX_ID_MISSING: "A container of a pod does not say, or says wrongly, which pod it is in.",
} as const;
