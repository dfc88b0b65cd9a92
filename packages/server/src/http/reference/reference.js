// Renders /openapi.json. Text only ever enters the page as text nodes.
const DEPTH_MAX = 5;
let schemas = {};

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/** Text in which `code` is marked as code. */
function prose(text) {
  return text.split(/(`[^`]+`)/).map((part) => (/^`.+`$/.test(part) ? element('code', {}, part.slice(1, -1)) : part));
}

function resolve(schema) {
  const name = schema?.$ref?.split('/').pop();
  return name === undefined ? (schema ?? {}) : (schemas[name] ?? {});
}

function typeOf(schema) {
  const name = schema?.$ref?.split('/').pop();
  const whole = resolve(schema);
  if (whole.const !== undefined) return JSON.stringify(whole.const);
  if (whole.enum) return whole.enum.map((value) => JSON.stringify(value)).join(' | ');
  const choices = whole.oneOf ?? whole.anyOf;
  if (choices) return choices.map(typeOf).join(' | ');
  if (whole.type === 'array') return `array of ${typeOf(whole.items)}`;
  const base = Array.isArray(whole.type) ? whole.type.join(' | ') : (whole.type ?? 'any');
  return name ?? (whole.format ? `${base} (${whole.format})` : base);
}

/** Rows of a schema's members, the members of members indented by their path. */
function memberRows(schema, prefix = '', depth = 0) {
  const whole = resolve(schema);
  const required = new Set(whole.required ?? []);
  const rows = [];
  for (const [name, member] of Object.entries(whole.properties ?? {})) {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    rows.push(row(path, member, required.has(name)));
    if (depth < DEPTH_MAX) rows.push(...innerRows(member, path, depth));
  }
  return rows;
}

function innerRows(member, path, depth) {
  const whole = resolve(member);
  if (whole.type === 'array') return innerRows(whole.items, `${path}[]`, depth);
  const choices = whole.oneOf ?? whole.anyOf;
  if (choices) return choices.flatMap((choice) => memberRows(choice, path, depth + 1));
  return memberRows(whole, path, depth + 1);
}

function row(name, schema, isRequired) {
  const whole = resolve(schema);
  const notes = [];
  const text = schema.description ?? whole.description;
  if (text) notes.push(...prose(text));
  if (whole.default !== undefined) notes.push(` Default ${JSON.stringify(whole.default)}.`);
  if (whole.pattern) notes.push(' ', element('code', {}, whole.pattern));
  return element(
    'tr',
    {},
    element('td', {}, element('code', {}, name), isRequired ? element('span', { class: 'required' }, ' required') : ''),
    element('td', { class: 'type' }, typeOf(schema)),
    element('td', {}, ...notes),
  );
}

function table(title, rows) {
  if (rows.length === 0) return [];
  const head = element('tr', {}, ...['Name', 'Type', 'Meaning'].map((name) => element('th', { scope: 'col' }, name)));
  return [element('h4', {}, title), element('table', {}, element('thead', {}, head), element('tbody', {}, ...rows))];
}

function example(schema, depth = 0) {
  const whole = resolve(schema);
  if (whole.example !== undefined) return whole.example;
  if (whole.default !== undefined && depth > 0) return whole.default;
  if (whole.enum) return whole.enum[0];
  if (whole.const !== undefined) return whole.const;
  const choices = whole.oneOf ?? whole.anyOf;
  if (choices) return example(choices[0], depth + 1);
  if (whole.type === 'array') return depth > DEPTH_MAX ? [] : [example(whole.items, depth + 1)];
  if (whole.properties && depth <= DEPTH_MAX) {
    const required = new Set(whole.required ?? []);
    const shown = Object.entries(whole.properties).filter(
      ([name, one]) => required.has(name) || one.example !== undefined,
    );
    return Object.fromEntries(shown.map(([name, one]) => [name, example(one, depth + 1)]));
  }
  return { object: {}, integer: 1, number: 1, boolean: true }[whole.type] ?? 'text';
}

function curl(method, path, operation) {
  const lines = [`curl ${method === 'get' ? '' : `-X ${method.toUpperCase()} `}"${location.origin}${path}"`];
  if (operation.security) lines.push('-H "Authorization: Bearer $ERGON_API_KEY"');
  const content = operation.requestBody?.content;
  if (content) {
    const [type] = Object.keys(content);
    const body = JSON.stringify(example(content[type].schema), null, 2).replaceAll("'", "'\\''");
    lines.push(`-H "Content-Type: ${type}"`, `-d '${body}'`);
  }
  return lines.join(' \\\n  ');
}

function article(method, path, operation) {
  const parameters = (operation.parameters ?? []).map((one) =>
    row(one.name, { ...one.schema, description: one.description ?? one.schema?.description }, one.required === true),
  );
  const content = operation.requestBody?.content;
  const parts = [
    element('h3', {}, operation.summary),
    element(
      'p',
      {},
      element('span', { class: `method ${method}` }, `${method} `),
      element('span', { class: 'path' }, path),
    ),
    ...(operation.description ?? '').split('\n\n').map((text) => element('p', {}, ...prose(text))),
    ...table('Parameters', parameters),
  ];
  if (content) {
    const [type] = Object.keys(content);
    const rows = innerRows(content[type].schema, '', 0);
    parts.push(...table(`Body: ${Object.keys(content).join(', ')}`, rows));
  }
  for (const [status, response] of Object.entries(operation.responses)) {
    const schema = response.content?.['application/json']?.schema;
    if (schema) parts.push(...table(`Answer ${status}`, innerRows(schema, '', 0)));
  }
  parts.push(element('h4', {}, 'Problems'), problems(operation));
  parts.push(
    element('h4', {}, 'Example'),
    element('pre', { tabindex: '0' }, element('code', {}, curl(method, path, operation))),
  );
  return element('article', { id: operation.operationId }, ...parts);
}

function problems(operation) {
  const codes = Object.entries(operation.responses).flatMap(([status, one]) =>
    (one['x-problem-codes'] ?? []).map((code) => [status, code]),
  );
  const links = codes.flatMap(([status, code]) => [
    element('a', { href: `/docs/problems#${code}` }, element('code', {}, code)),
    ` ${status}  `,
  ]);
  return element('p', {}, ...links);
}

function render(api) {
  schemas = api.components?.schemas ?? {};
  const content = document.getElementById('content');
  const index = document.getElementById('index');
  document.getElementById('loading').remove();
  content.append(element('p', {}, api.info.description));
  const entries = [];
  for (const tag of api.tags ?? []) {
    const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, operation]) => operation.tags?.includes(tag.name))
        .map(([method, operation]) => ({ method, path, operation })),
    );
    if (operations.length === 0) continue;
    content.append(element('h2', {}, tag.name), element('p', {}, tag.description ?? ''));
    const heading = element('h2', {}, tag.name);
    index.append(heading);
    for (const { method, path, operation } of operations) {
      const shown = article(method, path, operation);
      content.append(shown);
      const link = element(
        'a',
        { class: 'operation', href: `#${operation.operationId}`, role: 'listitem' },
        element('span', { class: `method ${method}` }, method),
        element('span', {}, operation.summary),
      );
      index.append(link);
      const words = `${method} ${path} ${operation.summary} ${operation.operationId} ${operation.description ?? ''}`;
      entries.push({ link, heading, shown, words: words.toLowerCase() });
    }
  }
  search(entries);
  if (location.hash !== '') document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

function search(entries) {
  const input = document.getElementById('search');
  input.addEventListener('input', () => {
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const headings = new Set();
    for (const entry of entries) {
      const isFound = wanted.every((word) => entry.words.includes(word));
      entry.link.hidden = !isFound;
      entry.link.style.display = isFound ? '' : 'none';
      entry.shown.hidden = !isFound;
      if (isFound) headings.add(entry.heading);
    }
    for (const entry of entries) entry.heading.hidden = !headings.has(entry.heading);
    document.getElementById('none').hidden = headings.size > 0;
  });
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') entries.find((entry) => !entry.link.hidden)?.link.click();
    if (event.key === 'Escape') {
      input.value = '';
      input.dispatchEvent(new Event('input'));
    }
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    input.focus();
  });
}

fetch('/openapi.json')
  .then((response) => response.json())
  .then(render)
  .catch((error) => {
    document.getElementById('loading').textContent = `/openapi.json could not be read: ${error.message}`;
  });
