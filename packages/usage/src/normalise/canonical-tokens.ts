import { TOKEN_CLASSES, type TokenClass, type Tokens } from '../record.ts';
import { ABSENT, count, type Findings, fault, shown } from './count.ts';
import type { MutableTokens } from './figures.ts';
import { object } from './json.ts';

const classes: ReadonlyMap<string, TokenClass> = new Map(TOKEN_CLASSES.map((name) => [name, name]));

/** Canonical classes as a sender gives them; what is not a class or not a count is left out with a flag. */
export function canonicalTokens(value: unknown, findings: Findings): Tokens {
  const sent = object(value);
  const tokens: MutableTokens = {};
  if (sent === undefined) {
    fault(findings, 'tokens_not_an_object', `tokens is ${shown(value)}, not an object of token classes`);
    return tokens;
  }
  for (const name in sent) {
    const tokenClass = classes.get(name);
    if (tokenClass === undefined) {
      fault(findings, 'unknown_token_class', `${shown(name)} is not a token class; it was left out`);
      continue;
    }
    const figure = count(sent[name], name, findings);
    if (figure !== ABSENT) tokens[tokenClass] = figure;
  }
  return tokens;
}
