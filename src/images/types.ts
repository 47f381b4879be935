// SPDX-License-Identifier: Apache-2.0

/** What an image says about the container to run; absent fields are filled with empty ones. */
export interface ImageConfiguration {
  entrypoint: string[];
  cmd: string[];
  /** NAME=value. */
  env: string[];
  /** `user[:group]`, names or numbers; "" means root. */
  user: string;
  /** Absolute. */
  workingDir: string;
  /** Name or number; undefined means SIGTERM. */
  stopSignal?: string;
  /** Such as "80/tcp". */
  exposedPorts: string[];
  /** Absolute paths. */
  volumes: string[];
  labels: Record<string, string>;
}

export interface UserEntry {
  name: string;
  uid: number;
  gid: number;
}

export interface GroupEntry {
  name: string;
  gid: number;
  members: string[];
}

/** The users and groups that an image knows, out of its /etc/passwd and /etc/group. */
export interface Accounts {
  users: UserEntry[];
  groups: GroupEntry[];
}

/** An image that is ready to run. */
export interface ResolvedImage {
  /** The reference in full, such as `docker.io/library/debian:12`. */
  reference: string;
  /** `sha256:…` of the manifest, as its registry or layout names it. */
  digest: string;
  /**
   * Paths of EROFS images, bottom layer first. mukon merges the layers of an image into one, so
   * there is just one path: disks of a VM are few, and each costs time to attach.
   */
  layers: string[];
  config: ImageConfiguration;
  accounts: Accounts;
}

/** An image of the store, as `mukon image ls` shows it. */
export interface StoredImage {
  reference: string;
  digest: string;
  /** `sha256:…` of the config, which names all that is in the image. */
  imageId: string;
  /** ISO time when it was pulled. */
  createdAt: string;
  /** Bytes of its root file system; images of the same content share it. */
  sizeBytes: number;
  isBuiltIn: boolean;
}

/** Takes one line of progress. */
export type ProgressLog = (line: string) => void;
