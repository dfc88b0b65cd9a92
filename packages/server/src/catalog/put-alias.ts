import { refuse } from '../http/problem.ts';
import { LIMITS } from '../limits.ts';
import { recordAction } from '../store/audit-log.ts';
import type { CatalogWrite } from './catalog-write.ts';
import { countModelAliases, findModelAlias, type ModelAliasRow, putModelAlias } from './model-alias-store.ts';
import { raiseRevision } from './revision.ts';

/** The alias, pointing to the model; to the same model again changes nothing. */
export async function putAlias(
  { client, environmentId, actor }: CatalogWrite,
  reported: string,
  model: string,
): Promise<ModelAliasRow> {
  const known = await findModelAlias(client, environmentId, reported);
  if (known === undefined && (await countModelAliases(client, environmentId)) >= LIMITS.modelAliasesMax) {
    throw refuse('conflict', `an environment has at most ${LIMITS.modelAliasesMax} model aliases; delete one first`);
  }
  if (known?.model === model) return known;
  const row = await putModelAlias(client, environmentId, reported, model);
  await raiseRevision(client, environmentId);
  await recordAction(client, {
    environmentId,
    actor,
    action: 'model_alias.put',
    target: `/v1/model_aliases/${encodeURIComponent(reported)}`,
    detail: { model, before: known?.model ?? null },
  });
  return row;
}
