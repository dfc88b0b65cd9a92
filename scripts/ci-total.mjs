// Adds up what .ci/run left in a directory (vitest's JSON reports, and {"passed", "failed"} of the other steps) and prints
// the one line CI reads, after what failed and why: of a long run often only the end is kept. Exits 1 when anything failed,
// or when a report that should be there is missing.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [directory, ...names] = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
const MESSAGE_CHARS = 3000;

/** Each failed test of one of vitest's reports: its name, and the beginning of what it said. */
function tellFailures(name, report) {
  for (const file of report.testResults) {
    if (file.status === 'failed' && file.message !== '')
      console.log(`${name} FAILED: ${file.name}\n${file.message.slice(0, MESSAGE_CHARS)}`);
    for (const one of file.assertionResults.filter(({ status }) => status === 'failed')) {
      console.log(
        `${name} FAILED: ${file.name} > ${one.fullName}\n${one.failureMessages.join('\n').slice(0, MESSAGE_CHARS)}`,
      );
    }
  }
}

for (const name of names) {
  try {
    const report = JSON.parse(readFileSync(join(directory, `${name}.json`), 'utf8'));
    const isVitest = 'numPassedTests' in report;
    if (isVitest) tellFailures(name, report);
    else if (report.failed > 0) console.log(`${name} FAILED`);
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
