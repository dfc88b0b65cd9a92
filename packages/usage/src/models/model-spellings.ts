/** Longer names are no names. */
const NAME_MAX = 256;

type Strip = { readonly what: string; readonly from: RegExp; readonly to: string };

/**
 * What routers, clouds and providers put around a model's name, in the order it is taken off, outermost first. Every
 * pattern is anchored and free of nested repetition, so a hostile name costs no more than its length.
 */
const STRIPS: readonly Strip[] = [
  { what: 'fine-tune: ft:<base>:<organisation>:<name>:<id>', from: /^ft:([^:]+):.*$/, to: '$1' },
  { what: 'Bedrock ARN', from: /^arn:[^/]*\/(.+)$/, to: '$1' },
  { what: 'resource path of Google, Fireworks and others', from: /^.*\/models\/([^/]+)$/, to: '$1' },
  { what: 'Google path without parents', from: /^(?:models|tunedmodels)\//, to: '' },
  { what: 'router and vendor prefixes: openrouter/anthropic/<model>', from: /^.*\/([^/]+)$/, to: '$1' },
  { what: 'region of a Bedrock inference profile', from: /^(?:us|eu|apac|jp|au|ca|sa|global|us-gov)\./, to: '' },
  {
    what: 'vendor of a Bedrock model',
    from: /^(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|qwen|stability|google|nvidia|minimax|moonshot|writer)\./,
    to: '',
  },
  { what: 'variant of OpenRouter', from: /:(?:free|nitro|floor|online|extended|thinking|beta|exacto)$/, to: '' },
  { what: 'version of Vertex', from: /@[a-z0-9-]{1,20}$/, to: '' },
  { what: 'version of Bedrock', from: /(?:-v\d{1,2})?:\d{1,2}(?::\d{1,4}k)?$/, to: '' },
  { what: 'version of Bedrock without revision', from: /-v\d$/, to: '' },
  { what: 'alias of the newest', from: /-latest$/, to: '' },
  { what: 'snapshot date with dashes', from: /-20\d\d-[01]\d-[0-3]\d$/, to: '' },
  { what: 'snapshot date', from: /-20\d\d[01]\d[0-3]\d$/, to: '' },
  { what: 'preview with month and day or year', from: /-(?:preview|exp)-\d\d-(?:\d\d|20\d\d)$/, to: '' },
  { what: 'month and year', from: /-[01]\d-20\d\d$/, to: '' },
  { what: 'revision or month and day', from: /-\d{3,4}$/, to: '' },
  { what: 'preview', from: /-(?:preview|exp|beta)$/, to: '' },
];

/**
 * The ways to spell a reported name, from as reported to bare, lower case, each once. Claude's versions are written with a
 * point by some and a dash by others; both are tried.
 */
export function modelSpellings(reported: string): readonly string[] {
  if (reported.length > NAME_MAX) return [];
  let name = reported.trim().toLowerCase();
  const spellings = new Set<string>();
  keep(spellings, name);
  for (const { from, to } of STRIPS) {
    const bare = name.replace(from, to);
    if (bare === name || bare === '') continue;
    name = bare;
    keep(spellings, name);
  }
  return [...spellings];
}

function keep(spellings: Set<string>, name: string): void {
  spellings.add(name);
  if (name.startsWith('claude')) spellings.add(name.replace(/(\d)\.(\d)/, '$1-$2'));
}
