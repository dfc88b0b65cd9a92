import type { UsageWarningCode } from '@ergon/usage';

/** What to do about each kind of finding: one sentence for whoever sends the usage. */
export const REMEDIES: Readonly<Record<UsageWarningCode, string>> = {
  output_tokens_only:
    'Send the input tokens too: the provider reports both. With streams, ask for usage (OpenAI: stream_options.include_usage).',
  input_tokens_only: 'Send the output tokens too, and 0 where the model wrote nothing.',
  no_model: 'Send data.model as the provider answered it, or the one requested.',
  lump_sum: 'Send one event for each call, when it happens: sums cannot be priced by tier, cached share or time.',
  whole_run: 'Send one event for each model call and name the run in data.run_id: Ergon sums the run itself.',
  totals_do_not_add_up:
    "Send the provider's usage object as it came, with data.provider and data.api, rather than figures of your own.",
  no_usage:
    'Send data.usage or data.tokens; where the provider gave none, estimate and say so with data.quality: estimated.',
  no_failures: 'Send failed and retried calls too, with data.status, data.attempt and their usage: they cost money.',
  arrives_twice: 'Keep one of the two doors for these calls, and void what the other one has sent.',
};
