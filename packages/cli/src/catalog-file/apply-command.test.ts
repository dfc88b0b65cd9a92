import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, TEST_KEY, type TestErgon } from '../ergon.test-support.ts';
import { EXIT_CODE } from '../exit-code.ts';

let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon();
});
afterAll(() => ergon.stop());

function write(name: string, text: string): string {
  writeFileSync(join(ergon.directory, name), text);
  return name;
}

/** A command line in the test's directory. */
const run = (...argv: string[]) => ergon.runWith({ cwd: ergon.directory }, ...argv);
/** The same where a person sits, who answers. */
const asked = (answer: string, ...argv: string[]) =>
  ergon.runWith(
    {
      cwd: ergon.directory,
      isOutTty: true,
      env: { ERGON_URL: ergon.url, ERGON_API_KEY: TEST_KEY, NO_COLOR: '1' },
      readIn: async function* () {
        yield Buffer.from(answer);
      },
    },
    ...argv,
  );

const CATALOG = `# prices of autumn
meters:
  gpu_seconds: { event_types: [gpu.run], aggregation: sum, value: data.seconds, unit: second }
rate_cards:
  default:
    currency: USD
    prices:
      - meter: output_tokens
        match: { model: gpt-5* }
        charge_model: { type: per_unit, unit_amount: 0.000000150 }
      - meter: gpu_seconds
        charge_model: { type: per_unit, unit_amount: 0.002 }
plans:
  pro:
    currency: USD
    rate_card: default
    fees: [{ key: base, amount: 20 }]
`;

test('the example of the documentation says in an empty environment what the page shows', async () => {
  const page = readFileSync(new URL('../../../../docs/catalog.md', import.meta.url), 'utf8');
  const nextYear = `${new Date().getUTCFullYear() + 1}-`;
  const example = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  const file = write('example.yaml', example.replaceAll('2027-', nextYear));
  const shown = /catalog\.yaml --dry-run\n([\s\S]*?\n)\n/.exec(page)?.[1] ?? '';
  expect(await run('apply', file, '--dry-run')).toEqual({
    code: EXIT_CODE.ok,
    error: '',
    out: shown.replaceAll('catalog.yaml', file).replaceAll('2027-', nextYear),
  });
});

test('a file is shown, checked, applied, changed, exported and applied again', async () => {
  const file = write('catalog.yaml', CATALOG);
  const dry = await run('apply', file, '--dry-run');
  expect(dry).toEqual({
    code: EXIT_CODE.ok,
    error: '',
    out:
      '+ meters gpu_seconds  catalog.yaml:3:3\n' +
      '+ rate_cards default  catalog.yaml:5:3\n' +
      '+ plans pro  catalog.yaml:14:3\n' +
      '3 to create.\n',
  });
  expect((await run('apply', file, '--dry-run', '--exit-code')).code).toBe(EXIT_CODE.partial);
  const done = await run('apply', file);
  expect(done).toMatchObject({ code: EXIT_CODE.ok, error: '' });
  expect(done.out).toMatch(/3 to create\.\nApplied: 3 created, 0 changed\. Revision \d+\.\n$/);
  expect(JSON.parse((await run('rate-card', 'get', 'default')).out).prices[0].charge_model.unit_amount).toBe(
    '0.000000150',
  );

  const again = await run('apply', file, '--dry-run', '--exit-code');
  expect(again).toEqual({
    code: EXIT_CODE.ok,
    error: '',
    out: '= 3 unchanged\nNo difference: the catalog is as the file says (3 entries).\n',
  });

  const price = '      - { meter: input_tokens, charge_model: { type: free } }\n      - meter: gpu_seconds';
  write(
    'catalog.yaml',
    CATALOG.replace('0.000000150', '0.00000012')
      .replace('amount: 20', 'amount: 25')
      .replace('      - meter: gpu_seconds', price),
  );
  const changed = await run('apply', file);
  expect(changed.out).toMatch(
    new RegExp(
      [
        '^~ rate_cards default  catalog.yaml:5:3',
        '    ~ prices\\[0\\] \\(output_tokens model=gpt-5\\*\\) charge_model.unit_amount: 0.000000150 -> 0.00000012',
        '    \\+ prices\\[1\\] \\(input_tokens\\): {"meter":"input_tokens","charge_model":{"type":"free"}}',
        '~ plans pro  catalog.yaml:15:3',
        '    ~ fees\\[0\\] \\(base\\) amount: 20 -> 25',
        '= 1 unchanged',
        '2 to change.',
        'Applied: 0 created, 2 changed. Revision \\d+.\n$',
      ].join('\n'),
    ),
  );

  expect(await run('catalog', 'export', '-o', 'exported.yaml')).toEqual({ code: EXIT_CODE.ok, out: '', error: '' });
  const exported = readFileSync(join(ergon.directory, 'exported.yaml'), 'utf8');
  expect(exported.split('\n')[0]).toBe(`# yaml-language-server: $schema=${ergon.url}/catalog.schema.json`);
  expect(exported).toContain('unit_amount: "0.00000012"');
  expect((await run('apply', 'exported.yaml', '--dry-run', '--exit-code')).code).toBe(EXIT_CODE.ok);
  write('exported.json', (await run('catalog', 'export', '--json', '--kinds', 'plans,meters')).out);
  expect((await run('apply', 'exported.json')).out).toMatch(/^= 2 unchanged\nNo difference/);
});

test('what is wrong is said with its line, all of it', async () => {
  const file = write(
    'wrong.yaml',
    'rate_cards:\n  broken:\n    currency: USD\n    prices:\n      - meter: nothing\n        charge_model: { type: free }\nplans:\n  lost:\n    currency: EUR\n    rate_card: default\n',
  );
  const wrong = await run('apply', file);
  expect(wrong).toEqual({
    code: EXIT_CODE.failed,
    out: '',
    error:
      'ergon: nothing is applied: the catalog has 2 problems\n' +
      '  wrong.yaml:5:9: /rate_cards/broken/prices/0/meter: there is no meter nothing; create the meter first (PUT /v1/meters/{key}), or correct its name\n' +
      '  wrong.yaml:10:5: /plans/lost/rate_card: the rate card default charges USD, not EUR; publish it first: PUT /v1/rate_cards/{key}\n',
  });
  const misspelt = await run('apply', write('misspelt.yaml', 'plans:\n  a:\n    currency: USD\n    fee: []\n'));
  expect(misspelt.error).toContain('misspelt.yaml:4:5: /plans/a/fee: unknown member "fee"');
  const twice = await run('apply', file, write('twice.yaml', 'plans:\n  lost: {}\n'));
  expect(twice).toMatchObject({ code: EXIT_CODE.usage, out: '' });
  expect(twice.error).toContain('twice.yaml:2:3: plans/lost is there twice; also at wrong.yaml:8:3');
  expect((await run('apply', 'nowhere.yaml')).error).toContain('cannot read');
  const json = await run('apply', file, '--json');
  expect(JSON.parse(json.error).error.hint).toContain('wrong.yaml:5:9');
});

test('on a terminal it asks, and elsewhere it does not', async () => {
  const file = write('coupon.yaml', 'coupons:\n  autumn: { percent: 10 }\n');
  const no = await asked('\n', 'apply', file);
  expect(no).toMatchObject({ code: EXIT_CODE.failed });
  expect(no.out).toMatch(/1 to create\.\nApply\? \[y\/N\] Nothing is applied\.\n$/);
  const yes = await asked('y\n', 'apply', file);
  expect(yes.out).toMatch(/Apply\? \[y\/N\] Applied: 1 created, 0 changed/);
  write('coupon.yaml', 'coupons:\n  autumn: { percent: 12.5 }\n');
  expect((await asked('', 'apply', file, '--yes')).out).toMatch(/percent: 10 -> 12\.5\n1 to change\.\nApplied/);
});

test('standard input is a file too, and programs read JSON', async () => {
  const stdin = (text: string) => ({
    readIn: async function* () {
      yield Buffer.from(text);
    },
  });
  const applied = await ergon.runWith(stdin('coupons: {winter: {percent: 5}}'), 'apply', '-', '--json');
  expect(JSON.parse(applied.out)).toMatchObject({ dry_run: false, created: 1, not_in_file: { count: 1 } });
  const wrong = await ergon.runWith(stdin('coupons: ['), 'apply', '-');
  expect(wrong.error).toContain('standard input:1:');
});

test('the schema is printed for editors', async () => {
  const schema = JSON.parse((await run('catalog', 'schema')).out);
  expect(Object.keys(schema.$defs.Catalog.properties)).toContain('rate_cards');
});
