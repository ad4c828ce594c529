/** The tasks of playbooks. */

/** One task; it is a step on each server. */
export interface Task {
  readonly role: string;
  readonly name: string;
  /** Its result unless it fails; default: `ok`. */
  readonly result?: "ok" | "skipped";
}

const COMMON: readonly Task[] = [
  { role: "", name: "Gathering Facts" },
  { role: "ceph-common", name: "check for a ceph socket" },
  { role: "ceph-common", name: "install dependencies", result: "skipped" },
];

const DEPLOYMENT: readonly Task[] = [
  ...COMMON,
  { role: "ceph-common", name: "install ceph packages" },
  { role: "ceph-mon", name: "generate monitor initial keyring" },
  { role: "ceph-mon", name: "start and enable mon — done" },
  { role: "ceph-osd", name: "prepare osd disk(s)" },
  { role: "ceph-osd", name: "activate osd(s)" },
];

/** The tasks of a playbook. */
export function tasksOf(playbookId: string): readonly Task[] {
  if (playbookId === "cluster_deploy") return DEPLOYMENT;
  return [...COMMON, { role: playbookId, name: `run ${playbookId}` }];
}
