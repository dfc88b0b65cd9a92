import { refuse } from '../http/problem.ts';
import { LIMITS } from '../limits.ts';
import { recordAction } from '../store/audit-log.ts';
import { builtInMeter } from './built-in-meters.ts';
import type { CatalogWrite } from './catalog-write.ts';
import { groupName, type MeterSpec } from './custom-meter.ts';
import { findMeterEver, insertMeter, listMeters, type MeterRow, setArchived } from './meter-store.ts';
import { raiseRevision } from './revision.ts';

/** The meter of that key; the same definition again changes nothing. @throws a problem for another definition. */
export async function createMeter(
  { client, environmentId, actor }: CatalogWrite,
  key: string,
  spec: MeterSpec,
): Promise<MeterRow> {
  if (builtInMeter(key) !== undefined) throw refuse('conflict', `${key} is a built-in meter; choose another key`);
  checkGroups(spec);
  const known = await findMeterEver(client, environmentId, key, spec);
  if (known !== undefined && !known.is_same) throw otherSpec(key, known.archived_at !== null);
  if (known !== undefined && known.archived_at === null) return known;
  const active = await listMeters(client, environmentId);
  if (active.length >= LIMITS.metersMax) {
    throw refuse('conflict', `an environment has at most ${LIMITS.metersMax} meters of its own; delete one first`);
  }
  if (known !== undefined) await setArchived(client, environmentId, known.id, false);
  const row = known ?? (await insertMeter(client, environmentId, key, spec));
  if (row === undefined) throw new Error('the meter was not inserted');
  await raiseRevision(client, environmentId);
  await recordAction(client, {
    environmentId,
    actor,
    action: 'meter.create',
    target: `/v1/meters/${key}`,
    detail: spec,
  });
  return row;
}

/** Usage is grouped by the last segment of a path, so two paths must not end alike. */
function checkGroups(spec: MeterSpec): void {
  const names = (spec.group_by ?? []).map(groupName);
  const index = names.findIndex((name, position) => names.indexOf(name) !== position);
  if (index < 0) return;
  throw refuse('invalid_request', 'two dimensions of the meter have one name', [
    {
      pointer: `/group_by/${index}`,
      detail: `another path ends in ${names[index]} too`,
      remedy: 'give each dimension a name of its own',
    },
  ]);
}

function otherSpec(key: string, isDeleted: boolean) {
  return refuse(
    'conflict',
    `the meter ${key} ${isDeleted ? 'had' : 'has'} another definition, and a meter never changes`,
    [
      {
        pointer: '',
        detail: 'differs from the definition the meter was created with',
        remedy: 'delete the meter and create it under a new key',
      },
    ],
  );
}
