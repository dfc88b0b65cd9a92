/** What a policy may do, mildest first: the stricter of two is the later one. */
export const POLICY_ACTIONS = [
  'record',
  'annotate',
  'notify',
  'require_tag',
  'cap_output',
  'downgrade_model',
  'shrink_parallelism',
  'pause_run',
  'require_approval',
  'refuse',
  'kill',
] as const;
export type PolicyAction = (typeof POLICY_ACTIONS)[number];

const RANK = new Map<string, number>(POLICY_ACTIONS.map((action, index) => [action, index]));

export function strictness(action: PolicyAction): number {
  return RANK.get(action) ?? 0;
}

/** From here on nothing new is admitted. */
export function isRefusing(action: PolicyAction): boolean {
  return strictness(action) >= strictness('pause_run');
}
