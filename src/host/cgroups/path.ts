// SPDX-License-Identifier: Apache-2.0
import { join, normalize } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";

const SYSTEMD_FORM = /^([^/:]*):([^/:]*):([^/:]+)$/;
const MAX_LENGTH = 2048;

/**
 * Where a pod's cgroup lies below the root of each hierarchy, from `linux.cgroupsPath`: a path, or
 * `slice:prefix:name` as clients of a systemd driver write it. Undefined: none was asked for.
 * @throws CGROUP_PATH_INVALID
 */
export function podCgroupPath(cgroupsPath: string): string | undefined {
  if (cgroupsPath === "") return undefined;
  if (cgroupsPath.length > MAX_LENGTH || cgroupsPath.includes("\0")) throw invalid(cgroupsPath);
  const systemd = SYSTEMD_FORM.exec(cgroupsPath);
  if (systemd !== null) {
    const [, slice = "", prefix = "", name = ""] = systemd;
    const unit = name.endsWith(".slice")
      ? name
      : `${prefix === "" ? "" : `${prefix}-`}${name}.scope`;
    return join("/", expandSlice(slice === "" ? "system.slice" : slice), unit);
  }
  const path = normalize(join("/", cgroupsPath)).replace(/\/$/, "");
  // Joined, a path with ".." would be another one than its client and its parents' limits mean.
  if (path === "" || cgroupsPath.split("/").includes("..")) throw invalid(cgroupsPath);
  return path;
}

/** `a-b.slice` lies in `a.slice`; `-.slice` is the root. systemd.slice(5) */
function expandSlice(slice: string): string {
  if (slice === "-.slice") return "";
  const words = slice.replace(/\.slice$/, "").split("-");
  if (!slice.endsWith(".slice") || words.includes("") || words.includes("..")) throw invalid(slice);
  return join(...words.map((_, index) => `${words.slice(0, index + 1).join("-")}.slice`));
}

function invalid(path: string): MukonError {
  return new MukonError(
    "CGROUP_PATH_INVALID",
    `the cgroup ${JSON.stringify(path.slice(0, 200))} cannot be`,
    {
      hint: "linux.cgroupsPath is an absolute path, or slice:prefix:name",
    },
  );
}
