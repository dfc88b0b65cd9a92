import { z } from '@hono/zod-openapi';
import { catalogKey, externalId, instantInput, instantOutput, instantText, pageQuery } from '../http/wire.ts';
import { LIMITS } from '../limits.ts';
import { POLICY_ACTIONS } from './actions.ts';
import type { DecisionRow } from './decision-store.ts';
import { policyDocument, policyInputs } from './policy-document.ts';
import type { PolicyRow } from './policy-store.ts';

export const policyParams = z.strictObject({ key: catalogKey });
export const decisionParams = z.strictObject({ id: z.string().regex(/^\d{1,18}$/, 'the id of a decision') });

export const policyAnswer = z
  .strictObject({
    key: z.string(),
    version: z.number().int(),
    created_at: instantOutput,
    ended_at: instantOutput.nullable(),
    document: policyDocument,
  })
  .openapi('Policy');

const action = z.enum(['allow', ...POLICY_ACTIONS]);

const match = z.strictObject({
  policy: z.string(),
  version: z.number().int(),
  mode: z.enum(['shadow', 'warn', 'enforce']),
  action: z.enum(POLICY_ACTIONS),
  reason: z.string().nullable(),
  max_output_tokens: z.number().int().optional(),
  model: z.string().optional(),
  parallelism: z.number().int().optional(),
  tag: z.string().optional(),
  error: z.string().optional(),
});

const resultFields = {
  action,
  is_admitted: z.boolean(),
  max_output_tokens: z.number().int().nullable(),
  model: z.string().nullable(),
  parallelism: z.number().int().nullable(),
  matches: z.array(match).openapi({ description: 'Every policy that applied, those that only warn or watch too' }),
  shadow: z
    .strictObject({ action, is_admitted: z.boolean(), differs: z.boolean() })
    .openapi({ description: 'What it had been with the shadow policies enforced' }),
};

export const decisionBody = z
  .strictObject({ subject: externalId.optional(), inputs: policyInputs })
  .openapi('DecisionRequest');

export const decidedAnswer = z
  .strictObject({
    id: z.string().nullable().openapi({ description: 'Null where no policy is in force' }),
    ...resultFields,
  })
  .openapi('Decided');

export const decisionAnswer = z
  .strictObject({
    id: z.string(),
    at: instantOutput,
    place: z.string(),
    subject: z.string().nullable(),
    customer: z.string().nullable(),
    inputs: policyInputs,
    policies: z.array(z.strictObject({ key: z.string(), version: z.number().int() })),
    ...resultFields,
  })
  .openapi('Decision');

export const decisionQuery = pageQuery.extend({
  customer: externalId.optional(),
  action: action.optional(),
  policy: catalogKey.optional(),
  from: instantInput.optional(),
  to: instantInput.optional(),
});

export const replayBody = z
  .strictObject({
    from: instantInput.optional(),
    to: instantInput.optional(),
    limit: z.number().int().min(1).max(LIMITS.replayDecisionsMax).default(LIMITS.replayDecisionsMax),
    document: policyDocument.optional().openapi({
      description: 'Stands in the place of the recorded version; without it the record itself is checked',
    }),
  })
  .default({ limit: LIMITS.replayDecisionsMax })
  .openapi('ReplayRequest');

export const replayAnswer = z
  .strictObject({
    decisions: z.number().int(),
    same: z.number().int(),
    different: z.array(
      z.strictObject({
        decision: z.string(),
        at: instantOutput,
        customer: z.string().nullable(),
        recorded: action,
        replayed: action,
      }),
    ),
  })
  .openapi('Replay');

export function policyOf(row: PolicyRow): z.infer<typeof policyAnswer> {
  return {
    key: row.key,
    version: row.version,
    created_at: instantText(row.created_at),
    ended_at: row.ended_at === null ? null : instantText(row.ended_at),
    document: policyDocument.parse(row.document),
  };
}

export function decisionOf(row: DecisionRow): z.infer<typeof decisionAnswer> {
  return {
    ...{ id: String(row.id), at: instantText(row.at), place: row.place, subject: row.subject, customer: row.customer },
    ...{ inputs: row.inputs, policies: row.policies, ...row.result, matches: [...row.result.matches] },
  };
}
