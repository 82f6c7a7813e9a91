// A reporter for node --test: the names of failed tests with their message, and one line of totals.
export default async function* closingLines(source) {
  let passed = 0;
  const failures = [];
  for await (const { type, data } of source) {
    const isFile = data?.name?.endsWith('.mjs');
    if (type === 'test:pass' && !isFile) passed += 1;
    if (type === 'test:fail') failures.push(`${data.name}: ${firstLine(data.details.error)}`);
  }
  for (const failure of failures) yield `FAILED ${failure}\n`;
  yield `node: ${passed} passed, ${failures.length} failed\n`;
}

function firstLine(error) {
  return String((error.cause ?? error).message).split('\n')[0];
}
