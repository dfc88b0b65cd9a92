import type { z } from '@hono/zod-openapi';
import { isSame } from './difference.ts';

/** The value without the members that its schema would add again, so that what a person wrote is what a person reads. */
export function withoutDefaults(schema: z.ZodType, value: unknown): unknown {
  const whole = schema.parse(value);
  const kept = structuredClone(whole);
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const [name, member] of Object.entries(node)) {
      visit(member);
      if (Array.isArray(node)) continue;
      // Left undefined, not deleted: a member that is needed goes back to its place.
      Object.assign(node, { [name]: undefined });
      const read = schema.safeParse(kept);
      if (!read.success || !isSame(read.data, whole)) Object.assign(node, { [name]: member });
    }
  };
  visit(kept);
  return JSON.parse(JSON.stringify(kept));
}
