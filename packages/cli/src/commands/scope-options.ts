import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { EXIT_CODE } from '../exit-code.ts';

/** Who and what: the dimensions that budgets select by. */
export type ScopeFlags = {
  readonly customer?: string;
  readonly team?: string;
  readonly user?: string;
  readonly apiKey?: string;
  readonly feature?: string;
  readonly provider?: string;
  readonly model?: string;
  readonly agent?: string;
  readonly run?: string;
  readonly workItem?: string;
  readonly tag?: readonly string[];
};

export function withScopeOptions(command: Command): Command {
  return command
    .option('--customer <customer>')
    .option('--team <team>')
    .option('--user <user>')
    .option('--api-key <id>', 'the id of an API key')
    .option('--feature <feature>')
    .option('--provider <provider>')
    .option('--model <model>', 'a trailing * matches what begins so, e.g. "gpt-5*"')
    .option('--agent <agent>')
    .option('--run <run>', 'a run with all runs below it')
    .option('--work-item <item>')
    .option('--tag <name=value...>', 'properties of the usage');
}

/** The scope as the API takes it. */
export function scopeOf(flags: ScopeFlags): Readonly<Record<string, unknown>> {
  const { customer, team, user, apiKey, feature, provider, model, agent, run, workItem, tag } = flags;
  const all = { customer, team, user, api_key: apiKey, feature, provider, model, agent, run, work_item: workItem };
  const named = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return tag === undefined ? named : { ...named, tags: tagsOf(tag) };
}

export function tagsOf(texts: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw new CliError(EXIT_CODE.usage, `--tag ${JSON.stringify(text)}: expected name=value`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}
