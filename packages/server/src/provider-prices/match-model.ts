import type { MatchLogic } from '@pydantic/genai-prices';

/** Whether a name, already in lower case, is meant. */
export type NameMatcher = (name: string) => boolean;

/**
 * The library's matching clauses as a closure, with its own reading of them: every clause but `regex` ignores case, a
 * regular expression sees the lower-case name. An unknown clause matches nothing, as there.
 */
export function nameMatcher(logic: MatchLogic): NameMatcher {
  if ('or' in logic) {
    const parts = logic.or.map(nameMatcher);
    return (name) => parts.some((part) => part(name));
  }
  if ('and' in logic) {
    const parts = logic.and.map(nameMatcher);
    return (name) => parts.every((part) => part(name));
  }
  if ('equals' in logic) {
    const text = logic.equals.toLowerCase();
    return (name) => name === text;
  }
  if ('starts_with' in logic) {
    const text = logic.starts_with.toLowerCase();
    return (name) => name.startsWith(text);
  }
  if ('ends_with' in logic) {
    const text = logic.ends_with.toLowerCase();
    return (name) => name.endsWith(text);
  }
  if ('contains' in logic) {
    const text = logic.contains.toLowerCase();
    return (name) => name.includes(text);
  }
  if ('regex' in logic) {
    const expression = new RegExp(logic.regex);
    return (name) => expression.test(name);
  }
  return () => false;
}
