import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestErgon, TEST_KEY, type TestErgon } from '../ergon.test-support.ts';
import { EXIT_CODE } from '../exit-code.ts';

let ergon: TestErgon;
beforeAll(async () => {
  ergon = await startTestErgon();
});
afterAll(() => ergon.stop());

test('measured files become observations of a deployment, once', async () => {
  const published = await ergon.fetch(
    new Request(`${ergon.url}/v1/deployments/llama8`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${TEST_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'llama-3.1-8b',
        accelerator: 'h100-sxm',
        accelerator_count: 1,
        engine: 'vllm',
        reference: { batch: 16 },
      }),
    }),
  );
  expect(published.status).toBe(200);
  const files = [8, 16, 32].map((concurrency) => {
    const file = join(ergon.directory, `bench-${concurrency}.json`);
    const tokens = { total_input_tokens: 102_400, total_output_tokens: 25_600 };
    const measured = { duration: 100, completed: 100, concurrency, mean_tpot_ms: 30 };
    writeFileSync(file, JSON.stringify({ backend: 'vllm', ...tokens, ...measured }));
    return file;
  });
  const first = await ergon.run('calibrate', ...files, '--deployment', 'llama8');
  expect(first.error).toBe('');
  expect(first.code).toBe(EXIT_CODE.ok);
  expect(first.out).toContain('3 observations added to llama8');
  expect(first.out).toMatch(/calibrated, 3 observations/);
  const again = await ergon.run('calibrate', ...files, '--deployment', 'llama8', '--json');
  expect(JSON.parse(again.out)).toMatchObject({
    key: 'llama8',
    calibration: { observations: 3, time_basis: 'calibrated' },
  });
  const absent = await ergon.run('calibrate', ...files, '--deployment', 'none');
  expect(absent.code).not.toBe(EXIT_CODE.ok);
  expect(absent.error).toContain('there is no deployment none');
});
