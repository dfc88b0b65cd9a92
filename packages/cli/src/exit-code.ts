/** What the process returns; documented in README.md and in `ergon --help`. */
export const EXIT_CODE = {
  ok: 0,
  failed: 1,
  usage: 2,
  partial: 3,
  unreachable: 4,
  denied: 5,
  notFound: 6,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT_CODE)[keyof typeof EXIT_CODE];
