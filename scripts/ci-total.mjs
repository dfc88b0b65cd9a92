// Adds up what .ci/run left in a directory (vitest's JSON reports, and {"passed", "failed"} of the other steps) and prints
// the one line CI reads. Exits 1 when anything failed, or when a report that should be there is missing.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [directory, ...names] = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
for (const name of names) {
  try {
    const report = JSON.parse(readFileSync(join(directory, `${name}.json`), 'utf8'));
    const isVitest = 'numPassedTests' in report;
    total.passed += isVitest ? report.numPassedTests : report.passed;
    total.failed += isVitest ? Math.max(report.numFailedTests, report.success ? 0 : 1) : report.failed;
    total.skipped += isVitest ? report.numPendingTests + report.numTodoTests : 0;
  } catch (error) {
    console.error(`${name}: no report (${error.message})`);
    total.failed += 1;
  }
}
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`);
process.exit(total.failed === 0 ? 0 : 1);
