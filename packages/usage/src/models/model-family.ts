/** Families by their names' beginnings; the longest beginning is listed first where one contains another. */
const FAMILIES: readonly (readonly [pattern: RegExp, family: string])[] = [
  [/^claude-(?:[\d.-]+-)?(opus|sonnet|haiku|fable|instant)/, 'claude-$1'],
  [/^(gpt-\d+(?:\.\d+)?[a-z]*)/, '$1'],
  [/^(o\d)(?:-|$)/, '$1'],
  [/^gemini-[\d.]+-(pro|flash-lite|flash|ultra|nano)/, 'gemini-$1'],
  [/^(grok)-/, '$1'],
  [/^(deepseek)-/, '$1'],
  [/^(mistral|ministral|mixtral|codestral|magistral|devstral|pixtral)(?:-|$)/, '$1'],
  [/^(command|embed|rerank)-/, '$1'],
  [/^(llama)-?\d/, '$1'],
  [/^(qwen)/, '$1'],
  [/^(kimi)-/, '$1'],
  [/^(sonar)(?:-|$)/, '$1'],
  [/^(nova)-/, '$1'],
  [/^(text-embedding)-/, '$1'],
  [/^(voyage)-/, '$1'],
];

/** The family of a bare model name, or `undefined` for a name of no known family. */
export function modelFamily(name: string): string | undefined {
  const bare = name.toLowerCase();
  for (const [pattern, family] of FAMILIES) {
    const match = pattern.exec(bare);
    if (match !== null) return family.replace('$1', match[1] ?? '');
  }
  return undefined;
}
